"""Bodies of cars: lofted shells whose windows, lamps and wheel arches are cut from one surface.

Own coordinates: z forward from the middle, x to the right, y up from the road. Along z lie stations, across them a
half section of eleven rows: sill, rocker, door, crease, shoulder, glass (foot, middle, top), rail, roof, middle.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.sculpture import Model, collected, mirrored, patches, rods
from isthmus.datasets.worlds.geometry.shapes import box, disc, ellipsoid, polygon
from isthmus.datasets.worlds.traffic.vehicle_parts import wheel

_SILL_M: Final = 0.22
_GLASS_ROWS: Final = slice(5, 7)
_SCREEN_ROWS: Final = slice(8, 10)
_DOOR_ROWS: Final = slice(0, 4)


class Body(NamedTuple):
    """A car's proportions; heights and lengths in metres, shares count from the tail."""

    length: float
    width: float
    height: float
    bonnet: float
    """Height of the bonnet at the windscreen's foot."""
    nose: float
    """Height of the bonnet's front edge."""
    belt: float
    """Height of the side windows' lower edge."""
    tail: float
    """Height of the boot's lid or of the tailgate's glass."""
    glass: tuple[float, float, float, float]
    """Shares: rear glass foot and top, windscreen top and foot."""
    window_from: float
    """Share where the side windows begin."""
    posts: tuple[float, ...]
    """Shares of the posts between the side windows."""
    rail: float = 0.76
    """Half width of the roof in shares of half the width: the tumblehome."""
    square: float = 0.0
    """0 rounded ends to 1 square ones."""
    wheel: float = 0.32
    """Radius."""
    axles: tuple[float, float] = (0.19, 0.81)
    clad: bool = False
    """Dark plastic around sills and arches."""
    rails: bool = False
    """Roof rails."""

    def z(self, share: float) -> float:
        """Where a share of the length from the tail lies."""
        return (share - 0.5) * self.length

    @property
    def front_door(self) -> tuple[float, float]:
        """Z of the front door's front edge, and its length."""
        front = self.z(self.glass[3]) - 0.22
        post = self.z(self.posts[0]) if self.posts else front - 1.1
        return front, front - post


BODIES: Final[tuple[Body, ...]] = (
    Body(4.0, 1.74, 1.46, 1.00, 0.80, 0.92, 0.94, (0.02, 0.12, 0.55, 0.76), 0.13, (0.47, 0.24)),  # hatchback
    Body(4.6, 1.80, 1.43, 0.98, 0.78, 0.92, 1.00, (0.16, 0.30, 0.57, 0.75), 0.24, (0.48, 0.29)),  # saloon
    Body(4.7, 1.80, 1.47, 0.98, 0.78, 0.92, 0.96, (0.02, 0.09, 0.57, 0.74), 0.06, (0.49, 0.28), rails=True),  # estate
    Body(4.5, 1.88, 1.70, 1.14, 0.98, 1.06, 1.08, (0.02, 0.10, 0.56, 0.73), 0.09, (0.47, 0.25), 0.80, 0.3, 0.37,
         clad=True, rails=True),  # off-roader
    Body(4.4, 1.80, 1.36, 0.94, 0.74, 0.88, 0.95, (0.12, 0.34, 0.54, 0.73), 0.27, (0.40,), 0.72),  # coupé
    Body(4.4, 1.83, 1.66, 1.10, 0.86, 0.98, 1.00, (0.02, 0.08, 0.60, 0.86), 0.06, (0.50, 0.26), 0.78),  # carrier
    Body(3.5, 1.64, 1.50, 1.02, 0.82, 0.95, 0.96, (0.01, 0.08, 0.58, 0.82), 0.14, (0.42,), 0.80, 0.1, 0.29,
         (0.17, 0.85)),  # city car
    Body(5.2, 1.86, 1.78, 1.15, 1.02, 1.08, 1.04, (0.405, 0.425, 0.57, 0.70), 0.43, (0.53,), 0.80, 0.5, 0.38,
         (0.20, 0.80), clad=True),  # pickup
    Body(4.2, 1.66, 1.40, 0.96, 0.88, 0.90, 0.96, (0.15, 0.25, 0.60, 0.70), 0.20, (0.48, 0.25), 0.84, 0.9, 0.30),  # old
    Body(4.4, 1.88, 1.24, 0.88, 0.66, 0.82, 0.92, (0.08, 0.36, 0.52, 0.72), 0.30, (0.38,), 0.68, 0.0, 0.34),  # sports
    Body(5.0, 1.95, 1.98, 1.20, 0.98, 1.10, 1.12, (0.008, 0.02, 0.69, 0.87), 0.66, (), 0.88, 0.6, 0.34,
         (0.20, 0.82)),  # van
    Body(5.0, 1.92, 1.96, 1.18, 0.96, 1.06, 1.08, (0.008, 0.03, 0.68, 0.87), 0.03, (0.62, 0.34, 0.18), 0.87, 0.6, 0.33,
         (0.20, 0.82)),  # minibus
    Body(5.8, 2.02, 2.58, 1.36, 1.08, 1.30, 1.30, (0.004, 0.012, 0.74, 0.88), 0.70, (), 0.90, 0.7, 0.35,
         (0.18, 0.83)),  # tall van
)  # fmt: skip
VANS: Final = (10, 11, 12)
"""Numbers of the vans."""
PICKUP: Final = 7
"""Number of the pickup."""


