"""Bands and patches of ground along a street."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.shapes import grid
from isthmus.datasets.worlds.streets.layout import Curve, StreetPlan

_STEP_M: Final = 3.0


def strip(
    curve: Curve, along: tuple[float, float], across: tuple[float, float], y: float, y1: float | None = None
) -> Geometry:
    """A band between two positions along a street and two lateral offsets; uv are (t, s).

    Args:
        curve: The street's middle line.
        along: First and last s.
        across: First and second t.
        y: Height of the first edge.
        y1: Height of the second edge, the same by default; kerbs stand upright.
    """
    rows = max(2, int(np.ceil((along[1] - along[0]) / _STEP_M)) + 1)
    s = np.linspace(*along, rows)
    edges = ((across[0], y), (across[1], y if y1 is None else y1))
    points = np.stack([curve.at(s, t, height) for t, height in edges], 1)
    # An upright band has one t: its height takes the part of the lateral offset.
    uvs = np.stack([np.stack([np.full(rows, t + height), s], 1) for t, height in edges], 1)
    return grid(points, uvs)


def counted_from_median(shape: Geometry, street: StreetPlan, side: int) -> Geometry:
    """Ground on one side of a street with uv that begin at its median's edge, as its lanes do."""
    return shape._replace(uvs=shape.uvs - np.array([side * street.half_median, 0.0], np.float32))


def patches(curve: Curve, rectangles: Floats, y: float) -> Geometry:
    """Many small rectangles of ground as one shape; uv are (t, s).

    Args:
        curve: The street's middle line.
        rectangles: [N, 4]: first and last s, first and last t. Short ones: their edges are straight.
        y: Height.
    """
    rectangles = np.asarray(rectangles, np.float64).reshape(-1, 4)
    s, t = rectangles[:, [0, 1, 1, 0]], rectangles[:, [2, 2, 3, 3]]
    normals = np.zeros((s.size, 3), np.float32)
    normals[:, 1] = 1.0
    corners = np.arange(len(rectangles), dtype=np.uint32)[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])
    uvs = np.stack([t, s], -1).reshape(-1, 2).astype(np.float32)
    return Geometry(curve.at(s, t, y).reshape(-1, 3), normals, uvs, corners.reshape(-1, 3).astype(np.uint32))
