"""Spatial pyramids of feature maps, and how far two of them are apart.

Legend: `B` maps, `C` channels, `h w` cells of a map, `H W` pixels of the image that it belongs to, `g` bins a side.
"""

from collections.abc import Sequence
from typing import Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from isthmus.training.segmenters import SIZE_MULTIPLE

Distance = Literal["l1", "kl"]
"""How two pyramids are compared."""
Pyramid = tuple[Tensor, ...]
"""One tensor [..., C, g, g] a level."""


def whole(size_hw: tuple[int, int], batch: int, device: torch.device) -> Tensor:
    """Boxes [batch, 4] that hold an image of `size_hw` pixels."""
    return torch.tensor([0, 0, *size_hw], dtype=torch.float64, device=device).expand(batch, 4)


def pyramid(maps: Tensor, boxes: Tensor, size_hw: tuple[int, int], levels: Sequence[int]) -> Pyramid:
    """Spatial pyramid pooling: the mean of a map in each bin of grids over a part of its image.

    *Equation*: rho of DRPC, arXiv:1909.00889, there over a whole map or over the part of it that belongs to a crop.
    *Deviations*: a map's cells are taken as constant squares, and each counts by the area that it shares with a bin.
    Bins may so begin and end within cells: a crop's edges lie where the crop's pixels do, not at the next cell.

    Args:
        maps: [B,C,h,w] float32 or float64; they span the image padded as `segmenters.pad_to_multiple` does.
        boxes: [B,4] top, left, bottom and right of each part, in pixels of the image.
        size_hw: Pixels of the image before it was padded.
        levels: Bins a side of each grid.

    Returns:
        For each level a [B,C,g,g].
    """
    padded = [side + -side % SIZE_MULTIPLE for side in size_hw]
    rows = boxes[:, [0, 2]] * (maps.shape[-2] / padded[0])
    columns = boxes[:, [1, 3]] * (maps.shape[-1] / padded[1])
    levelled = []
    for bins in levels:
        down = _bin_shares(rows, maps.shape[-2], bins).to(maps)
        across = _bin_shares(columns, maps.shape[-1], bins).to(maps)
        levelled.append(torch.einsum("bgh,bchw,bkw->bcgk", down, maps, across))
    return tuple(levelled)


def _bin_shares(spans: Tensor, cells: int, bins: int) -> Tensor:
    """How much each cell counts in each bin of `spans` [B,2] along one side: [B,bins,cells], each bin sums to 1."""
    start, length = spans[:, :1], (spans[:, 1:] - spans[:, :1]) / bins
    lower = (start + length * torch.arange(bins, device=spans.device))[..., None]
    upper = lower + length[..., None]
    cell = torch.arange(cells, device=spans.device)
    overlap = torch.minimum(upper, cell + 1.0) - torch.maximum(lower, cell.to(spans.dtype))
    return overlap.clamp_min(0.0) / length[..., None]


def pyramid_distance(
    own: Pyramid, target: Pyramid, *, distance: Distance = "l1", level_weights: Sequence[float] | None = None
) -> Tensor:
    """How far pyramids are from their targets, 0 and up; gradients flow into the first alone.

    *Equation*: the norm in L_PCD and L_PCI of DRPC, arXiv:1909.00889. *Deviations*: a mean over values within a level
    and a weighted mean over levels, where the paper sums over all, so that a loss's weight depends on no size.
    Level weights that equal the numbers of bins, (1, 4, 16, 64), give each bin of the pyramid the same part.

    Args:
        own: For each level [..., C, g, g].
        target: The same, or with fewer leading sides, which are repeated; taken as constant.
        distance: `l1`, mean absolute difference; `kl`, KL(target ‖ own) over channels, mean over bins, nats: for
            probabilities only.
        level_weights: How much each level counts, in the order of the levels; alike where left out.
    """
    weights = [1.0] * len(own) if level_weights is None else level_weights
    terms = [
        weight * _level_distance(one, other.detach(), distance)
        for one, other, weight in zip(own, target, weights, strict=True)
    ]
    return torch.stack(terms).sum() / sum(weights)


def _level_distance(own: Tensor, target: Tensor, distance: Distance) -> Tensor:
    match distance:
        case "l1":
            return (own - target).abs().mean()
        case "kl":
            # A probability that underflowed to 0 would make it infinite.
            log_own = own.clamp_min(torch.finfo(own.dtype).tiny).log()
            return functional.kl_div(log_own, target.expand_as(own), reduction="none").sum(-3).mean()
        case _:
            assert_never(distance)