@cache
def car_model(number: int, *, near: bool) -> Model:
    """The shapes of `BODIES[number]`: slots body, side, trim, glass_side, glass_end, head, tail, tyre, rim, plate."""
    body = BODIES[number]
    z = _stations(body, near=near)
    half = _half_section(body, z, near=near)
    slots = _slots(body, z)
    points = mirrored(half)
    both = np.concatenate([slots, slots[:, ::-1]], axis=1)
    belt = np.interp(points[..., 2], z, _shoulder(body, z))
    along = np.stack([points[..., 2], points[..., 1]], -1)
    sides = [(k, g._replace(uvs=_window_uvs(g, belt.mean()) if k.startswith("glass") else g.uvs)) for k, g in
             patches(points, both, along)]  # fmt: skip
    ends = [*_cap(half[0], tail=True), *_cap(half[-1], tail=False)]
    return collected(*sides, *ends, *_fittings(body, near=near))


def _window_uvs(shape: Geometry, belt: float) -> Floats:
    """(across or along, over the belt): windows face sideways or along the car."""
    x, y, z = shape.positions.T
    sideways = np.abs(shape.normals[:, 0]) > 0.6
    return np.stack([np.where(sideways, z, x), y - belt], 1).astype(np.float32)


def _stations(body: Body, *, near: bool) -> Floats:
    rear_foot, rear_top, front_top, front_foot = body.glass
    shares = [0.0, 0.010, 0.035, rear_foot, rear_top, (rear_top + front_top) / 2, front_top, front_foot]
    shares += [body.window_from, 0.93, 0.975, 0.993, 1.0, (front_top + front_foot) / 2, front_foot + 0.03]
    for post in body.posts:
        shares += [post - 0.011, post + 0.011]
    z = [body.z(share) for share in shares]
    if near:
        reach = _arch(body)
        z += [body.z(s) for s in (0.004, 0.02, 0.07, 0.96, (rear_foot + rear_top) / 2)]
        for axle in body.axles:
            z += [body.z(axle) + reach * c for c in (-1.03, -0.995, -0.85, -0.5, 0.0, 0.5, 0.85, 0.995, 1.03)]
    ordered = np.unique(np.round(z, 3))
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) > 0.004])])


def _arch(body: Body) -> float:
    return body.wheel + 0.055


def _top(body: Body, z: Floats) -> Floats:
    """The outline over the middle of the car."""
    rear_foot, rear_top, front_top, front_foot = body.glass
    line = [
        (0.0, body.tail - 0.16), (0.010, body.tail - 0.05), (0.035, body.tail), (rear_foot, body.tail + 0.01),
        (rear_top, body.height - 0.06), (rear_top * 0.6 + front_top * 0.4, body.height),
        (front_top, body.height - 0.05),
        ((front_top + front_foot) / 2, (body.height + body.bonnet) / 2 + 0.015), (front_foot, body.bonnet),
        (0.93, body.nose + 0.05), (0.975, body.nose), (0.993, body.nose - 0.07), (1.0, body.nose - 0.16),
    ]  # fmt: skip
    line = [(share, y) for share, y in line if share >= rear_foot or share < rear_foot - 0.01]
    shares, heights = zip(*line, strict=True)
    return np.asarray(np.interp(z, [body.z(share) for share in shares], heights))


