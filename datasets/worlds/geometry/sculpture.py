"""Models that are shaped once and placed often: painted slots of geometry, cut from grids of points.

Sculpting is dear and placing is cheap, so every model here is built for a small number of variants and kept; what a
frame's random numbers decide is the variant, the paints and the place. Legend: `R C` rows and columns of a grid.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.materials import Paint
from isthmus.datasets.worlds.geometry.mesh import Assembly, Floats, Geometry, merged
from isthmus.datasets.worlds.geometry.shapes import grid, tubes

Model = Mapping[str, Geometry]
"""A thing's shapes by the slot that a paint fills."""


def collected(*parts: tuple[str, Geometry]) -> Model:
    """Shapes by slot, those of one slot merged."""
    by_slot: dict[str, list[Geometry]] = {}
    for slot, shape in parts:
        by_slot.setdefault(slot, []).append(shape)
    return {slot: merged(*shapes) for slot, shapes in by_slot.items()}


def add_model(
    thing: Assembly, model: Model, paints: Mapping[str, Paint], *, scale: float | tuple[float, float, float] = 1.0
) -> None:
    """Place a model; every slot of it must have a paint."""
    factors = np.asarray(scale, np.float32)
    for slot, shape in model.items():
        thing.add(paints[slot], shape._replace(positions=shape.positions * factors))


def patches(points: Floats, slots: NDArray[np.str_], uvs: Floats | None = None) -> list[tuple[str, Geometry]]:
    """A grid of points cut into the shapes of its slots; neighbours share their normals, so no seam shows.

    Args:
        points: [R, C, 3].
        slots: [R - 1, C - 1] slot of each face.
        uvs: [R, C, 2]; see `grid`.
    """
    whole = grid(points.astype(np.float32), uvs)
    of_faces = np.tile(slots.ravel(), 2)
    parts: list[tuple[str, Geometry]] = []
    for slot in np.unique(of_faces).tolist():
        used, faces = np.unique(whole.faces[of_faces == slot], return_inverse=True)
        shape = Geometry(
            whole.positions[used], whole.normals[used], whole.uvs[used], faces.reshape(-1, 3).astype(np.uint32)
        )
        parts.append((slot, shape))
    return parts


def mirrored(points: Floats) -> Floats:
    """A half section [R, C, 3] from the outside to the middle (x = 0), completed to its left-hand side."""
    return np.concatenate([points, points[:, -2::-1] * (-1.0, 1.0, 1.0)], axis=1)


def rods(
    *rods: tuple[tuple[float, float, float], tuple[float, float, float], float, float], sides: int = 6
) -> Geometry:
    """Tapered tubes, each (start, end, radius, end radius)."""
    starts, ends, low, high = zip(*rods, strict=True)
    return tubes(np.array(starts), np.array(ends), np.array(low), np.array(high), sides=sides)


def ring(
    center: tuple[float, float, float], radius: float, thick: float, *, parts: int = 12, sides: int = 5
) -> Geometry:
    """A tyre about the x axis."""
    angle = np.linspace(0, 2 * np.pi, parts + 1)
    x, y, z = center
    points = np.stack([np.full(parts + 1, x), y + radius * np.sin(angle), z + radius * np.cos(angle)], 1)
    return tubes(points[:-1], points[1:], np.full(parts, thick), np.full(parts, thick), sides=sides)
