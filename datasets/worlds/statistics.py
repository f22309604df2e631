"""How much of each class a set holds: shares of pixels and shares of frames."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX

_MIN_PIXELS: Final = 20
"""A class counts as present in a frame from so many pixels on."""


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """Shares of the 19 classes in a set of masks."""

    num_frames: int
    pixel_shares: dict[str, float]
    """By class name, of all pixels; what is missing to 1 is ignored."""
    frame_shares: dict[str, float]
    """By class name, of frames with at least 20 pixels of it."""


def class_statistics(masks: Iterable[NDArray[np.uint8]]) -> ClassStatistics:
    """Count the classes of masks [H, W] in train ids.

    Example:
        >>> shares = class_statistics([np.zeros((10, 10), np.uint8)])
        >>> shares.pixel_shares["road"], shares.frame_shares["sky"]
        (1.0, 0.0)
    """
    pixels, frames, count = np.zeros(256, np.int64), np.zeros(256, np.int64), 0
    for mask in masks:
        histogram = np.bincount(mask.ravel(), minlength=IGNORE_INDEX + 1)
        pixels += histogram
        frames += histogram >= _MIN_PIXELS
        count += 1
    names = CITYSCAPES19.names
    return ClassStatistics(
        count,
        {name: float(pixels[i] / max(pixels.sum(), 1)) for i, name in enumerate(names)},
        {name: float(frames[i] / max(count, 1)) for i, name in enumerate(names)},
    )
