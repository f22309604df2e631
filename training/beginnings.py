"""What a run begins with: checkpoints of earlier runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import CheckpointError
from isthmus.training.checkpoint import read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.madan.config import MadanConfig
from isthmus.training.segmenters import SegmenterConfig
from isthmus.training.translators import open_translators


def source_checkpoint_key(number: int) -> str:
    """The key that names the checkpoint of a source's own segmenter."""
    return f"method.source_checkpoints.{number}"


def earlier_runs(config: TrainingConfig) -> dict[str, Path]:
    """Folders of the checkpoints whose segmenters a run begins with, by the key that names each.

    Args:
        config: The run's.

    Raises:
        CheckpointError: Naming the key: there is no checkpoint, it holds a segmenter of another structure, or lacks
            trained generators where the run uses those it begins with as they are.
    """
    named = {} if config.method.start_from is None else {"method.start_from": config.method.start_from}
    if isinstance(config.method, MadanConfig):
        for number, path in enumerate(config.method.source_checkpoints):
            if path is not None:
                named[source_checkpoint_key(number)] = path
    folders = {key: _resolved(key, path) for key, path in named.items()}
    for key, folder in folders.items():
        _check_same_segmenter(f"{key}: {named[key]}", read_info(folder).config.get("segmenter", {}), config.segmenter)
    method = config.method
    if isinstance(method, MadanConfig) and method.weights.has_pixel_level and method.stages.generators_rest:
        key = "method.start_from"
        _check_generators(key, folders[key], method.num_domains(len(config.sources)))
    return folders


def _check_generators(key: str, folder: Path, wanted: int) -> None:
    remedy = (
        "Name a run of method madan, or a later checkpoint of it, that trained generators for these sources; or let "
        "them learn here, with method.stages.generators_until above generators_from."
    )
    try:
        translators = open_translators(folder)
        translators.check_begun()
    except CheckpointError as error:
        raise CheckpointError(error.problem, where=f"{key}: {error.where}", remedy=remedy) from error
    held = translators.num_domains
    if held < wanted:
        raise CheckpointError(
            f"holds generators of {held} source domains, this run has {wanted}",
            where=f"{key}: {folder}",
            remedy=remedy,
        )


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
