"""From linear light to an 8-bit picture: glass, exposure, tone curve, noise, compression."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.camera.optics import REFERENCE_HEIGHT, in_motion, through_glass
from isthmus.datasets.worlds.camera.windscreen import in_rain, with_dirt
from isthmus.datasets.worlds.geometry.mesh import Floats
from isthmus.datasets.worlds.style import SensorStyle

_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
_LENS_FLARE: Final = 0.06
"""Share of the light that the lens scatters over the whole picture: no photograph is quite black."""
_MIDDLE_GREY: Final = 0.27
_BRIGHTEST: Final = 16.0
_LARGEST_GAIN: Final = 4.0
_PIVOT: Final = 0.45
_HORIZON: Final = 3
"""The upper 1/3 of a picture is mostly sky."""
_NIGHT_NOISE: Final = 0.7
_ROW_NOISE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Shot:
    """What the camera knows of the moment it was taken in."""

    exposure: float = 1.0
    metered_on_sky: float = 0.0
    night: float = 0.0
    rain: float = 0.0
    vanishing: tuple[float, float] = (0.5, 0.5)
    """Where the car drives to, as shares of the picture's width and height."""


def develop(
    radiance: NDArray[np.float32], style: SensorStyle, rng: np.random.Generator, shot: Shot = Shot()
) -> NDArray[np.uint8]:
    """Take the picture.

    Args:
        radiance: [H, W, 3] linear light, 0 and up.
        style: How good the camera is.
        rng: The frame's own generator.
        shot: Light and weather, as far as they change what the camera does.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    light = np.asarray(np.minimum(radiance, _BRIGHTEST), np.float32)
    light = in_motion(light, rng.uniform(*style.motion), shot.vanishing)
    light = in_rain(light, shot.rain, rng)
    light = with_dirt(light, rng.uniform(*style.dirt), rng)
    light = through_glass(light, style, rng, glare=2.0 * shot.night + shot.rain)
    picture = _exposed(light, style, rng, shot)
    grey = (picture @ _LUMA)[..., None]
    picture = grey + (picture - grey) * np.float32(rng.uniform(*style.saturation))
    picture = np.float32(_PIVOT) + (picture - np.float32(_PIVOT)) * np.float32(rng.uniform(*style.contrast))
    picture = picture * np.float32(1 - _LENS_FLARE) + np.float32(_LENS_FLARE) * picture.mean()
    picture = _sharpened(picture, rng.uniform(*style.sharpening))
    if style.veil[1] > 0:
        veil = np.float32(rng.uniform(*style.veil))
        picture = veil + (1 - veil) * picture
    picture = picture * np.array(style.tint, np.float32)
    picture = _noisy(picture, rng.uniform(*style.noise) * (1.0 + _NIGHT_NOISE * shot.night), rng)
    finished: NDArray[np.uint8] = np.clip(picture * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return finished if style.jpeg_quality is None else _jpeg(finished, int(rng.integers(*style.jpeg_quality)))


def _exposed(light: Floats, style: SensorStyle, rng: np.random.Generator, shot: Shot) -> Floats:
    """White balance, metering and the tone curve: linear light to display values."""
    warmth = rng.uniform(*style.warmth)
    light = light * np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    brightness = np.minimum(light @ _LUMA, np.float32(1.5))
    horizon = len(light) // _HORIZON
    street, sky = float(brightness[horizon:].mean()), float(brightness[:horizon].mean())
    metered = street + (max(sky, street) - street) * shot.metered_on_sky
    gain = rng.uniform(*style.exposure) * shot.exposure * _MIDDLE_GREY / max(metered, 0.02)
    return _tone_curve(light * np.float32(min(gain, _LARGEST_GAIN)))


def _sharpened(picture: Floats, strength: float) -> Floats:
    """Cheap cameras draw a light line along each dark one."""
    import cv2

    if strength <= 0:
        return picture
    soft = cv2.GaussianBlur(picture, (0, 0), 1.1 * len(picture) / REFERENCE_HEIGHT)
    return np.asarray(picture + (picture - soft) * np.float32(strength), np.float32)


def _noisy(picture: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Grain in colour and brightness, more of it in the dark, and a little for whole rows."""
    if strength <= 0:
        return picture
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 3), np.float32)
    grain += rng.standard_normal((height, width, 1), np.float32)
    grain += rng.standard_normal((height, 1, 1), np.float32) * np.float32(_ROW_NOISE)
    return np.asarray(picture + grain * np.float32(0.7 * strength) * np.sqrt(np.clip(1.2 - picture, 0.2, 1.2)))


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
