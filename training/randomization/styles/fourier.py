"""Fourier domains: a frame takes the amplitudes of its lowest frequencies from a style image."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.training.randomization.styles.config import FourierConfig, Kind
from isthmus.training.randomization.styles.images import StyleImages


def swap_amplitudes(images: Tensor, styles: Tensor, beta: Tensor) -> Tensor:
    """Give the low frequencies of each channel the style's amplitudes; all phases and other amplitudes stay.

    *Equation*: FDA (Yang and Soatto, arXiv:2004.05498, equations 1 to 3): x' = F^-1([M A(z) + (1 - M) A(x)] e^(i P(x)))
    for image x, style z, amplitude A and phase P. M is the centred window of the frequencies |u|, |v| <= b cycles an
    image, b = floor(beta min(H, W)); it is empty for b = 0, so that beta = 0 changes nothing, as the paper says. (The
    released code swaps the zero frequency then.)

    Args:
        images: RGB in [0, 1], [B,3,H,W], float32.
        styles: The same.
        beta: [B] in [0, 0.5].

    Returns:
        [B,3,H,W]; may leave [0, 1].
    """
    height, width = images.shape[-2:]
    half = (beta * min(height, width) + 1e-4).floor()[:, None, None]
    rows = (torch.fft.fftfreq(height, device=images.device) * height).round().abs()[:, None]
    columns = (torch.fft.rfftfreq(width, device=images.device) * width).round()
    window = ((rows <= half) & (columns <= half) & (half > 0))[:, None]
    spectrum = torch.fft.rfft2(images)
    amplitude = torch.where(window, torch.fft.rfft2(styles).abs(), spectrum.abs())
    swapped: Tensor = torch.fft.irfft2(torch.polar(amplitude, spectrum.angle()), s=(height, width))
    return swapped


class FourierDomain:
    """Frames with the low frequencies of one of a few style images.

    Args:
        config: How low.
        images: The domain's own.
    """

    kind: Kind = "fourier"

    def __init__(self, config: FourierConfig, images: StyleImages) -> None:
        self._config, self._images = config, images

    def stylise(self, images: Tensor, source: int, draws: np.random.Generator) -> Tensor:  # noqa: ARG002
        """See `StyleDomain`."""
        height, width = images.shape[-2:]
        styles = self._images.draw(len(images), (height, width), draws)
        beta = images.new_tensor(draws.uniform(*self._config.beta, size=len(images)))
        return swap_amplitudes(images, styles, beta)

    def describe(self) -> dict[str, Any]:
        """See `StyleDomain`."""
        return {"parameters": {"beta": list(self._config.beta)}, "images": self._images.describe()}
