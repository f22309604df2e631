"""What a data set yields and what a loader batches, with shapes.

Legend: `B` batch, `H W` pixels.
"""

from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Sample(TypedDict):
    """One frame as read from disk."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB, 0..255."""
    mask: NDArray[np.uint8]
    """[H, W] train ids 0..18, 255 ignored."""
    name: str
    """Stable name of the frame inside its data set: the image's path relative to the root."""


class UnlabelledSample(TypedDict):
    """One frame without a label, from an adaptation target."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB, 0..255."""
    name: str
    """Stable name of the frame inside its data set."""


class Batch(TypedDict):
    """Frames of one domain, ready for a segmenter (which normalises by itself)."""

    image: "Tensor"
    """[B, 3, H, W] float32 RGB in [0, 1]."""
    mask: NotRequired["Tensor"]
    """[B, H, W] int64 train ids, 255 ignored; absent for an unlabelled target."""
    names: list[str]
    """One name a frame."""


def labels_of(batch: Batch) -> "Tensor":
    """The mask of a labelled batch, [B, H, W]."""
    assert "mask" in batch, "a source's batch has labels"
    return batch["mask"]
