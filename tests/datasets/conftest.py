"""Tiny fakes of every data set in its real layout."""

from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, dataset_class
from isthmus.datasets.fakes import write_fakes
from isthmus.datasets.shards import Shards
from isthmus.datasets.shards.packing import pack_dataset

SIZE_HW = (24, 32)


@pytest.fixture
def open_fakes(tmp_path: Path) -> Callable[..., SegmentationDataset]:
    """A function that writes fakes of a data set and opens them."""

    def write_and_open(name: str, *, split: str | None = None, num_frames: int = 3) -> SegmentationDataset:
        reader = dataset_class(name)
        split = split or reader.splits[0]
        write_fakes(name, tmp_path / name, split, num_frames=num_frames, size_hw=SIZE_HW, seed=0)
        return reader(tmp_path / name, split)

    return write_and_open


@pytest.fixture
def pack_fakes(open_fakes, tmp_path: Path) -> Callable[..., tuple[SegmentationDataset, Shards]]:
    """A function that writes fakes of a data set and opens them twice: as files and packed."""

    def write_and_pack(
        name: str = "camvid", *, split: str | None = None, num_frames: int = 10, frames_per_shard: int = 3, **options
    ) -> tuple[SegmentationDataset, Shards]:
        files = open_fakes(name, split=split, num_frames=num_frames)
        config = DatasetConfig(dataset=name, root=files.root, split=files.split)
        index = pack_dataset(config, tmp_path / "shards", frames_per_shard=frames_per_shard, **options)
        return files, Shards(tmp_path / "shards", index.source.packed_split)

    return write_and_pack
