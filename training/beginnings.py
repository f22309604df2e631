"""What a run begins with: checkpoints of earlier runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import CheckpointError
from isthmus.training.checkpoint import read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig
from isthmus.training.segmenters import SegmenterConfig
from isthmus.training.translators import holds_generators, open_translators

_FORM: Final = ("width", "blocks", "residual", "colors")
"""Keys of a generator's configuration that make its weights those of another function."""


def source_checkpoint_key(number: int) -> str:
    """The key that names the checkpoint of a source's own segmenter."""
    return f"method.source_checkpoints.{number}"


def earlier_runs(config: TrainingConfig) -> dict[str, Path]:
    """Folders of the checkpoints whose segmenters a run begins with, by the key that names each.

    Args:
        config: The run's.

    Raises:
        CheckpointError: Naming the key: there is no checkpoint, it holds a segmenter of another structure, lacks
            trained generators where the run uses those it begins with as they are, or holds generators of other
            sources or another form.
    """
    named = {} if config.method.start_from is None else {"method.start_from": config.method.start_from}
    if isinstance(config.method, MadanConfig):
        for number, path in enumerate(config.method.source_checkpoints):
            if path is not None:
                named[source_checkpoint_key(number)] = path
    folders = {key: _resolved(key, path) for key, path in named.items()}
    for key, folder in folders.items():
        _check_same_segmenter(f"{key}: {named[key]}", read_info(folder).config.get("segmenter", {}), config.segmenter)
    if isinstance(config.method, MadanConfig) and config.method.weights.has_pixel_level:
        key = "method.start_from"
        if config.method.stages.generators_rest:
            _check_trained(key, folders[key])
        if key in folders and holds_generators(folders[key]):
            where, held = f"{key}: {folders[key]}", read_info(folders[key]).config
            _check_same_domains(where, held, config.sources, config.method)
            _check_same_form(where, held["method"].get("generator", {}), config.method.generator)
    return folders


def _check_trained(key: str, folder: Path) -> None:
    try:
        open_translators(folder).check_begun()
    except CheckpointError as error:
        raise CheckpointError(
            error.problem,
            where=f"{key}: {error.where}",
            remedy="Name a run of method madan, or a later checkpoint of it, that trained generators for these "
            "sources; or let them learn here, with method.stages.generators_until above generators_from.",
        ) from error


def _check_same_domains(
    where: str, held: Mapping[str, Any], sources: Sequence[DatasetConfig], method: MadanConfig
) -> None:
    """Refuse generators, and the F_i beside them, that would be taken for other sources: they go by number."""
    there = [_title(one) for one in held["sources"]]
    here = [one.title for one in sources]
    combined = bool(held["method"].get("combine_sources", False))
    if _domains(there, combine=combined) != _domains(here, combine=method.combine_sources):
        raise CheckpointError(
            f"holds generators of {_in_words(there, combine=combined)}, this run has "
            f"{_in_words(here, combine=method.combine_sources)}",
            where=where,
            remedy="Configure the same sources in the same order and the same method.combine_sources (a set that goes "
            "by another title here needs the `name` that it had there), or begin with a run of these sources.",
        )


def _check_same_form(where: str, held: Mapping[str, Any], wanted: GeneratorConfig) -> None:
    """Refuse generators of another form, which their weights do not always tell."""
    usual = GeneratorConfig()
    forms = {name: (held.get(name, getattr(usual, name)), getattr(wanted, name)) for name in _FORM}
    differing = {f"method.generator.{name}": pair for name, pair in forms.items() if pair[0] != pair[1]}
    if differing:
        told = [f"{key} {_value(there)}, this run {_value(here)}" for key, (there, here) in differing.items()]
        settings = " and ".join(f"{key}={_value(there)}" for key, (there, _) in differing.items())
        raise CheckpointError(
            f"its generators have {'; '.join(told)}",
            where=where,
            remedy=f"Set {settings}, or begin with a run of the same generators.",
        )


def _value(value: Any) -> str:
    return json.dumps(value)  # as in YAML


def _title(source: Mapping[str, Any]) -> str:
    """Of a data set in an earlier run's configuration, which may have keys that are no more."""
    named: dict[str, Any] = {key: source.get(key) for key in ("dataset", "split", "part", "name")}
    return DatasetConfig(root=Path(source["root"]), **named).title


def _domains(titles: Sequence[str], *, combine: bool) -> list[list[str]]:
    """What each generator translates; in what is combined, no order matters."""
    return [sorted(titles)] if combine else [[title] for title in titles]


def _in_words(titles: Sequence[str], *, combine: bool) -> str:
    return f"{', '.join(titles)} (method.combine_sources: {str(combine).lower()})"


def _resolved(key: str, path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(
            "no such run",
            where=f"{key}: {path}",
            remedy=f"Train it first, or name a run's output folder or one of its checkpoints/step-* in {key}.",
        )
    try:
        return resolve(path)
    except CheckpointError as error:
        raise CheckpointError(error.problem, where=f"{key}: {error.where}", remedy=error.remedy) from error


def _check_same_segmenter(where: str, held: Mapping[str, Any], wanted: SegmenterConfig) -> None:
    there = {name: held.get(name) for name in ("decoder", "encoder")}
    here = {name: getattr(wanted, name) for name in there}
    if there != here:
        differing = " and ".join(f"segmenter.{name}={there[name]}" for name in there if there[name] != here[name])
        raise CheckpointError(
            f"holds {there['decoder']} on {there['encoder']}, this run configures {here['decoder']} on "
            f"{here['encoder']}",
            where=where,
            remedy=f"Set {differing}, or begin with a run of the same network.",
        )
