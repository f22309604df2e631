"""Hulls of buses, trams and trucks' cabs: rounded boxes with bands of windows, doors and screens.

Own coordinates: z forward from the middle, x to the right, y up from the road.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.sculpture import Model, collected, mirrored, patches, rods
from isthmus.datasets.worlds.geometry.shapes import box, disc, ellipsoid
from isthmus.datasets.worlds.traffic.vehicle_parts import wheel

_DRAWN_IN: Final = ((0.0, 0.92), (0.05, 0.965), (0.20, 1.0))
"""Metres from an end, and the share of the full width there."""


class Hull(NamedTuple):
    """A long body; heights and lengths in metres."""

    length: float
    width: float
    height: float
    floor: float
    """Height of the skirt's lower edge."""
    bands: tuple[tuple[float, float], ...]
    """Lower and upper edge of each row of windows."""
    pitch: float
    """From one window post to the next."""
    post: float
    """Width of a post."""
    axles: tuple[float, ...]
    """z of the axles, forward of the middle."""
    doors: tuple[float, ...] = ()
    """z of the doors' middles."""
    both_doors: bool = False
    """Doors on both sides, as trams have them."""
    open_ends: tuple[bool, bool] = (False, False)
    """Bellows in place of a screen, behind and in front."""
    slope: float = 0.0
    """How far the top of the screens leans back."""


BUSES: Final[tuple[Hull, ...]] = (
    Hull(11.8, 2.5, 3.05, 0.30, ((1.15, 2.35),), 1.45, 0.10, (-3.1, 2.9), (4.7, -0.2), slope=0.10),
    Hull(9.2, 2.4, 2.95, 0.32, ((1.20, 2.30),), 1.25, 0.14, (-2.4, 2.2), (3.6,), slope=0.05),
    Hull(10.6, 2.5, 4.25, 0.30, ((1.10, 2.05), (2.72, 3.65)), 1.40, 0.12, (-2.7, 2.7), (4.2, 0.4), slope=0.22),
    Hull(12.2, 2.5, 3.55, 0.36, ((1.65, 2.95),), 1.90, 0.06, (-3.4, -2.1, 3.4), (5.1,), slope=0.35),
)  # fmt: skip
"""City bus, midi bus, double-decker, coach."""
ARTICULATED: Final[tuple[Hull, ...]] = (
    Hull(10.2, 2.5, 3.05, 0.30, ((1.15, 2.35),), 1.45, 0.10, (-2.4, 2.6), (4.0, 0.2), open_ends=(True, False)),
    Hull(6.6, 2.5, 3.05, 0.30, ((1.15, 2.35),), 1.45, 0.10, (-0.8,), (1.1,), open_ends=(False, True)),
)
"""Front and rear half of an articulated bus."""
TRAMS: Final[tuple[Hull, ...]] = (
    Hull(7.4, 2.4, 3.4, 0.22, ((1.10, 2.55),), 1.60, 0.09, (), (-0.6,), True, (True, False), 0.55),
    Hull(7.0, 2.4, 3.4, 0.22, ((1.10, 2.55),), 1.60, 0.09, (), (0.0,), True, (True, True)),
    Hull(7.4, 2.4, 3.4, 0.22, ((1.10, 2.55),), 1.60, 0.09, (), (0.6,), True, (False, True), 0.55),
)
"""Front, middle and rear car of a tram."""
OLD_TRAM: Final = Hull(9.6, 2.2, 3.3, 0.35, ((1.35, 2.35),), 1.05, 0.16, (), (3.4, -3.4), True, slope=0.12)
CABS: Final[tuple[Hull, ...]] = (
    Hull(2.0, 2.3, 2.75, 0.42, ((1.60, 2.40),), 1.30, 0.10, (), (), slope=0.16),
    Hull(2.2, 2.46, 3.55, 0.45, ((2.00, 2.85),), 1.40, 0.10, (), (), slope=0.14),
    Hull(1.9, 2.0, 2.20, 0.38, ((1.30, 1.95),), 1.20, 0.10, (), (), slope=0.42),
)
"""Cabs of rigid, long-distance and delivery trucks."""


@cache
def hull_model(hull: Hull, *, near: bool, is_cab: bool = False) -> Model:
    """Slots: body, stripe, skirt, trim, glass_side, glass_end, head, tail, tyre, rim, plate, display."""
    z = _stations(hull, near=near)
    rows = _rows(hull)
    x = hull.width / 2 * np.array([share for share, _ in rows])
    from_end = np.minimum(z - z[0], z[-1] - z)
    narrowed = np.interp(from_end, [inset for inset, _ in _DRAWN_IN], [share for _, share in _DRAWN_IN])
    y = np.array([height for _, height in rows])
    lean = np.clip((y - rows[2][1]) / (hull.height - rows[2][1]), 0, 1) * hull.slope
    forward = np.clip(z / (hull.length / 2) * 3 - 2, 0, 1) * (not hull.open_ends[1])
    backward = np.clip(-z / (hull.length / 2) * 3 - 2, 0, 1) * (hull.slope > 0.3 and not hull.open_ends[0])
    half = np.stack(np.broadcast_arrays(x * narrowed[:, None], y, z[:, None]), -1).astype(np.float64)
    half[..., 2] += lean * (backward - forward)[:, None]
    points = mirrored(half)
    slots = _side_slots(hull, z, y, is_cab=is_cab)
    shapes = patches(points, slots, np.stack([points[..., 2], points[..., 1]], -1))
    lowest = hull.bands[0][0]
    parts = [
        (slot, g._replace(uvs=(g.uvs - (0.0, lowest)).astype(np.float32)) if slot == "glass_side" else g)
        for slot, g in shapes
    ]
    parts += _end(hull, half[-1], y, front=True, is_cab=is_cab) + _end(hull, half[0], y, front=False, is_cab=is_cab)
    return collected(*parts, *_fittings(hull, near=near, is_cab=is_cab))


