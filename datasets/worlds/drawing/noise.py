"""The tiling noise that all procedural surfaces read: one small texture, the same for every frame."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.fractal import fractal_field

_SIZE: Final = 256
_SEED: Final = 20_260_101
_CELLS: Final = 9


@cache
def noise_texture() -> NDArray[np.uint8]:
    """[256, 256, 4] uint8: smooth fractal noise, fine grain, crack lines (255 on a line), blotches; all tile."""
    rng = np.random.default_rng(_SEED)
    smooth = _fractal(rng, exponent=1.6)
    grain = _fractal(rng, exponent=0.35)
    blotches = _fractal(rng, exponent=0.85)
    return np.stack([smooth, grain, _cracks(rng), blotches], axis=2)


def _fractal(rng: np.random.Generator, *, exponent: float) -> NDArray[np.uint8]:
    """A fractal field as bytes: most of them lie in the middle, the way value noise does."""
    field = fractal_field(rng, (_SIZE, _SIZE), exponent=exponent)
    noise: NDArray[np.uint8] = np.clip(127.5 + 50.0 * field, 0, 255).astype(np.uint8)
    return noise


def _cracks(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Thin lines along the borders of wobbly Voronoi cells."""
    points = rng.random((_CELLS, 2))
    tiled = (points[None] + np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])[:, None]).reshape(-1, 2)
    y, x = np.mgrid[0:_SIZE, 0:_SIZE] / _SIZE
    wobble = _fractal(rng, exponent=1.5).astype(np.float64) / 255.0 * 0.22
    sites = np.stack([y + wobble, x - wobble[::-1]], 2).reshape(-1, 1, 2)
    distance = np.sort(np.linalg.norm(sites - tiled[None], axis=2), axis=1)
    gap = (distance[:, 1] - distance[:, 0]).reshape(_SIZE, _SIZE)
    lines: NDArray[np.uint8] = (255 * np.clip(1.0 - gap * 90.0, 0, 1)).astype(np.uint8)
    return lines
