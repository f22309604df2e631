"""How often each class occurs in the sources."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.label_space import CITYSCAPES19

FRAMES_COUNTED: Final = 500
"""Frames a source whose pixels are counted; frequencies are stable long before."""


def class_frequencies(sources: Sequence[SegmentationDataset]) -> Tensor:
    """Share of each train id among valid pixels.

    Returns:
        [19] float32 in [0, 1], summing to 1: the mean over the sources, since each gives as much to a batch.

    Raises:
        DataError: A label cannot be read.
    """
    return torch.stack([_of_one(source) for source in sources]).mean(0).float()


def _of_one(source: SegmentationDataset) -> Tensor:
    classes = CITYSCAPES19.num_classes
    counts = np.zeros(256, np.int64)
    for index in source.representatives(FRAMES_COUNTED):
        counts += np.bincount(source.read_mask(index).ravel(), minlength=256)
    valid = torch.from_numpy(counts[:classes]).double()
    return valid / valid.sum().clamp_min(1)
