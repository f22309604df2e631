"""How fast training frames come from files and from shards: both ways measured in turns, in one run."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.sampling import build_loader
from isthmus.datasets.shards.order import LANES
from isthmus.datasets.shards.reader import Shards
from isthmus.datasets.transforms import AugmentationConfig, build_training_transform
from isthmus.errors import ConfigurationError

_TURNS: Final = ("files", "shards", "shards", "files") * 2
"""Short and mixed, so that other work on the machine, which comes and goes, favours neither."""
_WARM_UP_BATCHES: Final = 2
"""For each worker: those that were prepared before the clock started."""


@dataclass(frozen=True, slots=True)
class LoadingSpeed:
    """Images a second with one number of workers."""

    workers: int
    files: float
    shards: float

    @property
    def ratio(self) -> float:
        """Of shards to files."""
        return self.shards / self.files


@dataclass(frozen=True, slots=True)
class LoadingReport:
    """What was measured, and how."""

    dataset: str
    num_frames: int
    num_shards: int
    crop_size_hw: tuple[int, int]
    batch_size: int
    seconds: float
    """Of each figure."""
    cores: int
    """That this process may use."""
    speeds: tuple[LoadingSpeed, ...]

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "speeds": [{**asdict(speed), "ratio": speed.ratio} for speed in self.speeds]}

    def render(self, console: Console) -> None:
        """Print the table and what stands behind it."""
        table = Table(title=f"Training frames of {self.dataset}, images a second")
        for column in ("workers", "files", "shards", "shards / files"):
            table.add_column(column, justify="right")
        for speed in self.speeds:
            table.add_row(str(speed.workers), f"{speed.files:.1f}", f"{speed.shards:.1f}", f"{speed.ratio:.2f}")
        console.print(table)
        height, width = self.crop_size_hw
        console.print(
            f"{self.num_frames} frames, {self.num_shards} shards, {self.cores} cores. Each figure: {self.seconds:g} s "
            f"in {len(_TURNS) // 2} turns, of reading, decoding and augmentation to {height}x{width} in batches of "
            f"{self.batch_size}. What fits into memory comes from the page cache in both forms: this says nothing of "
            "a cold disk or of an object store.",
            highlight=False,
        )


def measure_loading(
    files: DatasetConfig,
    shards: DatasetConfig,
    *,
    workers: Sequence[int],
    seconds: float,
    crop_size_hw: tuple[int, int],
    batch_size: int,
    progress: Console | None = None,
) -> LoadingReport:
    """Images a second that training's loader gives.

    Args:
        files: A data set in its own layout.
        shards: The same, packed.
        workers: Numbers of worker processes to try.
        seconds: For each figure, without warming up.
        crop_size_hw: Height and width that frames are resized and cropped to.
        batch_size: Frames a batch.
        progress: Where to draw a progress bar; None for none.

    Raises:
        ConfigurationError: A number is out of range, or both sets are not the same frames.
        DataError: A frame cannot be read.
    """
    if seconds <= 0 or batch_size < 1 or not workers or min(workers) < 0:
        raise ConfigurationError("seconds and batch_size must be above 0, and numbers of workers 0 or more")
    unfit = [number for number in workers if number and LANES % number]
    if unfit:
        raise ConfigurationError(f"{unfit[0]} workers cannot read shards", remedy="Measure 0, 1, 2, 4 or 8.")
    packed = build_dataset(shards)
    assert isinstance(packed, Shards)
    datasets: dict[str, SegmentationDataset] = {"files": build_dataset(files), "shards": packed}
    frames = {name: f"{len(dataset)} frames of {dataset.dataset_name}" for name, dataset in datasets.items()}
    if frames["files"] != frames["shards"]:
        raise ConfigurationError(
            f"the files are {frames['files']} but the shards {frames['shards']}",
            where=shards.root,
            remedy="Compare a data set with its own shards.",
        )
    augmentation = AugmentationConfig(resize_hw=crop_size_hw, crop_size_hw=crop_size_hw)
    speeds = []
    with Progress(console=progress, disable=progress is None, transient=True) as bar:
        task = bar.add_task("measuring", total=len(workers) * len(_TURNS))
        for number in workers:
            batches, spent = dict.fromkeys(datasets, 0), dict.fromkeys(datasets, 0.0)
            for turn in _TURNS:
                count, took = _timed(datasets[turn], augmentation, number, 2 * seconds / len(_TURNS), batch_size)
                batches[turn] += count
                spent[turn] += took
                bar.advance(task)
            rates = {name: batch_size * batches[name] / spent[name] for name in datasets}
            speeds.append(LoadingSpeed(workers=number, files=rates["files"], shards=rates["shards"]))
    return LoadingReport(
        dataset=files.title,
        num_frames=len(packed),
        num_shards=len(packed.frames_per_shard),
        crop_size_hw=crop_size_hw,
        batch_size=batch_size,
        seconds=seconds,
        cores=len(os.sched_getaffinity(0)),
        speeds=tuple(speeds),
    )


def _timed(
    dataset: SegmentationDataset, augmentation: AugmentationConfig, workers: int, seconds: float, batch_size: int
) -> tuple[int, float]:
    """Batches in about so many seconds, and the seconds that they took."""
    loader = build_loader(
        dataset,
        transform=build_training_transform(augmentation),
        seed=0,
        stream="benchmark",
        batch_size=batch_size,
        num_workers=workers,
    )
    for _ in islice(loader, _WARM_UP_BATCHES * max(1, workers)):
        pass
    started = time.perf_counter()
    count, took = 0, 0.0
    while took < seconds:
        next(loader)
        count += 1
        took = time.perf_counter() - started
    return count, took
