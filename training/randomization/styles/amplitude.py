"""Amplitude domains: noise on a frame's amplitude spectrum, without style images."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.training.randomization.styles.config import AmplitudeConfig, Kind


def perturb_amplitudes(images: Tensor, noise: Tensor, config: AmplitudeConfig) -> Tensor:
    """Multiply each frequency's amplitude by 1 plus noise that grows with the frequency; phases stay.

    *Equation*: PASTA (Chattopadhyay et al., arXiv:2212.00979): x' = Re F^-1(A(x) e e^(i P(x))) with
    e ~ N(1, s(f)^2), s(f) = (alpha |f| / max |f|)^k + beta, drawn for each channel and frequency. As in its released
    code the real part is taken, so that a frequency and its mirror image share the mean of their two draws.

    Args:
        images: RGB in [0, 1], [B,3,H,W], float32.
        noise: Standard normal, of the same shape; frequencies in the order of `torch.fft.fft2`.
        config: alpha, k (`exponent`) and beta (`base`).

    Returns:
        [B,3,H,W]; may leave [0, 1].
    """
    height, width = images.shape[-2:]
    rows = torch.fft.fftfreq(height, device=images.device)[:, None] * height
    columns = torch.fft.fftfreq(width, device=images.device) * width
    radius = torch.sqrt(rows**2 + columns**2)
    deviation = (config.alpha * radius / radius.max().clamp_min(1)) ** config.exponent + config.base
    perturbed: Tensor = torch.fft.ifft2(torch.fft.fft2(images) * (1 + deviation * noise)).real
    return perturbed


class AmplitudeDomain:
    """Frames under one of a few fixed spectra of noise.

    The noise comes from the generator of the images' device: the same on each device of a kind, and not the same on
    the CPU and on a GPU.

    Args:
        config: How much noise, and how many spectra.
        seed: Of the run.
        number: Of the domain; its spectra are those from `number * patterns` on.
    """

    kind: Kind = "amplitude"

    def __init__(self, config: AmplitudeConfig, *, seed: int, number: int) -> None:
        self._config, self._seed = config, seed
        self._first = number * config.patterns

    def stylise(self, images: Tensor, source: int, draws: np.random.Generator) -> Tensor:  # noqa: ARG002
        """See `StyleDomain`."""
        chosen = self._first + draws.integers(self._config.patterns, size=len(images))
        noise = torch.stack([self._spectrum(int(pattern), images) for pattern in chosen])
        return perturb_amplitudes(images, noise, self._config)

    def describe(self) -> dict[str, Any]:
        """See `StyleDomain`."""
        config = self._config
        parameters = {"alpha": config.alpha, "exponent": config.exponent, "base": config.base, "seed": self._seed}
        return {"parameters": {**parameters, "spectra": [self._first, self._first + config.patterns - 1]}}

    def _spectrum(self, pattern: int, images: Tensor) -> Tensor:
        """Standard normal noise [3,H,W] that depends on seed, pattern and size alone."""
        words = np.random.SeedSequence([self._seed, pattern]).generate_state(1, np.uint64)
        generator = torch.Generator(images.device).manual_seed(int(words[0]) >> 1)
        return torch.randn(images.shape[1:], generator=generator, device=images.device)
