"""Frames spoiled as weather, optics and links spoil them: five corruptions at three severities.

The kinds follow ImageNet-C (Hendrycks and Dietterich, arXiv:1903.12261); strengths are our own, set by share of the
frame's height where they have a length, since street frames come in many sizes. Everything random follows from the
frame's place among the spoiled ones, so that two models, on any day, see the same spoiled frames.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""[H, W, 3] RGB."""

SEVERITIES: Final = (1, 2, 3)
"""Mild, clear, severe."""

_NOISE_DEVIATION: Final = (10.0, 20.0, 35.0)
"""Of the normal noise, in grey levels of 255."""
_BLUR_SIGMA: Final = (0.003, 0.006, 0.012)
"""Of the Gaussian, as a share of the frame's height."""
_FOG_DENSITY: Final = (1.0, 2.0, 4.0)
"""Optical depth at the horizon."""
_EXPOSURE: Final = (0.5, 1.0, 1.5)
"""Stops up, on frames of even number, or down."""
_JPEG_QUALITY: Final = (30, 15, 7)
"""Of libjpeg's 100."""
_FOG_COLOUR: Final = 205.0
_GAMMA: Final = 2.2


def corrupt(image: Image, kind: str, severity: int, *, number: int) -> Image:
    """A spoiled copy of a frame.

    Args:
        image: [H, W, 3] RGB; stays as it is.
        kind: A key of `CORRUPTIONS`.
        severity: One of `SEVERITIES`.
        number: Of the frame among those that are spoiled, from 0 (an index in the data set may be even for all of
            them); decides everything random.
    """
    draws = np.random.default_rng([list(CORRUPTIONS).index(kind), severity, number])
    return CORRUPTIONS[kind](image, severity - 1, number, draws)


def _noise(image: Image, level: int, _number: int, draws: np.random.Generator) -> Image:
    """A sensor at night: normal noise, the same deviation everywhere and independent in each channel."""
    noise = draws.standard_normal(image.shape, np.float32)
    return _to_bytes(image + np.float32(_NOISE_DEVIATION[level]) * noise)


def _blur(image: Image, level: int, _number: int, _draws: np.random.Generator) -> Image:
    """A lens out of focus, as a Gaussian."""
    import cv2

    sigma = _BLUR_SIGMA[level] * image.shape[0]
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigmaX=sigma), np.uint8)


def _fog(image: Image, level: int, _number: int, draws: np.random.Generator) -> Image:
    """Koschmieder's law x t + fog (1 − t), t = exp(−density · patch / nearness), on a flat road seen from a car.

    Without depth maps the distance of a row is taken from its place: the horizon lies at half height, rows below it
    come nearer in proportion, rows above it are far. Patches vary the density by up to a third.
    """
    import cv2

    height, width = image.shape[:2]
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    nearness = 1 + 8 * np.clip(rows - 0.5, 0, None)[:, None]  # 1 at the horizon and above, 5 at the lower edge
    few = draws.uniform(2 / 3, 4 / 3, (4, 6)).astype(np.float32)
    patches = np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    seen = np.exp(-_FOG_DENSITY[level] * patches / nearness)[..., None]
    return _to_bytes(image * seen + np.float32(_FOG_COLOUR) * (1 - seen))


def _brightness(image: Image, level: int, number: int, _draws: np.random.Generator) -> Image:
    """A wrong exposure: light times 2^stops on frames of even number, 2^-stops on the others; what clips is lost."""
    stops = _EXPOSURE[level] * (1 if number % 2 == 0 else -1)
    table = 255 * ((np.arange(256) / 255) ** _GAMMA * 2.0**stops) ** (1 / _GAMMA)
    return _to_bytes(table)[image]


def _jpeg(image: Image, level: int, _number: int, _draws: np.random.Generator) -> Image:
    """A thin link: JPEG at low quality, chroma halved as encoders do by default."""
    import cv2

    reversed_channels = np.ascontiguousarray(image[..., ::-1])  # OpenCV's order is blue, green, red
    done, encoded = cv2.imencode(".jpg", reversed_channels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY[level]])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if done else None
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)


def _to_bytes(values: NDArray[np.floating]) -> Image:
    clipped: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped


CORRUPTIONS: Final[Mapping[str, Callable[[Image, int, int, np.random.Generator], Image]]] = {
    "noise": _noise,
    "blur": _blur,
    "fog": _fog,
    "brightness": _brightness,
    "jpeg": _jpeg,
}
"""By name; the order is part of the random numbers."""
