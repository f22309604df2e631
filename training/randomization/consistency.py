"""Pyramid consistency across domains (PCD) and within an image (PCI), over any part of a step's views and crops.

Legend: `K` views, `N` frames, `P` crops a frame, `C` channels, `h w` cells of a map, `g` bins a side, `k p` how many of
the views and crops are at hand.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.training.randomization.config import ConsistencyConfig
from isthmus.training.randomization.crops import Crops
from isthmus.training.randomization.pyramid import Pyramid, pyramid, pyramid_distance, whole


class Part(NamedTuple):
    """Which views and crops go through the network together."""

    views: range
    """Among the K."""
    crops: range
    """Among the P."""


def parts_of(num_views: int, num_crops: int, most: int | None) -> list[Part]:
    """All views, then all crops, `most` of them at a time; all at once where it is None."""
    total = num_views + num_crops
    size = total if most is None else most
    bounds = [(first, min(first + size, total)) for first in range(0, total, size)]
    return [
        Part(
            range(min(first, num_views), min(last, num_views)),
            range(max(first - num_views, 0), max(last - num_views, 0)),
        )
        for first, last in bounds
    ]


class Targets:
    """The pyramids that views and crops are drawn to; gathered part by part, never with gradients.

    Args:
        config: Of the consistency.
        num_views: K.
        crops: Where the crops lie, None where none play.
        size_hw: Pixels of the views.
    """

    def __init__(
        self, config: ConsistencyConfig, num_views: int, crops: Crops | None, size_hw: tuple[int, int]
    ) -> None:
        self._config, self._num_views, self._crops, self._size_hw = config, num_views, crops, size_hw
        self.domains: dict[str, Pyramid] = {}
        """Mean over the views by layer, [N,C,g,g] a level."""
        self.regions: dict[str, Pyramid] = {}
        """What the full view shows where each crop lies, by layer, [P,N,C,g,g] a level."""
        self._seen = 0

    @property
    def is_complete(self) -> bool:
        """Whether all views have come."""
        return self._seen == self._num_views

    @torch.no_grad()
    def add(self, views: range, maps: Mapping[str, Tensor]) -> None:
        """Take the maps [n,N,C,h,w] of some of the views in, each view once; crops may come after them.

        Args:
            views: Which of the K.
            maps: By layer; the first are those of the views.
        """
        if not views:
            return
        self._seen += len(views)
        for name, one in maps.items():
            ours = one[: len(views)]
            if self._config.weight_pcd > 0:
                self._add_domains(name, pyramid_of(ours, self._size_hw, self._config.levels))
            if self._crops is not None:
                self._add_regions(name, ours, views, self._crops)

    def _add_domains(self, name: str, own: Pyramid) -> None:
        shares = tuple(level.sum(0) / self._num_views for level in own)
        known = self.domains.get(name)
        self.domains[name] = shares if known is None else tuple(a + b for a, b in zip(known, shares, strict=True))

    def _add_regions(self, name: str, maps: Tensor, views: range, crops: Crops) -> None:
        """Fill in the regions of those crops whose full view is at hand."""
        if name not in self.regions:
            shape = *crops.views.shape, maps.shape[2]
            self.regions[name] = tuple(maps.new_zeros(*shape, bins, bins) for bins in self._config.levels)
        crop, frame = torch.nonzero((crops.views >= views.start) & (crops.views < views.stop), as_tuple=True)
        cut = maps[crops.views[crop, frame] - views.start, frame]
        found = pyramid(cut, crops.boxes[crop, frame].double(), self._size_hw, self._config.levels)
        for level, values in zip(self.regions[name], found, strict=True):
            level[crop, frame] = values


def pyramid_of(maps: Tensor, size_hw: tuple[int, int], levels: Sequence[int]) -> Pyramid:
    """Pyramids of whole images: maps [k,N,C,h,w] to a [k,N,C,g,g] a level."""
    flat = maps.flatten(0, 1)
    pooled = pyramid(flat, whole(size_hw, len(flat), maps.device), size_hw, levels)
    return tuple(level.reshape(*maps.shape[:2], *level.shape[1:]) for level in pooled)


def domain_consistency(
    config: ConsistencyConfig, maps: Mapping[str, Tensor], targets: Targets, size_hw: tuple[int, int]
) -> Tensor:
    """L_PCD: each view's pyramids against the mean over all views, a weighted sum over the layers, 0 and up.

    *Equation*: L_PCD of DRPC, arXiv:1909.00889; its target takes no gradient. *Deviations*: see `pyramid_distance`;
    the mean is over the views of the step instead of over all K + 1 styles.

    Args:
        config: Layers, their weights, levels and distance.
        maps: [k,N,C,h,w] of some of the views, by layer.
        targets: From all views.
        size_hw: Pixels of the views.
    """
    return _distance(config, maps, targets.domains, size_hw)


def crop_consistency(
    config: ConsistencyConfig, maps: Mapping[str, Tensor], targets: Targets, crops: range, size_hw: tuple[int, int]
) -> Tensor:
    """L_PCI: each crop's pyramids against those of the same part of its full view, 0 and up.

    *Equation*: L_PCI of DRPC, arXiv:1909.00889; the full view takes no gradient. *Deviations*: see `pyramid_distance`.

    Args:
        config: Layers, their weights, levels and distance.
        maps: [p,N,C,h,w] of some of the crops, by layer.
        targets: From all views.
        crops: Which of the crops.
        size_hw: Pixels of the crops, after they were resized to the views' size.
    """
    own = {name: tuple(level[crops.start : crops.stop] for level in one) for name, one in targets.regions.items()}
    return _distance(config, maps, own, size_hw)


def _distance(
    config: ConsistencyConfig, maps: Mapping[str, Tensor], targets: Mapping[str, Pyramid], size_hw: tuple[int, int]
) -> Tensor:
    terms = []
    for name, weight in config.layers.items():
        own = pyramid_of(maps[name], size_hw, config.levels)
        distance = pyramid_distance(own, targets[name], distance=config.distance, level_weights=config.level_weights)
        terms.append(weight * distance)
    return torch.stack(terms).sum()
