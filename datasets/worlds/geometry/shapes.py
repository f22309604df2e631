"""The few shapes that everything is made of: grids, boxes, tubes, ellipsoids, lofts, plates.

Coordinates are metres. Legend: `N` vertices, `R C` rows and columns of a grid.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, Point, merged


def grid(points: Floats, uvs: Floats | None = None, *, wrap: bool = False) -> Geometry:
    """A smooth surface through a grid of points.

    Args:
        points: [R, C, 3].
        uvs: [R, C, 2]; by default the lengths along the first row and the first column.
        wrap: The last column joins the first one (they must be given twice, once a seam).
    """
    rows, columns = points.shape[:2]
    along_rows = np.gradient(points, axis=0)
    along_columns = np.gradient(points, axis=1)
    if wrap:
        along_columns[:, 0] = along_columns[:, -1] = points[:, 1] - points[:, -2]
    normals = cross(along_rows, along_columns)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    outward = points - points.mean((0, 1))
    outward /= np.linalg.norm(outward, axis=2, keepdims=True) + 1e-9
    normals = np.where(length > 1e-9, normals / np.maximum(length, 1e-9), outward)
    if uvs is None:
        u = np.concatenate([[0.0], np.linalg.norm(np.diff(points[rows // 2], axis=0), axis=1).cumsum()])
        v = np.concatenate([[0.0], np.linalg.norm(np.diff(points[:, columns // 2], axis=0), axis=1).cumsum()])
        uvs = np.stack(np.meshgrid(u, v), axis=2).astype(np.float32)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + columns], 1),
            np.stack([corner + 1, corner + columns + 1, corner + columns], 1),
        ]
    )
    return Geometry(
        points.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        uvs.reshape(-1, 2).astype(np.float32),
        faces.astype(np.uint32),
    )


def polygon(corners: Floats, uvs: Floats | None = None) -> Geometry:
    """A flat convex polygon [N, 3], fanned from its first corner; uv in metres in its plane."""
    corners = np.asarray(corners, np.float32)
    first = corners[1] - corners[0]
    normal = cross(first, corners[2] - corners[0])
    normal /= np.linalg.norm(normal) + 1e-12
    if uvs is None:
        u_axis = first / (np.linalg.norm(first) + 1e-12)
        v_axis = cross(normal, u_axis)
        local = corners - corners[0]
        uvs = np.stack([local @ u_axis, local @ v_axis], 1)
    count = len(corners)
    fan = np.stack([np.zeros(count - 2), np.arange(1, count - 1), np.arange(2, count)], 1).astype(np.uint32)
    return Geometry(corners, np.tile(normal, (count, 1)).astype(np.float32), np.asarray(uvs, np.float32), fan)


def cross(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """The cross product over the last axis; several times as fast as NumPy's on small arrays."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


