"""The base of all data sets, and that of the readers of files: frame paths, raw ids, and a table to train ids."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.images import read_image_rgb, read_label_png
from isthmus.datasets.label_space import IGNORE_INDEX, LabelSpace
from isthmus.datasets.sample import Sample, UnlabelledSample
from isthmus.errors import DataError, DataMissingError, PairMismatchError, UnknownLabelIdError

Part = Literal["fit", "holdout"]
"""A fixed division of a split that has no validation frames of its own; see `select_part`."""

_NUM_BLOCKS = 20
_HOLDOUT_EVERY = 10


@dataclass(frozen=True, slots=True)
class FramePaths:
    """One frame on disk."""

    name: str
    """The image's path relative to the data set's root, with forward slashes."""
    image: Path
    label: Path | None
    """None where the split has no labels (Cityscapes `test`)."""


class SegmentationDataset(ABC):
    """A labelled (or, for some splits, unlabelled) set of street frames, by number.

    What training, evaluation and the doctor know of a data set. Most are files in a layout of their own, see
    `FileDataset`; `shards.Shards` are any of those, packed for streaming.
    """

    dataset_name: str
    """Name in configurations and in tables, for example `gta5`."""
    label_space: LabelSpace
    """The space that this data set is evaluated in."""
    id_table: NDArray[np.int16]
    """Raw id, as in the label files, to train id; see `label_space.build_id_table`."""
    root: Path
    """Its top folder."""
    split: str
    """One of its splits."""
    part: Part | None = None
    """The part of the split that is used."""
    limit: int | None = None
    """Only the first so many frames are used."""
    labelled: bool = True
    """False where label files are not looked at."""
    refused: tuple[DataError, ...] = ()
    """Frames that the data set is known to hold in a broken state: left out, each with its reason."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Frame `index` with its mask in train ids.

        Raises:
            DataMissingError: The split has no labels.
            PairMismatchError: Image and label differ in size.
            UnknownLabelIdError: The label holds an id that the data set does not know.
            UnreadableFileError: A file is truncated.
        """

    @abstractmethod
    def read_unlabelled(self, index: int) -> UnlabelledSample:
        """Frame `index` without touching its label."""

    @abstractmethod
    def read_mask(self, index: int) -> NDArray[np.uint8]:
        """Train ids [H, W] uint8 of frame `index`; raises as `[index]` does."""

    @abstractmethod
    def representatives(self, count: int) -> range:
        """Indices of about `count` frames that stand for all of them and are cheap to read in this order."""

    @property
    @abstractmethod
    def draw_key(self) -> str:
        """What the order of training's draws depends on, beside the run's seed and configuration."""

    @property
    def labelled_train_ids(self) -> frozenset[int]:
        """Train ids that this data set's labels can hold."""
        return frozenset(int(i) for i in self.id_table if 0 <= i < IGNORE_INDEX)

    def unknown_ids(self, raw_ids: NDArray[np.integer]) -> list[int]:
        """Those raw ids that have no place in `id_table`."""
        table = self.id_table
        return [int(raw) for raw in raw_ids if raw >= len(table) or table[raw] < 0]


