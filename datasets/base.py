"""The base of all readers: a list of frame paths, a way to read raw ids, and a table to train ids."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.images import read_image_rgb
from isthmus.datasets.label_space import IGNORE_INDEX, LabelSpace
from isthmus.datasets.sample import Sample, UnlabelledSample
from isthmus.errors import DataMissingError, PairMismatchError, UnknownLabelIdError


@dataclass(frozen=True, slots=True)
class FramePaths:
    """One frame on disk."""

    name: str
    """The image's path relative to the data set's root, with forward slashes."""
    image: Path
    label: Path | None
    """None where the split has no labels (Cityscapes `test`)."""


class SegmentationDataset(ABC):
    """A labelled (or, for some splits, unlabelled) set of street frames in its real on-disk layout.

    Subclasses state in their docstring: the layout, the number of images, the label space, licence and
    citation. They set the class attributes and implement `_list_frames` and `read_label_ids`.

    Args:
        root: The data set's top folder.
        split: One of `splits`.
        limit: Use only the first so many frames (in sorted order); for trials.

    Raises:
        DataMissingError: The root, the split or the label folder is missing, or it holds no frame.
        PairMismatchError: An image has no label, or a label no image.
    """

    dataset_name: ClassVar[str]
    """Name in configurations, for example `gta5`."""
    label_space: ClassVar[LabelSpace]
    """The space that this data set is evaluated in."""
    splits: ClassVar[tuple[str, ...]]
    """Splits that exist, training split first."""

    def __init__(self, root: Path, split: str, *, limit: int | None = None) -> None:
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
        frames = sorted(self._list_frames(), key=lambda frame: frame.name)
        if not frames:
            raise DataMissingError(
                f"{self.dataset_name} split {split!r} holds no frame",
                where=root,
                remedy=f"`isthmus data list` shows the expected layout of {self.dataset_name}.",
            )
        self.frames: tuple[FramePaths, ...] = tuple(frames[:limit])

    @property
    @abstractmethod
    def id_table(self) -> NDArray[np.int16]:
        """Raw id to train id; see `label_space.id_table`."""

    @property
    @abstractmethod
    def labelled_train_ids(self) -> frozenset[int]:
        """Train ids that this data set's labels can hold."""

    @abstractmethod
    def _list_frames(self) -> Sequence[FramePaths]:
        """All frames of the split, in any order; pairs checked."""

    @abstractmethod
    def read_label_ids(self, path: Path) -> NDArray[np.integer]:
        """Raw ids [H, W] of a label file, before any mapping.

        Raises:
            UnreadableFileError: The file is truncated or has the wrong mode.
        """

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        """Frame `index` with its mask in train ids.

        Raises:
            DataMissingError: The split has no labels.
            PairMismatchError: Image and label differ in size.
            UnknownLabelIdError: The label holds an id that the data set does not know.
            UnreadableFileError: A file is truncated.
        """
        frame = self.frames[index]
        image = read_image_rgb(frame.image)
        mask = self.read_mask(frame)
        if mask.shape != image.shape[:2]:
            raise PairMismatchError(
                f"label is {mask.shape[1]}x{mask.shape[0]} but image {frame.image.name} is "
                f"{image.shape[1]}x{image.shape[0]}",
                where=frame.label,
                remedy="Remove the pair or fetch it again.",
            )
        return {"image": image, "mask": mask, "name": frame.name}

    def read_unlabelled(self, index: int) -> UnlabelledSample:
        """Frame `index` without touching its label file."""
        frame = self.frames[index]
        return {"image": read_image_rgb(frame.image), "name": frame.name}

    def read_mask(self, frame: FramePaths) -> NDArray[np.uint8]:
        """Train ids [H, W] uint8 of a frame's label file."""
        if frame.label is None:
            raise DataMissingError(f"{self.dataset_name} split {self.split!r} has no labels", where=frame.image)
        raw = self.read_label_ids(frame.label)
        table = self.id_table
        clipped = np.minimum(raw, len(table) - 1) if raw.max(initial=0) >= len(table) else raw
        mask: NDArray[np.int16] = table[clipped]
        unknown = (mask < 0) | (raw >= len(table))
        if unknown.any():
            ids = sorted(int(i) for i in np.unique(raw[unknown]))
            raise UnknownLabelIdError(
                f"unknown label id {', '.join(map(str, ids))} for {self.dataset_name}",
                where=frame.label,
                remedy="Map the id (a folder data set's `id_map`) or fetch the file again.",
            )
        assert mask.max(initial=0) <= IGNORE_INDEX
        return mask.astype(np.uint8)
