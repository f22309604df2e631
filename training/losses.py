"""Losses over logits and masks.

Legend: `B` batch, `C` classes, `H W` pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from isthmus.datasets.label_space import IGNORE_INDEX


def cross_entropy(logits_BCHW: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Pixel-wise cross-entropy (the task loss, equation 7 of MADAN, arXiv:1910.12181).

    Args:
        logits_BCHW: Raw scores.
        mask: [B, H, W] int64 train ids; 255 counts nowhere.
        class_weights: [C] weight of each true class, or None for 1 each.

    Returns:
        Scalar: the (weighted) mean over valid pixels, nats; 0 with zero gradients where no pixel is valid.
    """
    total = functional.cross_entropy(
        logits_BCHW, mask, weight=class_weights, ignore_index=IGNORE_INDEX, reduction="sum"
    )
    valid = mask[mask != IGNORE_INDEX]
    weight = class_weights[valid].sum() if class_weights is not None else valid.new_tensor(valid.numel())
    return total / weight.to(total.dtype).clamp_min(torch.finfo(total.dtype).tiny)


def enet_weights(frequencies: Tensor) -> Tensor:
    """Class weights 1 / ln(1.02 + p) (Paszke et al., ENet, arXiv:1606.02147, section 5.2).

    Args:
        frequencies: [C] share p of each class among the valid pixels, in [0, 1].

    Returns:
        [C] weights between 1.4 (p = 1) and 50.5 (p = 0).
    """
    return 1.0 / torch.log(1.02 + frequencies)
