"""From linear light to an 8-bit picture: lens, exposure, tone curve, noise, compression."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.style import SensorStyle

_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
_LENS_FLARE: Final = 0.06
"""Share of the light that the lens scatters over the whole picture: no photograph is quite black."""
_REFERENCE_HEIGHT: Final = 256
_MIDDLE_GREY: Final = 0.27


def develop(radiance: NDArray[np.float32], style: SensorStyle, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take the picture.

    Args:
        radiance: [H, W, 3] linear light, 0 and up.
        style: How good the camera is.
        rng: The frame's own generator.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    import cv2

    light = np.minimum(radiance, 16.0)
    scale = len(light) / _REFERENCE_HEIGHT
    bloom = rng.uniform(*style.bloom)
    glow = cv2.GaussianBlur(np.minimum(light, 6.0), (0, 0), 7.0 * scale)
    light = light * (1 - bloom) + glow * bloom
    blur = rng.uniform(*style.blur_px) * scale
    if blur > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), blur)
    light = light * _vignette(light.shape[:2], rng.uniform(*style.vignette))[..., None]
    warmth = rng.uniform(*style.warmth)
    light = light * np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    brightness = light[len(light) // 3 :] @ _LUMA  # metered on the street, not on the sky
    gain = rng.uniform(*style.exposure) * _MIDDLE_GREY / max(float(np.mean(np.minimum(brightness, 1.5))), 0.02)
    picture = _tone_curve(light * np.float32(min(gain, 4.0)))
    grey = (picture @ _LUMA)[..., None]
    picture = grey + (picture - grey) * rng.uniform(*style.saturation)
    picture = 0.45 + (picture - 0.45) * rng.uniform(*style.contrast)
    picture = picture * (1 - _LENS_FLARE) + _LENS_FLARE * float(picture.mean())
    noise = rng.uniform(*style.noise)
    if noise > 0:
        grain = rng.standard_normal(picture.shape, np.float32) * 0.7
        grain += rng.standard_normal((*picture.shape[:2], 1), np.float32) * 0.7
        picture = picture + grain * noise * np.sqrt(np.clip(1.2 - picture, 0.2, 1.2))
    finished: NDArray[np.uint8] = np.clip(picture * 255.0 + 0.5, 0, 255).astype(np.uint8)
    if style.jpeg_quality is not None:
        quality = int(rng.integers(*style.jpeg_quality))
        done, encoded = cv2.imencode(".jpg", finished[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        finished = np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)
    return finished


def _tone_curve(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light to display values: a filmic shoulder (Narkowicz's fit of ACES, 2015), then sRGB's gamma."""
    x = np.maximum(light, 0.0) * 0.9
    mapped = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)
    curve: NDArray[np.float32] = np.clip(mapped, 0.0, 1.0) ** np.float32(1 / 2.2)
    return curve


def _vignette(shape_hw: tuple[int, int], strength: float) -> NDArray[np.float32]:
    height, width = shape_hw
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    falloff: NDArray[np.float32] = (1.0 - strength * (x**2 + y**2) / 2).astype(np.float32)
    return falloff
