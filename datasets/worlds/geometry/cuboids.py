"""Many upright boxes and flat quads at once, for walls, roofs and relief on house fronts."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.shapes import cross

# Corners of the five faces that a box on a wall shows: front, left, right, top, bottom; 1 picks the high corner.
_PICK: Final = np.array(
    [
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1]],
        [[1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]],
        [[0, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 1]],
        [[0, 0, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0]],
    ],
    np.float32,
)
_NORMALS: Final = np.array([[0, 0, -1], [-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32).repeat(4, axis=0)
_FACES: Final = (np.arange(5)[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)


def cuboids(boxes: Floats) -> Geometry:
    """Boxes that lean on a wall behind them (z up): no back faces.

    Args:
        boxes: [N, 6]: lowest x, y, z, then highest x, y, z.

    Returns:
        Their triangles; uv continue a front's own: metres along x (and z on the sides), metres above the ground.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 6)
    low, high = boxes[:, None, None, :3], boxes[:, None, None, 3:]
    points = (low + (high - low) * _PICK).reshape(len(boxes), -1, 3)
    uvs = points[..., :2].copy()
    uvs[:, 4:12, 0] += points[:, 4:12, 2]
    uvs[:, 12:, 1] += points[:, 12:, 2]
    faces = np.arange(len(boxes))[:, None, None] * 20 + _FACES
    return Geometry(
        points.reshape(-1, 3),
        np.tile(_NORMALS, (len(boxes), 1)),
        uvs.reshape(-1, 2),
        faces.reshape(-1, 3).astype(np.uint32),
    )


def cuboid_rows(x: Floats, y: Floats, size: tuple[float, float, float]) -> Floats:
    """[len(x) * len(y), 6]: boxes of one size (width, height, how far they stand out) at every x and y.

    `x` are their middles, `y` their lowest points; they stand out of the wall at z = 0 towards the street.
    """
    width, height, out = size
    xs, ys = (a.ravel() for a in np.meshgrid(np.asarray(x, np.float64), np.asarray(y, np.float64)))
    zero = np.zeros_like(xs)
    return np.stack([xs - width / 2, ys, zero - out, xs + width / 2, ys + height, zero], 1)


def walls(outline: Floats, low: float, high: float) -> Geometry:
    """Upright walls between neighbouring points of a ground plan.

    Args:
        outline: [N + 1, 2]: x and z of the corners; seen from outside the plan runs to the right.
        low: Height of the foot in metres.
        high: Height of the top in metres.

    Returns:
        N quads; uv are metres along each wall from its own start, and metres above the ground.
    """
    plan = np.asarray(outline, np.float32)
    start, end = plan[:-1], plan[1:]
    length = np.linalg.norm(end - start, axis=1)
    count = len(start)
    points = np.empty((count, 4, 3), np.float32)
    points[:, (0, 3), 0], points[:, (0, 3), 2] = start[:, None, 0], start[:, None, 1]
    points[:, (1, 2), 0], points[:, (1, 2), 2] = end[:, None, 0], end[:, None, 1]
    points[:, :2, 1], points[:, 2:, 1] = low, high
    uvs = np.zeros((count, 4, 2), np.float32)
    uvs[:, 1:3, 0] = length[:, None]
    uvs[..., 1] = points[..., 1]
    return _quads(points, uvs)


def sheets(corners: Floats) -> Geometry:
    """Flat quads [N, 4, 3] (two corners may be one point); uv in metres along their first and their last edge."""
    points = np.asarray(corners, np.float32).reshape(-1, 4, 3)
    across, up = points[:, 1] - points[:, 0], points[:, 3] - points[:, 0]
    u_axis = across / (np.linalg.norm(across, axis=1, keepdims=True) + 1e-9)
    v_axis = up - u_axis * (up * u_axis).sum(1, keepdims=True)
    v_axis /= np.linalg.norm(v_axis, axis=1, keepdims=True) + 1e-9
    local = points - points[:, :1]
    return _quads(points, np.stack([(local * u_axis[:, None]).sum(2), (local * v_axis[:, None]).sum(2)], 2))


def _quads(points: Floats, uvs: Floats) -> Geometry:
    normals = cross(points[:, 1] - points[:, 0], points[:, 3] - points[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    faces = np.arange(len(points))[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])
    return Geometry(
        points.reshape(-1, 3),
        normals.repeat(4, axis=0),
        uvs.reshape(-1, 2).astype(np.float32),
        faces.reshape(-1, 3).astype(np.uint32),
    )
