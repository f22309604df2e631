"""Crowns of leaves: cards with ragged edges, strewn over lobes, with normals that wrap light around the whole.

A card is a quad on which `shaders/holes.glsl` cuts leaves; `floor(uv)` is its number and `fract(uv)` its own plane.
Legend: `N` cards, `L` lobes.
"""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.shapes import cross

_CORNERS: Final = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], np.float32)
_ROW: Final = 32
SHADED: Final = 64.0
"""Cards whose uv start here lie inside the crown; the shader darkens them."""


def cards(
    centers: Floats, facing: Floats, shading: Floats, half: Floats, rng: np.random.Generator, *, tall: float = 1.0
) -> Geometry:
    """Quads that face some way each.

    Args:
        centers: [N, 3] metres.
        facing: [N, 3] what the quads are square to, any length.
        shading: [N, 3] normals for the light, any length.
        half: [N] half their widths in metres.
        rng: Turns the quads in their planes.
        tall: Height over width; above 1 the quads hang upright instead of being turned.
    """
    count = len(centers)
    helper = np.tile(np.array([[0.02, 1.0, 0.03]]), (count, 1)) if tall > 1.0 else rng.standard_normal((count, 3))
    across = _unit(cross(facing, helper)) * half[:, None]
    up = _unit(cross(across, facing)) * (half * tall)[:, None]
    sign = _CORNERS * 2.0 - 1.0
    spread = sign[None, :, :1] * across[:, None] + sign[None, :, 1:] * up[:, None]
    normals = _unit(_unit(shading)[:, None] + 0.35 * spread / np.maximum(half, 1e-6)[:, None, None])
    number = np.arange(count)
    uvs = np.stack([number % _ROW, number // _ROW], 1)[:, None] + _CORNERS
    faces = number[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])
    return Geometry(
        (centers[:, None] + spread).reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        uvs.reshape(-1, 2).astype(np.float32),
        faces.reshape(-1, 3).astype(np.uint32),
    )


def leaves_on(
    lobes: Floats, count: int, half: float, rng: np.random.Generator, *, inner: int = 0, tall: float = 1.0
) -> Geometry:
    """Cards on the surfaces of lobes.

    Args:
        lobes: [L, 6] centres and radii in metres.
        count: Cards in all.
        half: About half a card's width in metres.
        rng: Random numbers.
        inner: How many of the cards lie deeper, in the shade.
        tall: Height over width of the cards; above 1 they hang.
    """
    volume = lobes[:, 3] * lobes[:, 4]
    lobe = lobes[rng.choice(len(lobes), count, p=volume / volume.sum())]
    direction = _unit(rng.standard_normal((count, 3)) + np.array([0.0, 0.15, 0.0]))
    centers = lobe[:, :3] + direction * lobe[:, 3:] * rng.uniform(0.78, 1.04, (count, 1))
    centers[:inner] += (lobe[:inner, :3] - centers[:inner]) * 0.25
    middle = lobes[:, :3].mean(0) - [0.0, 0.4 * lobes[:, 4].max(), 0.0]
    shading = _unit(centers - middle) + 0.8 * direction
    facing = direction + 0.75 * rng.standard_normal((count, 3))
    if tall > 1.0:
        facing[:, 1] *= 0.1
    shape = cards(centers, facing, shading, half * rng.uniform(0.7, 1.3, count), rng, tall=tall)
    shape.uvs[: 4 * inner, 1] += SHADED
    return shape


def lobes_in(center: Floats, radii: Floats, count: int, rng: np.random.Generator) -> Floats:
    """[L, 6] a big lobe in the middle and smaller ones about it, within an ellipsoid."""
    if count < 2:
        return np.concatenate([center, radii])[None]
    direction = _unit(rng.standard_normal((count - 1, 3)))
    size = rng.uniform(0.38, 0.62, (count - 1, 1)) * rng.uniform(0.85, 1.15, (count - 1, 3))
    around = np.concatenate([center + direction * radii * rng.uniform(0.45, 0.68, (count - 1, 1)), radii * size], 1)
    return np.concatenate([np.concatenate([center, radii * 0.72])[None], around])


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
    return unit
