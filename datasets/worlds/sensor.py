"""From linear light to an 8-bit picture: lens, exposure, tone curve, noise, compression."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.mesh import Floats
from isthmus.datasets.worlds.style import SensorStyle

_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
_LENS_FLARE: Final = 0.06
"""Share of the light that the lens scatters over the whole picture: no photograph is quite black."""
_REFERENCE_HEIGHT: Final = 256
_MIDDLE_GREY: Final = 0.27
_BRIGHTEST: Final = 16.0
_PIVOT: Final = 0.45
_SHARP_PX: Final = 0.15


def develop(radiance: NDArray[np.float32], style: SensorStyle, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take the picture.

    Args:
        radiance: [H, W, 3] linear light, 0 and up.
        style: How good the camera is.
        rng: The frame's own generator.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    light = _through_lens(np.minimum(radiance, _BRIGHTEST), style, rng)
    warmth = rng.uniform(*style.warmth)
    light = light * np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    brightness = light[len(light) // 3 :] @ _LUMA  # metered on the street, not on the sky
    gain = rng.uniform(*style.exposure) * _MIDDLE_GREY / max(float(np.mean(np.minimum(brightness, 1.5))), 0.02)
    picture = _tone_curve(light * np.float32(min(gain, 4.0)))
    grey = (picture @ _LUMA)[..., None]
    picture = grey + (picture - grey) * np.float32(rng.uniform(*style.saturation))
    picture = _PIVOT + (picture - _PIVOT) * np.float32(rng.uniform(*style.contrast))
    picture = picture * (1 - _LENS_FLARE) + _LENS_FLARE * picture.mean()
    noise = rng.uniform(*style.noise)
    if noise > 0:
        grain = rng.standard_normal(picture.shape, np.float32) + rng.standard_normal(
            (*picture.shape[:2], 1), np.float32
        )
        picture = picture + grain * np.float32(0.7 * noise) * np.sqrt(np.clip(1.2 - picture, 0.2, 1.2))
    finished: NDArray[np.uint8] = np.clip(picture * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return finished if style.jpeg_quality is None else _jpeg(finished, int(rng.integers(*style.jpeg_quality)))


def _through_lens(light: Floats, style: SensorStyle, rng: np.random.Generator) -> Floats:
    """Bloom, blur and vignette."""
    import cv2

    scale = len(light) / _REFERENCE_HEIGHT
    bloom, blur = rng.uniform(*style.bloom), rng.uniform(*style.blur_px) * scale
    glow = cv2.GaussianBlur(np.minimum(light, 6.0), (0, 0), 7.0 * scale)
    light = light * (1 - bloom) + glow * bloom
    if blur > _SHARP_PX:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur), np.float32)
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    falloff = 1.0 - rng.uniform(*style.vignette) * (x**2 + y**2) / 2
    return np.asarray(light * falloff.astype(np.float32)[..., None])


def _tone_curve(light: Floats) -> Floats:
    """Linear light to display values: a filmic shoulder (Narkowicz's fit of ACES, 2015), then sRGB's gamma."""
    x = np.maximum(light, 0.0) * 0.9
    mapped = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(mapped, 0.0, 1.0) ** np.float32(1 / 2.2))


def _jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Through a camera's compression and back."""
    import cv2

    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert done
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
