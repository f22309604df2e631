"""What a step shows to the network: all frames of all sources in their styles, and crops of them.

Legend: `K` views, `N` frames of all sources together, `P` crops a frame, `H W` pixels, `n` some of the views and crops.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus.datasets.sample import Batch, labels_of
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.randomization.consistency import Part
from isthmus.training.randomization.crops import Crops, cut_crops, draw_crops
from isthmus.training.randomization.styles.stylist import Stylist

_CROPS: Final = 85
"""Keeps the crops' random numbers apart from all others that are drawn from the run's seed."""


class Scene(NamedTuple):
    """Images with their labels, views first, then crops."""

    images: Tensor
    """[K+P,N,3,H,W] in [0, 1]."""
    masks: Tensor
    """[K+P,N,H,W] train ids."""
    crops: Crops | None
    """Where the crops lie."""
    num_views: int
    """K."""

    @property
    def num_crops(self) -> int:
        """P."""
        return len(self.images) - self.num_views

    @property
    def size_hw(self) -> tuple[int, int]:
        """Pixels of each image."""
        return self.images.shape[-2], self.images.shape[-1]

    def of(self, part: Part) -> tuple[Tensor, Tensor]:
        """Images [n,N,3,H,W] and masks [n,N,H,W] of a part."""
        first = part.views.start + part.crops.start
        last = first + len(part.views) + len(part.crops)
        return self.images[first:last], self.masks[first:last]


def build_scene(
    config: RandomizationConfig, stylist: Stylist, sources: Sequence[Batch], draw: tuple[int, int, int]
) -> Scene:
    """Randomize the sources' batches and cut crops, where consistency within an image plays.

    Args:
        config: Of the method.
        stylist: Makes the views.
        sources: One labelled batch a source, all of one size; not changed.
        draw: The run's seed, the step and this process's rank: everything random follows from them.
    """
    _, step, rank = draw
    views = torch.cat([stylist.views(batch["image"], step, i, rank) for i, batch in enumerate(sources)], dim=1)
    masks = torch.cat([labels_of(batch) for batch in sources])
    num_views, num_frames = views.shape[:2]
    of_views = masks.expand(num_views, *masks.shape)
    if config.consistency.weight_pci == 0:
        return Scene(views, of_views, None, num_views)
    crops = draw_crops(
        np.random.default_rng([_CROPS, *draw]),
        count=config.consistency.crops,
        num_views=num_views,
        num_frames=num_frames,
        size_hw=(views.shape[-2], views.shape[-1]),
        scale_range=config.consistency.crop_scale,
    )
    images, labels = cut_crops(views, masks, crops)
    there = Crops(crops.views.to(views.device), crops.boxes.to(views.device))
    return Scene(torch.cat([views, images]), torch.cat([of_views, labels]), there, num_views)
