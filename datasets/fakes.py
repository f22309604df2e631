"""Tiny random but legal data sets in every real layout, for tests and trials."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.catalogue import layout_writer
from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX


def write_fakes(
    dataset_name: str, root: Path, split: str, *, num_frames: int, size_hw: tuple[int, int], seed: int
) -> tuple[str, ...]:
    """Write frames of random rectangles, coloured by class so that something can be learnt from them.

    Args:
        dataset_name: One of `catalogue.DATASETS`.
        root: The data set's top folder; made where missing.
        split: One of the layout's splits; for several splits, call once each.
        num_frames: How many.
        size_hw: Height and width of each.
        seed: The same seed writes the same bytes.

    Returns:
        The frames' names.
    """
    writer = layout_writer(dataset_name)(root, split)
    names = []
    for index in range(num_frames):
        rng = np.random.default_rng([seed, index])
        train_ids, instances = _rectangles(rng, size_hw)
        noise = rng.integers(-20, 21, (*size_hw, 3))
        image = np.clip(CITYSCAPES19.palette[train_ids] + noise, 0, 255).astype(np.uint8)
        names.append(writer.write(index, image, train_ids, instances))
    writer.finish()
    return tuple(names)


def _rectangles(rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Sky above road, 24 rectangles of random classes, and an unlabelled left column."""
    height, width = size_hw
    train_ids = np.zeros(size_hw, np.uint8)
    train_ids[: height // 2] = 10
    instances = np.zeros(size_hw, np.uint16)
    for number in range(1, 25):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        window = (slice(top, top + max(1, height // 4)), slice(left, left + max(1, width // 4)))
        train_ids[window] = rng.integers(19)
        instances[window] = number
    train_ids[:, 0] = IGNORE_INDEX
    return train_ids, instances