class FileDataset(SegmentationDataset):
    """A data set in its real on-disk layout: a file for each image and one for each label.

    Subclasses state in their docstring: the layout, the number of images, the label space, licence and
    citation. They set the class attributes and implement `_list_frames`; where their ids depend on files, that
    method sets `id_table` too.

    Args:
        root: The data set's top folder.
        split: One of `splits`.
        limit: Use only the first so many frames (in sorted order, after `part`); for trials.
        part: Use only this part of the split; see `select_part`.
        collect: Where given, images and labels that don't pair up are added here instead of being raised.
        labelled: False lists images only: label files are not looked at, where real ones may not even exist.

    Raises:
        DataMissingError: The root, the split or the label folder is missing, or it holds no frame.
        PairMismatchError: An image has no label, or a label no image.
    """

    splits: tuple[str, ...]
    """Splits that exist, training split first."""

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        limit: int | None = None,
        part: Part | None = None,
        collect: list[DataError] | None = None,
        labelled: bool = True,
    ) -> None:
        if split not in self.splits:
            raise DataMissingError(
                f"{self.dataset_name} has no split {split!r}", remedy=f"Choose from {', '.join(self.splits)}."
            )
        if not root.is_dir():
            raise DataMissingError(
                f"no such folder, so {self.dataset_name} cannot be read",
                where=root,
                remedy="Check the `root` of this data set.",
            )
        self.root = root
        self.split = split
        self.part = part
        self.limit = limit
        self.labelled = labelled
        self._collect = collect
        frames = sorted(self._list_frames(), key=lambda frame: frame.name)
        if not labelled:  # simulators' readers always find theirs
            frames = [replace(frame, label=None) for frame in frames]
        if not frames:
            raise DataMissingError(
                f"{self.dataset_name} split {split!r} holds no frame",
                where=root,
                remedy=f"`isthmus data list` shows the expected layout of {self.dataset_name}.",
            )
        self.frames: tuple[FramePaths, ...] = tuple(select_part(frames, part)[:limit])
        if not self.frames:
            raise DataMissingError(
                f"part {part!r} of {self.dataset_name} split {split!r} is empty: it has {len(frames)} frames",
                where=root,
                remedy=f"A held-out part needs at least {_HOLDOUT_EVERY} frames.",
            )

    def _report(self, errors: Sequence[DataError]) -> None:
        """Note problems of one kind in the listing; where none are collected, raise the first with their number."""
        if self._collect is not None:
            self._collect.extend(errors)
        elif errors:
            first = errors[0]
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise type(first)(f"{first.problem}{more}", where=first.where, remedy=first.remedy)

    @abstractmethod
    def _list_frames(self) -> Sequence[FramePaths]:
        """All frames of the split, in any order; pairs checked."""

    def read_label_ids(self, path: Path) -> NDArray[np.integer]:
        """Raw ids [H, W] of a label file, before any mapping; by default of an 8-bit grey or palette PNG.

        Raises:
            UnreadableFileError: The file is truncated or has the wrong mode.
        """
        return read_label_png(path)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        """Frame `index`, from its two files."""
        frame = self.frames[index]
        image = read_image_rgb(frame.image)
        mask = self.read_mask(index)
        self.check_sizes(frame, image.shape, mask.shape)
        return {"image": image, "mask": mask, "name": frame.name}

    def read_unlabelled(self, index: int) -> UnlabelledSample:
        """Frame `index` without touching its label file."""
        frame = self.frames[index]
        return {"image": read_image_rgb(frame.image), "name": frame.name}

    def read_mask(self, index: int) -> NDArray[np.uint8]:
        """Train ids [H, W] uint8 of a frame's label file."""
        frame = self.frames[index]
        if frame.label is None:
            raise DataMissingError(f"{self.dataset_name} split {self.split!r} has no labels", where=frame.image)
        raw = self.read_label_ids(frame.label)
        table = self.id_table
        mask: NDArray[np.int16] = table[np.minimum(raw, len(table) - 1)]
        if mask.min(initial=0) < 0 or raw.max(initial=0) >= len(table):
            self.check_ids(frame, np.unique(raw))
        return mask.astype(np.uint8)

    def representatives(self, count: int) -> range:
        """Evenly spaced frames: neighbours in a drive are near-duplicates."""
        return range(0, len(self), max(1, -(-len(self) // count)))

    @property
    def draw_key(self) -> str:
        """The number of frames alone."""
        return f"{len(self)} frames"

    def check_ids(self, frame: FramePaths, raw_ids: NDArray[np.integer]) -> None:
        """Refuse a label file for the ids in it.

        Args:
            frame: Where the ids are from, for the message.
            raw_ids: The different ids of its label file.

        Raises:
            UnknownLabelIdError: One of them has no place in `id_table`.
        """
        unknown = self.unknown_ids(raw_ids)
        if unknown:
            raise UnknownLabelIdError(
                f"unknown label id {', '.join(map(str, unknown))} for {self.dataset_name}",
                where=frame.label,
                remedy="Map the id (a folder data set's `id_map`) or fetch the file again.",
            )

    def check_sizes(self, frame: FramePaths, image_shape: tuple[int, ...], label_shape: tuple[int, ...]) -> None:
        """Refuse a pair of different sizes.

        Raises:
            PairMismatchError: Height or width differ.
        """
        if image_shape[:2] != label_shape[:2]:
            raise PairMismatchError(
                f"label is {label_shape[1]}x{label_shape[0]} but image {frame.image.name} is "
                f"{image_shape[1]}x{image_shape[0]}",
                where=frame.label,
                remedy="Remove the pair or fetch it again.",
            )


def select_part(frames: Sequence[FramePaths], part: Part | None) -> Sequence[FramePaths]:
    """The frames of one part of a split.

    The sorted frames are cut into 20 contiguous blocks of nearly equal size (one a frame where there are fewer);
    the 10th and the 20th are `holdout`, the others `fit`. Whole blocks, because neighbouring frames of a drive
    are near-duplicates and a random division would leak.

    Args:
        frames: All frames of the split, sorted.
        part: None for all of them.
    """
    if part is None:
        return frames
    num_blocks = min(_NUM_BLOCKS, len(frames))
    blocks = [i * num_blocks // len(frames) for i in range(len(frames))]
    held_out = [block % _HOLDOUT_EVERY == _HOLDOUT_EVERY - 1 for block in blocks]
    return [frame for frame, held in zip(frames, held_out, strict=True) if held == (part == "holdout")]
