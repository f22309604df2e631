"""sRGB and CIELAB, white point D65.

*Equation*: IEC 61966-2-1 for sRGB, CIE 15 for L*a*b*.
"""

from typing import Final

import torch
from torch import Tensor

_TO_XYZ: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE: Final = tuple(sum(row) for row in _TO_XYZ)
"""D65 as this matrix gives it, so that grey has no colour."""
_DELTA: Final = 6 / 29
"""Where the cube root gives way to a line."""


def rgb_to_lab(images: Tensor) -> Tensor:
    """From sRGB in [0, 1], [B,3,H,W], to L* in [0, 100] and a*, b* of about -100 to 100."""
    coded = images.clamp_min(0.04045)
    linear = torch.where(images <= 0.04045, images / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    ratio = _product(torch.tensor(_TO_XYZ), linear) / _column(images)
    root = torch.where(ratio > _DELTA**3, ratio.clamp_min(_DELTA**3) ** (1 / 3), ratio / (3 * _DELTA**2) + 4 / 29)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """From L*a*b* to sRGB, [B,3,H,W]; colours that sRGB lacks come out below 0 or above 1."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], 1)
    ratio = torch.where(root > _DELTA, root**3, 3 * _DELTA**2 * (root - 4 / 29))
    inverse = torch.linalg.inv(torch.tensor(_TO_XYZ, dtype=torch.float64)).float()
    linear = _product(inverse, ratio * _column(lab))
    coded = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, coded)


def _product(matrix: Tensor, images: Tensor) -> Tensor:
    """A 3x3 matrix times each pixel; element by element, since autocast would round a matrix product."""
    return (matrix.to(images)[None, :, :, None, None] * images[:, None]).sum(2)


def _column(images: Tensor) -> Tensor:
    return images.new_tensor(_WHITE)[None, :, None, None]