def _stations(hull: Hull, *, near: bool) -> Floats:
    half = hull.length / 2
    z = [end * (half - inset) for end in (-1, 1) for inset, _ in _DRAWN_IN]
    first, last = -half + 0.35, half - 0.45
    posts = np.arange(first, last - 0.3, hull.pitch) if near or hull.pitch > 1.2 else [first]
    z += [p + d for p in posts for d in (-hull.post / 2, hull.post / 2)] + [last]
    z += [door + d for door in hull.doors for d in (-0.62, -0.03, 0.03, 0.62)]
    ordered = np.unique(np.round(z, 3))
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) > 0.006])])


def _rows(hull: Hull) -> list[tuple[float, float]]:
    """Share of the half width and height, from the skirt to the middle of the roof."""
    rows = [(0.97, hull.floor), (1.0, hull.floor + 0.28), (1.0, hull.bands[0][0] - 0.28)]
    for low, high in hull.bands:
        rows += [(1.0, low), (0.99, high)]
    return [*rows, (0.975, hull.height - 0.25), (0.90, hull.height - 0.06), (0.5, hull.height), (0.0, hull.height)]


def _side_slots(hull: Hull, z: Floats, y: Floats, *, is_cab: bool) -> NDArray[np.str_]:
    """[R - 1, 2 K] slots, right-hand side first."""
    middle = (z[:-1] + z[1:]) / 2
    right = np.full((len(middle), len(y) - 1), "body", "<U10")
    right[:, 0] = "skirt"
    right[:, 2] = "stripe"
    first, last = -hull.length / 2 + 0.35, hull.length / 2 - 0.45
    in_window = (middle > first) & (middle < last)
    phase = (middle - first + hull.post / 2) % hull.pitch
    in_window &= phase > hull.post
    if is_cab:
        in_window = (middle > -0.35) & (middle < last + 0.3)
    for low, _ in hull.bands:
        row = int(np.argmin(np.abs(y - low)))
        right[(middle > first) & (middle < last), row] = "trim"
        right[in_window, row] = "glass_side"
    left = right.copy()
    for side in (right, left) if hull.both_doors else (right,):
        for door in hull.doors:
            inside, leaf = np.abs(middle - door) < 0.62, np.abs(middle - door) < 0.03
            top = int(np.argmin(np.abs(y - hull.bands[0][1])))
            side[inside, 0:top] = "glass_side"
            side[leaf, 0:top] = "trim"
    return np.concatenate([right, left[:, ::-1]], axis=1)


def _end(hull: Hull, section: Floats, y: Floats, *, front: bool, is_cab: bool) -> list[tuple[str, Geometry]]:
    """The front or the back: screen, display, lamps, bumper."""
    columns = np.stack([section[:, 0] * f for f in (1.0, 0.90, 0.62, 0.0, -0.62, -0.90, -1.0)], 1)
    bow = np.array([0.0, 0.05, 0.08, 0.10, 0.08, 0.05, 0.0]) * (1 if front else -0.4)
    points = np.stack([columns, np.broadcast_to(section[:, 1:2], columns.shape), section[:, 2:3] + bow], -1)
    slots = np.full((len(y) - 1, 6), "body", "<U10")
    if hull.open_ends[1 if front else 0]:
        slots[:] = "trim"
        return patches(points, slots)
    slots[0] = "trim" if front else "skirt"
    slots[1, [1, 4]] = "head" if front else "body"
    if not front:
        slots[2, [0, 5]] = "tail"
    has_screen = front or not is_cab
    for number, (low, _) in enumerate(hull.bands):
        row = int(np.argmin(np.abs(y - low)))
        across = slice(0, 6) if front else slice(1, 5)
        if has_screen:
            slots[row, across] = "glass_end"
        if front and number == len(hull.bands) - 1 and not is_cab:
            slots[row + 1, 1:5] = "display"
    if is_cab and front:
        slots[2, 1:5] = "trim"
    uvs = np.stack([points[..., 0], points[..., 1] - hull.bands[0][0]], -1)
    return patches(points, slots, uvs)


def _fittings(hull: Hull, *, near: bool, is_cab: bool) -> list[tuple[str, Geometry]]:
    half, front = hull.width / 2, hull.length / 2
    parts: list[tuple[str, Geometry]] = [
        ("trim", box((hull.width - 0.5, 0.5, hull.length - 0.6), (0, max(hull.floor, 0.4) + 0.05, 0)))
    ]
    for axle in hull.axles:
        for side in (-1, 1):
            parts.append(("trim", disc((side * (half + 0.004), 0.57, axle), 0.56, sides=14)))
            parts += wheel((side * (half - 0.10), 0.48, axle), 0.48, side=side, near=near, width=0.26)
    if not hull.open_ends[1]:
        low, high = hull.bands[0]
        for side in (-1, 1):
            at = (side * (half + 0.22), (low + high) / 2 + 0.1, front - 0.1)
            parts.append(("trim", ellipsoid(at, (0.10, 0.22, 0.07))))
            parts.append(("trim", rods((at, (side * half * 0.95, high, front - 0.15), 0.025, 0.025), sides=4)))
        parts.append(("plate", box((0.52, 0.12, 0.03), (0, 0.55, front + 0.11))))
    if not hull.open_ends[0] and not is_cab:
        parts.append(("plate", box((0.52, 0.12, 0.03), (0, 0.70, -front - 0.05))))
    if hull.height > 2.9 and not is_cab and near:
        parts.append(("skirt", box((1.5, 0.18, 2.2), (0, hull.height + 0.06, -front * 0.3))))
    return parts
