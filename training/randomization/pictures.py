"""What a person looks at to see whether randomization goes well: one street in all its styles, and its crops.

Legend: `K` views, `P` crops, `C` classes, `H W` pixels, `h w` cells of the class scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from isthmus.training.method import Picture
from isthmus.training.segmenters import upsample_logits
from isthmus.training.tensor_pictures import label_picture, rgb_picture, share_picture, titled_grid


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
    titles = ("labels; where views differ", "as it is", *(f"style {view}" for view in views[1:]))
    pictures = {"styles": titled_grid(titles, [above, below])}
    crops = range(shown.num_views, len(shown.images))
    if crops:
        rows = [
            [rgb_picture(shown.images[one]), label_picture(shown.masks[one]), label_picture(labels[one])]
            for one in crops
        ]
        pictures["crops"] = titled_grid(("crop", "labels", "seen"), rows)
    return pictures


def _disagreement(labels: Tensor) -> Picture:
    """Share of [K,H,W] label maps that differ from the first."""
    return share_picture((labels[1:] != labels[:1]).float().sum(0) / max(len(labels) - 1, 1))
