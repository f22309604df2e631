"""From frames to batches, in this process or in workers; frames come from files (`sampling`) or shards (`shards`)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from isthmus.datasets.sample import Batch
from isthmus.errors import ConfigurationError, IsthmusError


class Item(NamedTuple):
    """One frame of a batch."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    mask: NDArray[np.uint8] | None
    """[H, W] train ids; None for an unlabelled target."""
    name: str


def collate(items: Sequence[Item | IsthmusError]) -> Batch | IsthmusError:
    """One batch, or the first error among the items: torch would flatten what is raised in a worker to text."""
    frames: list[Item] = []
    for item in items:
        if isinstance(item, IsthmusError):
            return item
        frames.append(item)
    sizes = {frame.image.shape[:2] for frame in frames}
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        return ConfigurationError(
            f"frames of different sizes in one batch: {listed}",
            where=frames[0].name,
            remedy="Resize all frames to one resolution, or use a batch size of 1.",
        )
    pixels = torch.from_numpy(np.stack([frame.image for frame in frames]))
    batch: Batch = {
        "image": pixels.permute(0, 3, 1, 2).to(torch.float32).contiguous().div_(255),
        "names": [frame.name for frame in frames],
    }
    masks = [frame.mask for frame in frames if frame.mask is not None]
    if masks:
        batch["mask"] = torch.from_numpy(np.stack(masks)).to(torch.int64)
    return batch


def batches(dataset: Dataset[Any], *, num_workers: int, pin_memory: bool, **options: Any) -> Iterator[Batch]:
    """What a torch loader makes of a data set of batches or errors.

    Args:
        dataset: Gives batches or, with a sampler and `collate` among the options, items; or errors as values.
        num_workers: Worker processes; 0 loads in this process.
        pin_memory: Page-locked batches, for copying to a GPU while it computes.
        options: Further ones of torch's `DataLoader`.

    Raises:
        IsthmusError: The one that a batch turned out to be, when it is due.
    """
    loader: DataLoader[Any] = DataLoader(
        dataset,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker if num_workers else None,
        # The loader draws a base seed that nothing here uses: not from the run's generator, which resume restores.
        generator=torch.Generator(),
        **options,
    )
    for item in loader:
        if isinstance(item, IsthmusError):
            raise item
        yield item


def _start_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)  # worker processes are the parallelism; threads on top of them only get in each other's way