def _shoulder(body: Body, z: Floats) -> Floats:
    rise = body.belt + 0.05 * (0.6 - (z / body.length + 0.5))
    return np.asarray(np.minimum(rise, _top(body, z) - 0.035))


def _low(body: Body, z: Floats, *, near: bool) -> Floats:
    lift = np.clip((np.abs(z) / body.length - 0.40) / 0.10, 0, 1)
    low = _SILL_M + (0.06 if body.clad else 0.0) + 0.08 * lift
    if near:
        for axle in body.axles:
            away = np.abs(z - body.z(axle))
            reach = _arch(body)
            low = np.where(away < reach, body.wheel + np.sqrt(np.maximum(reach**2 - away**2, 0)), low)
    return low


def _half_section(body: Body, z: Floats, *, near: bool) -> Floats:
    """[R, 11, 3] from the sill to the middle of the roof."""
    top, belt, low = _top(body, z), _shoulder(body, z), _low(body, z, near=near)
    share = np.clip((np.abs(z) - body.length * 0.33) / (body.length * 0.17), 0, 1)
    drawn_in = np.where(z > 0, 0.24, 0.15) * (1 - 0.7 * body.square)
    wide = body.width / 2 * (1 - drawn_in * share**3)
    cabin = np.clip((top - belt) / (body.height - body.belt), 0, 1)
    rail_x = wide * (0.90 + (body.rail - 0.90) * cabin)
    rail_y = belt + (top - belt) * (0.6 + 0.3 * cabin)
    low = np.minimum(low, belt - 0.06)
    rows = [(wide * f, low + (belt - low) * g) for f, g in ((0.965, 0.0), (0.995, 0.30), (1.0, 0.60), (0.985, 0.90))]
    rows.append((wide * 0.955, belt))
    for f, bulge in ((0.06, 0.0), (0.55, 0.012), (0.93, 0.006), (1.0, 0.0)):
        rows.append((wide * 0.955 + (rail_x - wide * 0.955) * f + bulge * cabin, belt + (rail_y - belt) * f))
    rows += [(rail_x * 0.6, top - (top - rail_y) * 0.22), (np.zeros_like(z), top)]
    return np.stack([np.stack([x, y, z], -1) for x, y in rows], 1)


def _slots(body: Body, z: Floats) -> NDArray[np.str_]:
    """[R - 1, 10] slot of each face of the half section."""
    share = (z[:-1] + z[1:]) / 2 / body.length + 0.5
    rear_foot, rear_top, front_top, front_foot = body.glass
    slots = np.full((len(share), 10), "body", "<U10")
    slots[:, _DOOR_ROWS] = "side"
    if body.clad:
        slots[:, 0] = "trim"
    windows = (share > body.window_from) & (share < front_foot)
    for post in body.posts:
        windows &= np.abs(share - post) > 0.011
    slots[windows, _GLASS_ROWS] = "glass_side"
    screens = ((share > front_top) & (share < front_foot)) | ((share > rear_foot) & (share < rear_top))
    slots[screens, _SCREEN_ROWS] = "glass_end"
    if body.posts == () and body.window_from > 0.5:  # panel vans have doors in place of a rear window
        slots[(share < rear_top), _SCREEN_ROWS] = "body"
    slots[share > 1 - 0.22 / body.length, 2] = "head"
    slots[share < 0.13 / body.length, 2 : 3 if body.height > 1.9 else 4] = "tail"
    if rear_foot > 0.35:  # a pickup's bed
        slots[(share > 0.03) & (share < rear_foot - 0.02), 8:10] = "trim"
    return slots


