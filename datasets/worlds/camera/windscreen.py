"""What lies between the camera and the street: falling rain, drops and dirt on the glass."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.camera.optics import REFERENCE_HEIGHT
from isthmus.datasets.worlds.drawing.noise import noise_texture
from isthmus.datasets.worlds.geometry.mesh import Floats

_VISIBLE: Final = 0.02
_STREAKS: Final = 170
_DROPS: Final = 34
_WIDE: Final = 7.0
"""A drop shows a picture of the street that many times its own size, upside down."""


def with_dirt(light: Floats, dirt: float, rng: np.random.Generator) -> Floats:
    """Smears that veil the street with the light of everywhere.

    Args:
        light: [H, W, 3] linear light.
        dirt: 0 clean to 1 blind.
        rng: The frame's generator.
    """
    import cv2

    top, left = (int(v) for v in rng.integers(0, 128, 2))
    if dirt < _VISIBLE:
        return light
    height, width = light.shape[:2]
    smears = noise_texture()[top : top + 64, left : left + 128, 0].astype(np.float32) / 255.0
    film = cv2.resize(np.clip(smears * 2.2 - 0.6, 0.0, 1.0), (width, height), interpolation=cv2.INTER_CUBIC)
    film = (np.clip(film, 0.0, 1.0) * np.float32(dirt))[..., None]
    return np.asarray(light * (1 - film) + film * np.minimum(light, 2.0).mean(axis=(0, 1)), np.float32)


def in_rain(light: Floats, rain: float, rng: np.random.Generator) -> Floats:
    """Streaks in the air, then drops on the glass.

    Args:
        light: [H, W, 3] linear light.
        rain: 0 none to 1 pouring.
        rng: The frame's generator.
    """
    if rain <= 0:
        return light
    return _with_drops(_with_streaks(light, rain, rng), rain, rng)


def _with_streaks(light: Floats, rain: float, rng: np.random.Generator) -> Floats:
    import cv2

    height, width = light.shape[:2]
    scale = height / REFERENCE_HEIGHT
    number = int(rng.poisson(_STREAKS * rain))
    slant = rng.uniform(-0.35, 0.35)
    starts = rng.uniform((-20, -20), (width, height), (number, 2))
    lengths = rng.gamma(2.0, 5.0, number) * scale + 3.0
    strengths = rng.uniform(0.03, 0.30, number) * rng.uniform(0.3, 1.0)
    streaks = np.zeros((height, width), np.float32)
    for (x, y), length, strength in zip(starts.tolist(), lengths.tolist(), strengths.tolist(), strict=True):
        end = (round(x + slant * length), round(y + length))
        cv2.line(streaks, (round(x), round(y)), end, strength, max(1, round(scale)), cv2.LINE_8)
    veil = np.asarray(cv2.GaussianBlur(streaks, (0, 0), 0.6 * scale), np.float32)[..., None]
    bright = np.minimum(light, 2.0)[: height // 2].mean(axis=(0, 1)) * np.float32(1.1)
    return np.asarray(light * (1 - veil) + veil * bright, np.float32)


def _with_drops(light: Floats, rain: float, rng: np.random.Generator) -> Floats:
    import cv2

    height, width = light.shape[:2]
    scale = height / REFERENCE_HEIGHT
    number = int(rng.poisson(_DROPS * rain * rng.uniform(0.0, 1.4)))
    radii = np.clip(rng.lognormal(np.log(2.6), 0.55, number), 1.2, 11.0) * scale
    centers = rng.uniform((0, 0), (width, height), (number, 2))
    tall = rng.uniform(0.9, 1.6, number)
    soft = cv2.GaussianBlur(np.minimum(light, 8.0), (0, 0), 1.6 * scale)
    light = light.copy()
    for (x, y), radius, stretch in zip(centers.tolist(), radii.tolist(), tall.tolist(), strict=True):
        reach_x, reach_y = int(radius + 2), int(radius * stretch + 2)
        left, top = max(int(x) - reach_x, 0), max(int(y) - reach_y, 0)
        box = light[top : int(y) + reach_y, left : int(x) + reach_x]
        rows = (np.arange(top, top + box.shape[0], dtype=np.float32) - np.float32(y))[:, None]
        columns = (np.arange(left, left + box.shape[1], dtype=np.float32) - np.float32(x))[None]
        distance = np.sqrt((columns / radius) ** 2 + (rows / (radius * stretch)) ** 2)
        inside = np.clip((1.0 - distance) * radius * 0.8, 0.0, 1.0)[..., None] * np.float32(0.88)
        map_x = np.clip(x - columns * _WIDE + 0 * rows, 0, width - 1).astype(np.float32)
        map_y = np.clip(y - rows * _WIDE + 0 * columns, 0, height - 1).astype(np.float32)
        seen = cv2.remap(soft, map_x, map_y, cv2.INTER_LINEAR) * (1.05 - 0.45 * distance**2)[..., None].clip(0.3)
        box[:] = box * (1 - inside) + seen * inside
    return np.asarray(light, np.float32)
