"""Tiny fakes of every data set in its real layout."""

from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import dataset_class
from isthmus.datasets.fakes import write_fakes

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
