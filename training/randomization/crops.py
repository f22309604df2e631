"""Crops of styled images, for consistency within an image.

Legend: `K` views, `N` frames, `P` crops a frame, `H W` pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Crops(NamedTuple):
    """Which part of which view each crop shows."""

    views: Tensor
    """[P,N] int64, 0..K-1."""
    boxes: Tensor
    """[P,N,4] int64: top, left, bottom and right in pixels; bottom and right are just outside."""


def draw_crops(
    rng: np.random.Generator,
    *,
    count: int,
    num_views: int,
    num_frames: int,
    size_hw: tuple[int, int],
    scale_range: tuple[float, float],
) -> Crops:
    """Boxes of the image's own shape, at places and scales drawn uniformly, each in a view drawn uniformly.

    Args:
        rng: Decides all.
        count: P.
        num_views: K.
        num_frames: N.
        size_hw: Pixels of the views.
        scale_range: Smallest and largest side of a box as a share of the image's.
    """
    shape = count, num_frames
    views = rng.integers(num_views, size=shape)
    scales = rng.uniform(*scale_range, size=shape)
    sides = np.maximum(1, np.rint(scales[..., None] * np.asarray(size_hw))).astype(np.int64)
    corners = rng.integers(np.asarray(size_hw) - sides + 1)
    return Crops(torch.from_numpy(views), torch.from_numpy(np.concatenate([corners, corners + sides], axis=-1)))


def cut_crops(views: Tensor, masks: Tensor, crops: Crops) -> tuple[Tensor, Tensor]:
    """The crops as images of the views' size, bilinear, with their labels by the nearest pixel.

    Args:
        views: [K,N,3,H,W].
        masks: [N,H,W]; not changed.
        crops: Where.

    Returns:
        Images [P,N,3,H,W] and masks [P,N,H,W].
    """
    size_hw = views.shape[-2], views.shape[-1]
    places = [
        (view, frame, *box)
        for own_views, own_boxes in zip(crops.views.tolist(), crops.boxes.tolist(), strict=True)
        for frame, (view, box) in enumerate(zip(own_views, own_boxes, strict=True))
    ]
    images = [_resized(views[view, frame, :, a:c, b:d], size_hw) for view, frame, a, b, c, d in places]
    labels = [_nearest(masks[frame, a:c, b:d], size_hw) for _, frame, a, b, c, d in places]
    shape = crops.views.shape
    return torch.stack(images).reshape(*shape, *views.shape[2:]), torch.stack(labels).reshape(*shape, *size_hw)


def _resized(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    return functional.interpolate(image[None], size_hw, mode="bilinear", align_corners=False)[0]


def _nearest(mask: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The label under the centre of each pixel of the larger grid."""
    rows, columns = (
        (2 * torch.arange(new, device=mask.device) + 1) * old // (2 * new)
        for old, new in zip(mask.shape, size_hw, strict=True)
    )
    return mask[rows[:, None], columns]
