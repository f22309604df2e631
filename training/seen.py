"""What a run has seen of the data sets that it is judged on: by itself, and through what was trained before.

Reads a finished run's files, no weights.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import UnreadableFileError
from isthmus.training.ancestry import ANCESTRY_FILE, Ancestor, read_ancestry
from isthmus.training.randomization.styles.record import DOMAINS_FILE

_OF: Final = {
    "source": "labelled frames of {}'s data set",
    "target": "unlabelled frames of {}'s data set",
    "validation": "weights that labels of {}'s data set chose",
    "style": "style images in {}'s folder",
}
"""What was seen, by an ancestor's role; of a target's title."""


class _Translation(BaseModel):
    checkpoints: tuple[Path, ...] = ()


class _Styles(BaseModel):
    images: Path | None = None
    translation: _Translation = _Translation()


class _Method(BaseModel):
    name: str
    start_from: Path | None = None
    source_checkpoints: tuple[Path | None, ...] = ()
    styles: _Styles = _Styles()

    @property
    def stands_alone(self) -> bool:
        """Whether it names no other run."""
        return self.start_from is None and not any(self.source_checkpoints) and not self.styles.translation.checkpoints


class SeenSettings(BaseModel):
    """What of a run's configuration tells what it has seen."""

    method: _Method
    sources: tuple[DatasetConfig, ...]
    target: DatasetConfig | None = None
    evaluated_on: tuple[DatasetConfig, ...]


def seen_in_training(folder: Path, settings: SeenSettings) -> tuple[str, ...]:
    """What training saw of the targets' data sets, in words: `labelled frames of street's data set`.

    Args:
        folder: The run's.
        settings: Its.

    Raises:
        UnreadableFileError: The run's list of ancestors or of style domains is damaged.
    """
    labelled = {place_of(one) for one in settings.sources}
    unlabelled = set() if settings.target is None else {place_of(settings.target)}
    notes = [_OF["source"].format(one.title) for one in settings.evaluated_on if place_of(one) in labelled]
    notes += [_OF["target"].format(one.title) for one in settings.evaluated_on if place_of(one) in unlabelled]
    notes += _seen_through(read_ancestry(folder) or (), settings.evaluated_on)
    images = _style_images(folder, settings.method.styles.images)
    for target in settings.evaluated_on:
        if inside := sum(_lies_in(image, target.root) for image in images):
            notes.append(f"{inside} of {len(images)} {_OF['style'].format(target.title)}")
    return tuple(notes)


def ancestry_in_words(folder: Path, settings: SeenSettings) -> tuple[str, ...]:
    """What reached a run through others beside its own sources, each once, and what of that nobody wrote down.

    Raises:
        UnreadableFileError: The run's list of ancestors is damaged.
    """
    ancestry = read_ancestry(folder)
    if ancestry is None:
        told = "it is from before ancestry was written down, so what it began with may have seen targets"
        return () if settings.method.stands_alone else (f"no {ANCESTRY_FILE}: {told}",)
    first: dict[tuple[str, str, str], Ancestor] = {}
    own = {str(source.root) for source in settings.sources}
    for one in ancestry:
        if one.role != "validation" and not (one.role == "source" and one.root in own):
            first.setdefault((one.role, one.title, one.root), one)
    return tuple(
        f"{one.title}{' without labels' if one.role == 'target' else ''} ({one.root or 'folder unknown'}), "
        f"seen through {one.through}"
        for one in first.values()
    )


def place_of(dataset: DatasetConfig) -> tuple[str, Path]:
    """What two parts of one data set have in common."""
    return dataset.dataset, dataset.root


def _seen_through(ancestry: Sequence[Ancestor], targets: Sequence[DatasetConfig]) -> Iterator[str]:
    """One note for each target and role: of several ways the first, which a run's own keys name before older ones."""
    told: set[tuple[str, str]] = set()
    for target in targets:
        for one in ancestry:
            if one.root and (target.title, one.role) not in told and _touches(one, target.root):
                told.add((target.title, one.role))
                yield f"{_OF[one.role].format(target.title)}, seen through {one.through}"


def _touches(one: Ancestor, root: Path) -> bool:
    """Whether an ancestor's frames are of the data set in a folder."""
    return _lies_in(Path(one.root), root) if one.role == "style" else Path(one.root).resolve() == root.resolve()


def _lies_in(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _style_images(folder: Path, images: Path | None) -> list[Path]:
    """Style images of a run, each once; their paths are written relative to their folder."""
    path = folder / DOMAINS_FILE
    if images is None or not path.is_file():
        return []
    try:
        domains: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        names = {one["path"] for domain in domains for one in domain.get("images", ())}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableFileError(
            "no list of style domains", where=path, remedy="Put the run's own file back, or go on with `--resume`."
        ) from error
    return [images / name for name in sorted(names)]
