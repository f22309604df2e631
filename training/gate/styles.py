"""A frame in other colours: same street, another camera, hour and white balance. What it shows stays where it is."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_GREY: Final = np.array([0.299, 0.587, 0.114], np.float32)


class Style(NamedTuple):
    """How colours change: x' = grey + saturation · (x^gamma · gains − grey), then contrast around one half."""

    gamma: float
    gains: tuple[float, float, float]
    """Of red, green and blue."""
    saturation: float
    contrast: float


STYLES: Final = (
    Style(0.75, (1.12, 1.0, 0.85), 1.0, 1.0),  # a warm evening, brighter
    Style(1.35, (0.88, 1.0, 1.15), 1.0, 1.0),  # a cold morning, darker
    Style(1.0, (1.0, 1.0, 1.0), 0.35, 0.65),  # a pale, hazy camera
    Style(1.0, (1.0, 1.0, 1.0), 1.5, 1.35),  # a camera that adds colour and contrast
)


def restyled(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """A frame [H, W, 3] RGB in the colours of style `number`, counted round."""
    style = STYLES[number % len(STYLES)]
    table = (np.arange(256, dtype=np.float32) / 255) ** style.gamma
    colours = table[image] * np.array(style.gains, np.float32)
    grey = (colours @ _GREY)[..., None]
    saturated = grey + style.saturation * (colours - grey)
    values = 0.5 + style.contrast * (saturated - 0.5)
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
