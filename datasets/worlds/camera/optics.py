"""Between the street and the sensor: movement, scattered light, colour fringes, focus, vignette."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats
from isthmus.datasets.worlds.style import SensorStyle

REFERENCE_HEIGHT: Final = 256
"""Sizes in pixels are meant at this height and scale with it."""
_MOTION_STEPS: Final = 5
_UNMOVED: Final = 0.004
_MOST_BLOOM: Final = 0.3
_SHARP_PX: Final = 0.15
_GLARE_SHARE: Final = 8
_DAZZLING: Final = 1.6


def in_motion(light: Floats, zoom: float, vanishing: tuple[float, float]) -> Floats:
    """Blur of driving straight on: away from the vanishing point, growing with the distance from it.

    Args:
        light: [H, W, 3].
        zoom: How much larger the last moment shows things than the first.
        vanishing: Where the car drives to, as shares of width and height.
    """
    import cv2

    if zoom < _UNMOVED:
        return light
    height, width = light.shape[:2]
    x, y = vanishing[0] * width, vanishing[1] * height
    moments = []
    for share in np.linspace(-0.5, 0.5, _MOTION_STEPS):
        scale = 1.0 + zoom * float(share)
        move = np.array([[scale, 0, x * (1 - scale)], [0, scale, y * (1 - scale)]])
        moments.append(cv2.warpAffine(light, move, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return np.asarray(np.mean(moments, axis=0, dtype=np.float32))


def through_glass(light: Floats, style: SensorStyle, rng: np.random.Generator, *, glare: float) -> Floats:
    """Bloom, glare, fringes, blur and vignette.

    Args:
        light: [H, W, 3] linear light.
        style: How good the camera is.
        rng: The frame's generator.
        glare: How far the glass scatters what dazzles; grows after dark and with rain on it.
    """
    import cv2

    scale = len(light) / REFERENCE_HEIGHT
    bloom, blur = min(rng.uniform(*style.bloom) * (1.0 + glare), _MOST_BLOOM), rng.uniform(*style.blur_px) * scale
    glow = cv2.GaussianBlur(np.minimum(light, 6.0), (0, 0), 7.0 * scale)
    light = light * np.float32(1 - bloom) + glow * np.float32(bloom) + _glare(light, bloom)
    light = _fringed(light, rng.uniform(*style.fringe))
    if blur > _SHARP_PX:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur), np.float32)
    height, width = light.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    falloff = 1.0 - np.float32(rng.uniform(*style.vignette) / 2) * (x * x + y * y)
    return np.asarray(light * falloff[..., None])


def _glare(light: Floats, strength: float) -> Floats:
    """The wide veil around what dazzles."""
    import cv2

    height, width = light.shape[:2]
    small = (max(width // _GLARE_SHARE, 1), max(height // _GLARE_SHARE, 1))
    dazzling = np.maximum(cv2.resize(light, small, interpolation=cv2.INTER_AREA) - np.float32(_DAZZLING), 0.0)
    wide = cv2.GaussianBlur(dazzling, (0, 0), small[1] * 0.14)
    return np.asarray(cv2.resize(wide, (width, height)) * np.float32(2.0 * strength), np.float32)


def _fringed(light: Floats, share: float) -> Floats:
    """Red drawn a little larger, blue a little smaller: lateral chromatic aberration."""
    import cv2

    if share <= 0:
        return light
    height, width = light.shape[:2]
    bent = light.copy()
    for channel, scale in ((0, 1.0 + share), (2, 1.0 - share)):
        move = np.array([[scale, 0, width / 2 * (1 - scale)], [0, scale, height / 2 * (1 - scale)]])
        plane = np.ascontiguousarray(light[..., channel])
        bent[..., channel] = cv2.warpAffine(plane, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return bent
