"""Where generators may begin: the map that gives one domain the other's mean and contrast, channel by channel."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus.datasets.base import SegmentationDataset
from isthmus.training.generators import ResnetGenerator

FRAMES_MEASURED: Final = 100
"""Frames a data set whose colours are measured; means are stable long before."""


class Colors(NamedTuple):
    """Of a domain's frames, [3] float64 each, of values in [0, 1]."""

    mean: Tensor
    """Of all pixels."""
    deviation: Tensor
    """Within a frame: root of the mean of the frames' variances. What differs between frames is content, not look."""


def measure_colors(datasets: Sequence[SegmentationDataset]) -> Colors:
    """Mean and contrast of a domain that several data sets make up, each as much as the others.

    Raises:
        DataError: A frame cannot be read.
    """
    means, variances = (torch.stack(each).mean(0) for each in zip(*map(_moments, datasets), strict=True))
    return Colors(means, variances.sqrt())


def begin_with_colors(generator: ResnetGenerator, of: Colors, to: Colors) -> None:
    """Let a generator begin as the map from one domain's mean and contrast to the other's.

    *Source*: colour transfer between images (Reinhard et al., IEEE CG&A 2001), in RGB and between domains here.

    Args:
        generator: With `colors` in its configuration.
        of: The domain that it translates.
        to: The domain whose look it gives.
    """
    scale = to.deviation / of.deviation.clamp_min(1e-3)
    generator.set_colors(scale.float(), (to.mean - scale * of.mean).float())


def _moments(dataset: SegmentationDataset) -> tuple[Tensor, Tensor]:
    """[3] mean and variance within a frame, means over the frames."""
    moments = []
    for index in dataset.representatives(FRAMES_MEASURED):
        pixels = dataset.read_unlabelled(index)["image"].reshape(-1, 3) / 255.0
        moments.append((pixels.mean(0), pixels.var(0)))
    mean, variance = (torch.from_numpy(np.mean(each, axis=0)).double() for each in zip(*moments, strict=True))
    return mean, variance
