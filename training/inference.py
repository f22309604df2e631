"""Predicting whole frames, in one piece or window by window.

Legend: `B` batch, `C` classes, `H W` pixels.
"""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional


def predict_train_ids(logits_BCHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The likeliest train id [B, *size_hw] uint8, logits upsampled first: labels would turn to stairs."""
    if logits_BCHW.shape[-2:] != torch.Size(size_hw):
        logits_BCHW = functional.interpolate(logits_BCHW, size=size_hw, mode="bilinear", align_corners=False)
    return logits_BCHW.argmax(1).to(torch.uint8)


def sliding_logits(
    segmenter: nn.Module, image: Tensor, window_hw: tuple[int, int], stride_hw: tuple[int, int]
) -> Tensor:
    """Logits [B,C,H,W] as the mean over all windows that see a pixel.

    Args:
        segmenter: RGB [B,3,h,w] in [0, 1] → logits [B,C,h,w].
        image: [B,3,H,W]; windows larger than it shrink to it.
        window_hw: Size of a window.
        stride_hw: Distance between windows; the last ones are pushed back inside the image.
    """
    height, width = image.shape[-2:]
    window_h, window_w = min(window_hw[0], height), min(window_hw[1], width)
    tops, lefts = window_starts(height, window_h, stride_hw[0]), window_starts(width, window_w, stride_hw[1])
    total = image.new_zeros(())
    seen = image.new_zeros(1, 1, height, width)
    for top, left in product(tops, lefts):
        part = (..., slice(top, top + window_h), slice(left, left + window_w))
        logits = segmenter(image[part])
        if total.ndim == 0:  # the number of classes is known now
            total = logits.new_zeros(*logits.shape[:2], height, width)
        total[part] += logits
        seen[part] += 1
    return total / seen


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin so that they cover `length`, the last one ending at its end."""
    return [*range(0, length - window, stride), length - window]
