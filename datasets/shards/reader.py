"""A packed split as a data set."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.label_space import IGNORE_INDEX, LABEL_SPACES, build_id_table
from isthmus.datasets.sample import Sample, UnlabelledSample
from isthmus.datasets.shards.index import read_index
from isthmus.datasets.shards.reading import FrameReader, PackedFrame

SHUFFLE_FRAMES: Final = 256
"""Frames that wait, still compressed, in each process that trains; 0.6 GB of GTA5's."""


class Shards(SegmentationDataset):
    """Any data set's split in tar files, in webdataset's form, as `packing.pack_dataset` writes it.

    Layout:
        ```
        SPLIT.json              the index
        SPLIT-000000.tar …      KEY.png or KEY.jpg, the image file's own bytes; KEY.mask.png, train ids in 8-bit grey
        ```

    Frames come in the order in which they were packed, which is random. Reading them in rising order streams each
    shard once; any other order works and is slow.

    Args:
        root: The folder of the index.
        split: Name of the packed split, for example `all` or `all-fit`.
        limit: Use only the first so many frames.
        labelled: False leaves masks alone.
        shuffle_frames: Frames that wait in training's shuffle buffers.

    Raises:
        DataMissingError: There is no such index.
        UnreadableFileError: It is damaged.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        limit: int | None = None,
        labelled: bool = True,
        shuffle_frames: int = SHUFFLE_FRAMES,
    ) -> None:
        self.index = read_index(root, split)
        source = self.index.source
        self.dataset_name = source.dataset
        self.label_space = LABEL_SPACES[source.label_space]
        self.id_table = build_id_table({i: i for i in source.labelled_train_ids}, ignored=(IGNORE_INDEX,))
        self.root, self.split, self.limit, self.labelled = root, split, limit, labelled
        self.shuffle_frames = shuffle_frames
        self._num_frames = source.num_frames if limit is None else min(limit, source.num_frames)
        self._reader = self.open_reader()

    def open_reader(self) -> FrameReader:
        """A reader of the packed frames with a position of its own."""
        return FrameReader(self.root, self.index)

    @property
    def frames_per_shard(self) -> tuple[int, ...]:
        """Number of used frames in each shard that has any."""
        left, counts = len(self), []
        for shard in self.index.shards:
            counts.append(min(left, shard.num_frames))
            left -= counts[-1]
        return tuple(count for count in counts if count)

    @property
    def digest(self) -> str:
        """The source's digest where all frames are used, so that both forms of a data set are known as one."""
        if len(self) == self.index.source.num_frames:
            return self.index.source.digest
        return hashlib.sha256(f"{self.index.source.digest}\0packed\0{len(self)}".encode()).hexdigest()

    @property
    def draw_key(self) -> str:
        """The numbers of frames in the shards."""
        counts = ",".join(map(str, self.frames_per_shard))
        return f"{len(self)} frames in shards {hashlib.sha256(counts.encode()).hexdigest()[:12]}"

    def __len__(self) -> int:
        return self._num_frames

    def __getitem__(self, index: int) -> Sample:
        """Frame `index` with its mask; see the class for which order is fast."""
        return self._read(index).decoded()

    def read_unlabelled(self, index: int) -> UnlabelledSample:
        """Frame `index` without its mask."""
        return self._read(index).decoded_unlabelled()

    def read_mask(self, index: int) -> NDArray[np.uint8]:
        """Train ids [H, W] uint8 of frame `index`."""
        return self._read(index).decoded_mask()

    def representatives(self, count: int) -> range:
        """The first frames: they were packed in random order."""
        return range(min(count, len(self)))

    def _read(self, index: int) -> PackedFrame:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._reader.read(index)
