"""The target's frames and the style images must be no frames that the run is judged on: that would be cheating."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from isthmus.datasets.base import FileDataset, SegmentationDataset
from isthmus.datasets.shards.reader import Shards
from isthmus.errors import ConfigurationError

_JUDGED_SPLITS: Final = frozenset({"val", "test"})
_OWN_FOLDER: Final = "folder"


def check_target_apart(target: SegmentationDataset, judged: Sequence[tuple[str, SegmentationDataset]]) -> None:
    """Refuse a target that shares frames with a validation or evaluation set, under whatever name, or is such a split.

    Files are compared by path, and by content where two have the same size: copies are found, copies that were written
    anew in another form are not. Packed sets are compared by what their index says they were packed from, since reading
    all of an object store is no check. A `val` or `test` split is refused whatever this run is judged on: others judge
    by it. Frames of a folder of one's own have no such splits.

    Args:
        target: The unlabelled pool that a method adapts to.
        judged: Title and frames of each set that the run is judged on.

    Raises:
        ConfigurationError: Naming the set, how many frames are shared, and one of them; or the split.
    """
    files = _by_size(frame.image for frame in target.frames) if isinstance(target, FileDataset) else {}
    for title, dataset in judged:
        if isinstance(target, FileDataset) and isinstance(dataset, FileDataset):
            shared = _frames_among(dataset, files)
        else:
            shared = _shared_origin(target, dataset)
        if shared:
            raise ConfigurationError(
                f"the target holds {len(shared)} of the frames of {title}, for example {shared[0]}",
                where="target",
                remedy="Adapt to the training split alone, and judge on frames that no training has seen.",
            )
    split = _origin(target)[1]
    if split in _JUDGED_SPLITS and _origin(target)[0] != _OWN_FOLDER:
        raise ConfigurationError(
            f"the target is split {split} of {_origin(target)[0]}, which models are judged on",
            where="target",
            remedy="Name its train split, or frames of your own as data set folder.",
        )


def check_styles_apart(images: Iterable[Path], judged: Sequence[tuple[str, SegmentationDataset]]) -> None:
    """Refuse style images that are frames of a validation or evaluation set; packed sets are passed over.

    Args:
        images: Files.
        judged: As in `check_target_apart`.

    Raises:
        ConfigurationError: Naming the set, how many frames are shared, and one of them.
    """
    files = _by_size(images)
    for title, dataset in judged:
        shared = _frames_among(dataset, files) if isinstance(dataset, FileDataset) else []
        if shared:
            raise ConfigurationError(
                f"the style images hold {len(shared)} of the frames of {title}, for example {shared[0]}",
                where="method.styles.images",
                remedy="Take style images from elsewhere: what a run is judged on may lend it no look.",
            )


def _by_size(images: Iterable[Path]) -> Mapping[int, list[Path]]:
    """Image files by their size in bytes."""
    files: dict[int, list[Path]] = defaultdict(list)
    for image in images:
        files[image.stat().st_size].append(image.resolve())
    return files


def _frames_among(dataset: FileDataset, files: Mapping[int, list[Path]]) -> list[str]:
    return [str(frame.image) for frame in dataset.frames if _is_among(frame.image, files)]


def _is_among(image: Path, files: Mapping[int, list[Path]]) -> bool:
    candidates = files.get(image.stat().st_size, [])
    return image.resolve() in candidates or any(_digest(one) == _digest(image) for one in candidates)


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _shared_origin(target: SegmentationDataset, judged: SegmentationDataset) -> list[str]:
    """All frames of the judged set, by number, where both come from overlapping parts of one split."""
    same = _origin(target)[:2] == _origin(judged)[:2]
    parts = {_origin(target)[2], _origin(judged)[2]}
    return [f"frame {number}" for number in range(len(judged))] if same and parts != {"fit", "holdout"} else []


def _origin(dataset: SegmentationDataset) -> tuple[str, str, str | None]:
    """Data set, split and part that the frames come from."""
    if isinstance(dataset, Shards):
        source = dataset.index.source
        return source.dataset, source.split, source.part
    return dataset.dataset_name, dataset.split, dataset.part