_BOX_CORNERS: Final = np.array(
    [  # four corners a face: right, left, top, bottom, front, back
        [[1, -1, -1], [1, -1, 1], [1, 1, 1], [1, 1, -1]],
        [[-1, -1, 1], [-1, -1, -1], [-1, 1, -1], [-1, 1, 1]],
        [[-1, 1, -1], [1, 1, -1], [1, 1, 1], [-1, 1, 1]],
        [[-1, -1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1]],
        [[1, -1, 1], [-1, -1, 1], [-1, 1, 1], [1, 1, 1]],
        [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]],
    ],
    np.float32,
)
_BOX_NORMALS: Final = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32
).repeat(4, axis=0)
_BOX_FACES: Final = (np.arange(6)[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
_BOX_UV_AXES: Final = ((2, 1), (2, 1), (0, 2), (0, 2), (0, 1), (0, 1))


def box(size: tuple[float, float, float], center: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Geometry:
    """A box of full size (x, y, z) about `center`; uv in metres, v counts from its base."""
    half = np.asarray(size, np.float32) / 2
    local = _BOX_CORNERS * half
    uvs = np.stack([local[face][:, axes] + half[list(axes)] for face, axes in enumerate(_BOX_UV_AXES)])
    positions = local.reshape(-1, 3) + np.asarray(center, np.float32)
    return Geometry(positions, _BOX_NORMALS, uvs.reshape(-1, 2).astype(np.float32), _BOX_FACES.astype(np.uint32))


def tubes(starts: Floats, ends: Floats, start_radii: Floats, end_radii: Floats, *, sides: int = 8) -> Geometry:
    """Tapered cylinders without caps, one for each of [N, 3] starts and ends."""
    starts, ends = np.asarray(starts, np.float32), np.asarray(ends, np.float32)
    axis = ends - starts
    length = np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9
    axis = axis / length
    helper = np.where(np.abs(axis[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    first = cross(axis, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = cross(axis, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    around = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    low = starts[:, None] + around * np.asarray(start_radii)[:, None, None]
    high = ends[:, None] + around * np.asarray(end_radii)[:, None, None]
    positions = np.stack([low, high], 1)  # [tube, end, side, 3]
    normals = np.stack([around, around], 1)
    v = np.stack([np.zeros(len(starts)), length[:, 0]], 1)[:, :, None]
    u = (angle * np.asarray(start_radii)[:, None])[:, None, :]
    uvs = np.stack(np.broadcast_arrays(u, v), -1)
    ring = np.arange(sides)
    one = np.concatenate(
        [
            np.stack([ring, ring + 1, ring + sides + 1], 1),
            np.stack([ring + 1, ring + sides + 2, ring + sides + 1], 1),
        ]
    )
    faces = (np.arange(len(starts))[:, None, None] * (2 * (sides + 1)) + one).reshape(-1, 3)
    return Geometry(
        positions.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        uvs.reshape(-1, 2).astype(np.float32),
        faces.astype(np.uint32),
    )


def tube(start: Point, end: Point, radius: float, end_radius: float | None = None, *, sides: int = 8) -> Geometry:
    """One tapered cylinder."""
    last = radius if end_radius is None else end_radius
    return tubes(np.array([start]), np.array([end]), np.array([radius]), np.array([last]), sides=sides)


def _sphere(rows: int, columns: int) -> Geometry:
    polar = np.linspace(0, np.pi, rows)[:, None]
    turn = np.linspace(0, 2 * np.pi, columns)[None]
    xyz = np.stack(np.broadcast_arrays(np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)), -1)
    shape = grid(xyz.astype(np.float32), wrap=True)
    return shape._replace(normals=shape.positions)


_SPHERES: Final = {"low": _sphere(5, 8), "medium": _sphere(7, 11), "high": _sphere(10, 15)}


def ellipsoid(center: Point, radii: Point, *, detail: str = "low") -> Geometry:
    """An ellipsoid with axes along x, y and z; uv are angles in metres of the mean radius."""
    unit = _SPHERES[detail]
    scale = np.asarray(radii, np.float32)
    normals = unit.positions / scale
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    uvs = unit.uvs * scale.mean()
    return Geometry(unit.positions * scale + np.asarray(center, np.float32), normals, uvs, unit.faces)


def loft(stations: Floats, *, exponent: float = 4.0, sides: int = 16) -> Geometry:
    """A closed body through superellipse sections along z: cars' bodies, buses, torsos.

    Args:
        stations: [R, 4]: z, lowest y, highest y, half width. The ends are closed.
        exponent: 2 is an ellipse, large is a box; the corners' roundness.
        sides: Points a section.
    """
    stations = np.asarray(stations, np.float64)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None]
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (2 / exponent)
    y = np.sign(sin) * np.abs(sin) ** (2 / exponent)
    z, low, high, half = (stations[:, i : i + 1] for i in range(4))
    body = np.stack(np.broadcast_arrays(half * x, (low + high) / 2 + (high - low) / 2 * y, z), -1)
    caps = [np.repeat(body[[end]].mean(1, keepdims=True), sides + 1, axis=1) for end in (0, -1)]
    parts = [grid(body.astype(np.float32), wrap=True)]
    for cap, end, direction in zip(caps, (0, -1), (-1.0, 1.0), strict=True):
        lid = grid(np.concatenate([cap, body[[end]]]).astype(np.float32), wrap=True)
        parts.append(lid._replace(normals=np.tile(np.array([0, 0, direction], np.float32), (len(lid.positions), 1))))
    return merged(*parts)


def disc(center: Point, radius: float, *, axis: str = "x", sides: int = 14) -> Geometry:
    """A flat round plate whose normal lies along `axis` (x, y or z); uv in metres from its centre."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    a, b = np.cos(angle) * radius, np.sin(angle) * radius
    zero = np.zeros_like(a)
    corners = {"x": (zero, b, a), "y": (a, zero, b), "z": (a, b, zero)}[axis]
    local = np.stack(corners, 1).astype(np.float32)
    return polygon(local + np.asarray(center, np.float32), np.stack([a, b], 1).astype(np.float32))
