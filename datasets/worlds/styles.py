"""A set of style images for randomization when no photographs are at hand: procedural textures and light moods.

Style transfer takes colour statistics and spectra from an image, never its content. So the set varies just these:
palettes, contrast, the slope and direction of the spectrum, and how light falls from the sky to the ground.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.layout import write_bytes, write_jpeg
from isthmus.datasets.worlds.geometry.fractal import fractal_field
from isthmus.datasets.worlds.render import check_numbers
from isthmus.errors import ConfigurationError

STYLES_VERSION: Final = 1
"""Raised whenever the same seed gives other pixels."""

MANIFEST_NAME: Final = "styles.json"

_KEY: Final = 404
"""Enters every image's seed, so that no style shares its random numbers with a street."""

Picture = NDArray[np.float64]
"""[H, W, 3] sRGB, 0..1; may leave the range before it is written."""


class Style(NamedTuple):
    """One style image."""

    kind: str
    """Its recipe, a key of `STYLE_KINDS`."""
    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""


def draw_style(size_hw: tuple[int, int], *, seed: int, index: int) -> Style:
    """Style image `index` of a set; the kinds take turns, so that any prefix of a set is a mixture.

    Args:
        size_hw: Height and width in pixels.
        seed: Seed of the set.
        index: Number of the image.
    """
    rng = np.random.default_rng([_KEY, seed, index])
    kind = tuple(STYLE_KINDS)[index % len(STYLE_KINDS)]
    picture = STYLE_KINDS[kind](rng, size_hw)
    picture = 0.5 + (picture - 0.5) * rng.uniform(0.7, 1.25) + rng.uniform(-0.08, 0.08)
    picture = picture + rng.normal(0, rng.uniform(0, 0.03), picture.shape)
    return Style(kind, (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def render_styles(
    *,
    out: Path,
    num_images: int,
    size_hw: tuple[int, int],
    seed: int,
    on_image: Callable[[int], None] | None = None,
) -> str:
    """Write a set of style images and `styles.json`, which tells how it was made.

    Image `i` depends on (seed, i, size) only. Files of an interrupted or smaller set of the same request stay.

    Args:
        out: Folder of the set; made where missing.
        num_images: How many.
        size_hw: Height and width in pixels, 32 and up.
        seed: 0 and up.
        on_image: Called after each image with the number done, for a progress bar.

    Returns:
        SHA-256 (hex) over the images' files in order.

    Raises:
        ConfigurationError: A number is out of range, or the folder cannot be written or holds another set.
    """
    check_numbers(size_hw, seed, num_images=num_images)
    request = {"version": STYLES_VERSION, "seed": seed, "size_hw": list(size_hw)}
    digest = hashlib.sha256()
    names = []
    try:
        _check_folder(out, request)
        for index in range(num_images):
            style = draw_style(size_hw, seed=seed, index=index)
            path = out / f"{index:05d}-{style.kind}.jpg"
            write_jpeg(path, style.image)
            digest.update(path.read_bytes())
            names.append(path.name)
            if on_image is not None:
                on_image(index + 1)
        summary = {**request, "digest": digest.hexdigest(), "images": names}
        write_bytes(out / MANIFEST_NAME, (json.dumps(summary, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigurationError(
            f"cannot hold style images ({error.strerror})", where=out, remedy="Choose another folder for them."
        ) from error
    return digest.hexdigest()


def _check_folder(out: Path, request: Mapping[str, object]) -> None:
    """Claim the folder for this request; refuse one that another request's images lie in."""
    path = out / MANIFEST_NAME
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        there = {key: found.get(key) for key in request} if isinstance(found, dict) else {}
        if there != request:
            raise ConfigurationError(
                f"this folder holds style images of another request ({there})",
                where=path,
                remedy="Choose a new folder, or remove this one.",
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise ConfigurationError(
            "this folder holds other files", where=out, remedy="Choose a new folder for the style images."
        )
    write_bytes(path, (json.dumps(request) + "\n").encode())


def _palette(rng: np.random.Generator) -> Picture:
    """[5, 3] colours that go together, dark to light: neighbouring hues, a contrasting accent, some greyness."""
    hue = rng.random() + rng.normal(0, rng.choice([0.03, 0.10, 0.25]), 5)
    hue[int(rng.integers(5))] += 0.5 * (rng.random() < 0.5)
    saturation = np.clip(rng.uniform(0.05, 0.9) + rng.normal(0, 0.12, 5), 0, 1)
    value = np.sort(rng.uniform(*((0.02, 0.6) if rng.random() < 0.3 else (0.1, 1.0)), 5))
    return _from_hsv(hue, saturation, value)


def _from_hsv(hue: Picture, saturation: Picture, value: Picture) -> Picture:
    ramp = np.clip(np.abs((hue[:, None] + np.array([0, 2 / 3, 1 / 3])) % 1.0 * 6 - 3) - 1, 0, 1)
    colors: Picture = value[:, None] * (1 + saturation[:, None] * (ramp - 1))
    return colors


def _colored(field: NDArray[np.float64], palette: Picture) -> Picture:
    """A field through a palette: its smallest value takes the first colour, its largest the last."""
    low, high = np.percentile(field, (1, 99))
    at = np.clip((field - low) / (high - low + 1e-9), 0, 1)
    stops = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(at, stops, palette[:, channel]) for channel in range(3)], -1)


def _axes(size_hw: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[H, W] rows and columns, in units of the height."""
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width] / height
    return y, x


def _clouds(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Fractal noise: blurred stains to fine grain."""
    field = fractal_field(rng, size_hw, exponent=float(rng.uniform(0.7, 2.0)))
    tint = fractal_field(rng, size_hw, exponent=2.0)[..., None] * rng.normal(0, 0.05, 3)
    return _colored(field, _palette(rng)) + tint


def _brush(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Strokes along a flow: noise smeared along a smooth field of directions."""
    import cv2

    angle = fractal_field(rng, size_hw, exponent=2.2) * rng.uniform(0.4, 1.5) + rng.uniform(0, np.pi)
    noise = np.stack([fractal_field(rng, size_hw, exponent=0.5) for _ in range(2)], -1).astype(np.float32)
    y, x = np.mgrid[0 : size_hw[0], 0 : size_hw[1]].astype(np.float32)
    total, reach = np.zeros_like(noise), float(rng.uniform(0.02, 0.07)) * size_hw[0]
    dx, dy = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    for step in np.linspace(-reach, reach, 15, dtype=np.float32):
        total += cv2.remap(noise, x + step * dx, y + step * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    strokes = fractal_field(rng, size_hw, exponent=1.8) + 0.5 * total[..., 0] / total[..., 0].std()
    relief = total[..., 1] / total[..., 1].std()
    painted: Picture = _colored(strokes, _palette(rng)) + 0.06 * relief[..., None]
    return painted


def _mosaic(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Cells of one colour each, with joints: tiles, stained glass, dry earth."""
    import cv2

    count = int(rng.integers(60, 600))
    sites = (rng.random((count, 2)) * (size_hw[1], size_hw[0])).astype(np.int64)
    seeds = np.full(size_hw, 255, np.uint8)
    seeds[sites[:, 1], sites[:, 0]] = 0
    distance, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    shades = rng.random(cells.max() + 1)
    picture = _colored(shades[cells], _palette(rng))
    edges = cv2.morphologyEx(cells.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    joint = rng.uniform(0, 0.4)
    return np.where(edges[..., None], joint, picture * (1 - 0.15 * (distance / (distance.max() + 1e-9))[..., None]))


def _weave(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Stripes, plaids and hatching: energy in a few directions."""
    y, x = _axes(size_hw)
    angle, palette = rng.uniform(0, np.pi), _palette(rng)
    field = np.zeros(size_hw)
    for turn in (0.0, np.pi / 2)[: 1 + int(rng.random() < 0.6)]:
        across = x * np.cos(angle + turn) + y * np.sin(angle + turn)
        for _ in range(3):
            field += np.tanh(2.5 * np.sin(2 * np.pi * rng.uniform(3, 40) * across + rng.uniform(0, 6))) * rng.random()
    return _colored(field + 0.4 * fractal_field(rng, size_hw, exponent=0.6), palette)


def _veins(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Marble and wood: waves along a warped axis."""
    y, x = _axes(size_hw)
    warp = fractal_field(rng, size_hw, exponent=1.8) * rng.uniform(0.05, 0.3)
    turn = rng.uniform(0, np.pi)
    waves = np.sin(2 * np.pi * rng.uniform(2, 14) * (x * np.cos(turn) + y * np.sin(turn) + warp))
    sharp = np.abs(waves) ** rng.uniform(0.4, 2.0) if rng.random() < 0.5 else waves
    return _colored(sharp + 0.25 * fractal_field(rng, size_hw, exponent=0.8), _palette(rng))


def _dots(rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """A halftone print of a cloudy picture."""
    y, x = _axes(size_hw)
    pitch, turn = rng.uniform(25, 70), rng.uniform(0, np.pi / 2)
    u = np.sin(np.pi * pitch * (x * np.cos(turn) + y * np.sin(turn)))
    v = np.sin(np.pi * pitch * (-x * np.sin(turn) + y * np.cos(turn)))
    tone = fractal_field(rng, size_hw, exponent=1.6)
    palette = _palette(rng)
    ink = 1 / (1 + np.exp(-12 * (np.abs(u * v) - 0.35 + 0.25 * tone)))
    printed: Picture = _colored(tone, palette[:3]) * (1 - ink[..., None]) + palette[4] * ink[..., None]
    return printed


class _Mood(NamedTuple):
    """How light falls: colours of the zenith, the horizon, the near ground, and of the sun or the lamps."""

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    ground: tuple[float, float, float]
    lamp: tuple[float, float, float]
    lamps: tuple[int, int]
    """Fewest and most of them."""


_MOODS: Final[Mapping[str, _Mood]] = {
    "noon": _Mood((0.25, 0.45, 0.80), (0.78, 0.86, 0.95), (0.48, 0.46, 0.43), (1.00, 0.98, 0.90), (0, 1)),
    "golden": _Mood((0.35, 0.38, 0.55), (0.98, 0.70, 0.38), (0.34, 0.25, 0.18), (1.00, 0.80, 0.45), (1, 1)),
    "blue-hour": _Mood((0.06, 0.10, 0.26), (0.32, 0.34, 0.52), (0.10, 0.11, 0.16), (1.00, 0.75, 0.40), (3, 12)),
    "night": _Mood((0.05, 0.05, 0.09), (0.18, 0.14, 0.12), (0.13, 0.11, 0.10), (1.00, 0.70, 0.32), (6, 30)),
    "neon": _Mood((0.05, 0.03, 0.10), (0.22, 0.10, 0.28), (0.13, 0.09, 0.17), (0.90, 0.25, 0.75), (6, 24)),
    "overcast": _Mood((0.70, 0.72, 0.74), (0.82, 0.83, 0.84), (0.38, 0.38, 0.37), (0.95, 0.95, 0.95), (0, 0)),
    "fog": _Mood((0.72, 0.74, 0.75), (0.78, 0.79, 0.79), (0.60, 0.60, 0.60), (0.98, 0.94, 0.85), (0, 3)),
    "rain": _Mood((0.34, 0.37, 0.41), (0.50, 0.53, 0.56), (0.16, 0.17, 0.18), (0.95, 0.60, 0.45), (0, 8)),
    "snow": _Mood((0.62, 0.68, 0.76), (0.88, 0.90, 0.93), (0.86, 0.88, 0.92), (1.00, 0.98, 0.95), (0, 1)),
    "desert": _Mood((0.40, 0.56, 0.78), (0.93, 0.82, 0.66), (0.70, 0.53, 0.36), (1.00, 0.95, 0.82), (0, 1)),
}


def _mood(mood: _Mood, rng: np.random.Generator, size_hw: tuple[int, int]) -> Picture:
    """Sky over ground in a light, with the detail of a photograph and its lamps."""
    y, x = _axes(size_hw)
    skyline = rng.uniform(0.35, 0.6) + 0.10 * fractal_field(rng, size_hw, exponent=1.6)[:1]
    up = np.clip((skyline - y) / skyline, 0, 1)[..., None] ** 0.7
    down = np.clip((y - skyline) / (1 - skyline), 0, 1)[..., None]
    sky = np.array(mood.horizon) * (1 - up) + np.array(mood.zenith) * up
    ground = np.array(mood.ground) * (0.55 + 0.45 * down) + np.array(mood.horizon) * 0.25 * (1 - down) ** 6
    picture = np.where((y < skyline)[..., None], sky, ground)
    strength = np.where(y < skyline, 0.06, 0.25)
    detail = fractal_field(rng, size_hw, exponent=float(rng.uniform(0.8, 1.3)))
    picture = picture * np.exp(strength * detail)[..., None]
    for _ in range(int(rng.integers(mood.lamps[0], mood.lamps[1] + 1))):
        row, column, size = rng.uniform(0.1, 0.75), rng.uniform(0, size_hw[1] / size_hw[0]), rng.uniform(0.01, 0.06)
        distance = np.hypot(y - row, x - column) / size
        glow = 0.9 * np.exp(-(distance**2)) + 0.25 / (1 + distance**1.6)
        picture = picture + glow[..., None] * np.array(mood.lamp) * rng.uniform(0.4, 1.0)
    return picture * (1 + rng.normal(0, 0.06, 3))


STYLE_KINDS: Final[Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Picture]]] = {
    "clouds": _clouds,
    "brush": _brush,
    "mosaic": _mosaic,
    "weave": _weave,
    "veins": _veins,
    "dots": _dots,
    **{name: partial(_mood, mood) for name, mood in _MOODS.items()},
}
"""Recipes by name: six textures, then ten light moods."""