def _cap(section: Floats, *, tail: bool) -> list[tuple[str, Geometry]]:
    """The flat end: bumper, plate, lamps and grille in bands."""
    x, y, z = section.T
    columns = np.stack([x, x * 0.56, -x * 0.56, -x], 1)
    points = np.stack([columns, *np.broadcast_arrays(y[:, None], z[:, None] + 0 * columns)], -1)
    points[:, 1:3, 2] += -0.025 if tail else 0.03  # bowed
    slots = np.full((10, 3), "body", "<U10")
    slots[0] = "trim"
    slots[2, [0, 2]] = "tail" if tail else "head"
    slots[2, 1] = "body" if tail else "trim"
    if tail:
        slots[3, [0, 2]] = "tail"
    return patches(points, slots)


def _fittings(body: Body, *, near: bool) -> list[tuple[str, Geometry]]:
    half, reach = body.width / 2, _arch(body)
    parts: list[tuple[str, Geometry]] = []
    for axle in body.axles:
        for side in (-1, 1):
            hub = (side * (half - 0.13), body.wheel, body.z(axle))
            parts += wheel(hub, body.wheel, side=side, near=near)
            if not near:
                parts.append(("trim", disc((side * (half - 0.012), body.wheel, hub[2]), reach, sides=12)))
    under = box((body.width - 0.52, body.belt - 0.40, body.length - 0.5), (0, (body.belt - 0.4) / 2 + 0.20, 0))
    parts.append(("trim", under))
    foot, belt = body.z(body.glass[3]) - 0.30, body.belt
    mirrors = [ellipsoid((side * (half + 0.06), belt + 0.07, foot), (0.11, 0.075, 0.06)) for side in (-1, 1)]
    parts += [("body", mirror) for mirror in mirrors]
    plate_y = max(body.belt - 0.42, 0.45)
    parts.append(("plate", box((0.50, 0.11, 0.03), (0, plate_y, body.z(0.0) - 0.03))))
    parts.append(("plate", box((0.50, 0.11, 0.03), (0, 0.42, body.z(1.0) + 0.035))))
    if near:
        parts += _small_fittings(body)
    return parts


def _small_fittings(body: Body) -> list[tuple[str, Geometry]]:
    """Roof rails, aerial, wipers, door handles."""
    half = body.width / 2
    parts: list[tuple[str, Geometry]] = []
    rear_top, front_top = body.z(body.glass[1]), body.z(body.glass[2])
    if body.rails:
        x, y = half * body.rail * 0.93, body.height + 0.01
        parts += [
            ("chrome", rods(((s * x, y, rear_top + 0.1), (s * x, y, front_top - 0.1), 0.02, 0.02))) for s in (-1, 1)
        ]
    parts.append(
        (
            "trim",
            rods(
                ((0, body.height - 0.05, rear_top + 0.1), (0, body.height + 0.22, rear_top - 0.1), 0.012, 0.008),
                sides=4,
            ),
        )
    )
    foot = body.z(body.glass[3])
    for x in (-0.55, 0.05):
        wiper = ((x, body.bonnet + 0.03, foot + 0.02), (x + 0.5, body.bonnet + 0.10, foot - 0.05), 0.012, 0.012)
        parts.append(("trim", rods(wiper, sides=4)))
    front, door = body.front_door
    for k in range(max(len(body.posts), 1)):
        z = front - door * (k + 1) + 0.14
        if z > body.z(0.1):
            parts += [("chrome", box((0.03, 0.03, 0.16), (s * half * 0.99, body.belt - 0.10, z))) for s in (-1, 1)]
    return parts


def open_boot(body: Body) -> list[tuple[str, Geometry]]:
    """A raised tailgate, and the dark hole under it."""
    half, rear_top = body.width / 2 * body.rail, body.z(body.glass[1])
    top, back = body.height - 0.06, body.z(0.0)
    gate = np.array(
        [
            [-half, top, rear_top],
            [half, top, rear_top],
            [half, top + 0.45, rear_top - 0.85],
            [-half, top + 0.45, rear_top - 0.85],
        ]
    )
    hole = np.array(
        [
            [-half, 0.62, back - 0.045],
            [half, 0.62, back - 0.045],
            [half, body.tail, back - 0.02],
            [-half, body.tail, back - 0.02],
        ]
    )
    inner = gate - np.array([0.0, 0.03, 0.0])
    return [("body", polygon(gate)), ("trim", polygon(hole)), ("trim", polygon(inner))]
