"""Many upright boxes and flat plates at once, for relief on house fronts."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.mesh import Floats, Geometry

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
