"""Fractal noise: fields whose spectrum falls with frequency, the way clouds, dirt and photographs do."""

import numpy as np
from numpy.typing import NDArray


def fractal_field(rng: np.random.Generator, size_hw: tuple[int, int], *, exponent: float) -> NDArray[np.float64]:
    """A tiling random field with mean 0 and standard deviation 1.

    Args:
        rng: Where the field comes from.
        size_hw: Height and width.
        exponent: Amplitudes fall with 1/f^exponent: 0 is white noise, 1 about a photograph, 2 soft clouds.

    Returns:
        [H, W] float64.
    """
    height, width = size_hw
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij"))
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal(size_hw)) / frequency**exponent
    field = np.fft.irfft2(spectrum, size_hw)
    normal: NDArray[np.float64] = (field - field.mean()) / field.std()
    return normal
