"""What a person looks at to see whether randomization goes well: one street in all its styles, and its crops.

Legend: `K` views, `P` crops, `C` classes, `H W` pixels, `h w` cells of the class scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from isthmus.training.method import Picture
from isthmus.training.segmenters import upsample_logits
from isthmus.training.tensor_pictures import label_picture, rgb_picture


@dataclass(frozen=True, slots=True)
class Shown:
    """The first frame of a step, copied: views would keep whole batches until the next step has its own."""

    images: Tensor
    """[K+P,3,H,W] in [0, 1]: views, then crops."""
    masks: Tensor
    """[K+P,H,W] train ids."""
    logits: Tensor
    """[K+P,C,h,w]."""
    num_views: int
    """K."""


def draw(shown: Shown) -> Mapping[str, Picture]:
    """`styles`: a row of labels and all views, a row of what is seen in them; `crops`, where they play: a row each.

    Below the labels stands where views disagree, the whiter the more of them differ from the first.
    """
    height, width = shown.masks.shape[-2:]
    labels = upsample_logits(shown.logits, (height, width)).argmax(1)
    views = range(shown.num_views)
    above = [label_picture(shown.masks[0]), *(rgb_picture(shown.images[view]) for view in views)]
    below = [_disagreement(labels[: shown.num_views]), *(label_picture(labels[view]) for view in views)]
    pictures = {"styles": _grid([above, below])}
    crops = range(shown.num_views, len(shown.images))
    if crops:
        rows = [
            [rgb_picture(shown.images[one]), label_picture(shown.masks[one]), label_picture(labels[one])]
            for one in crops
        ]
        pictures["crops"] = _grid(rows)
    return pictures


def _grid(rows: Sequence[Sequence[Picture]]) -> Picture:
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def _disagreement(labels: Tensor) -> NDArray[np.uint8]:
    """Share of [K,H,W] label maps that differ from the first, as grey [H,W,3]."""
    share = (labels[1:] != labels[:1]).float().sum(0) / max(len(labels) - 1, 1)
    grey = (share.cpu().numpy() * 255).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
