"""Trucks, buses and trams in several builds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Assembly, Geometry, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.sculpture import Model, add_model, collected, rods
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid, loft, polygon, tube
from isthmus.datasets.worlds.streets.layout import Curve
from isthmus.datasets.worlds.style import Fleet
from isthmus.datasets.worlds.traffic.hulls import ARTICULATED, BUSES, CABS, OLD_TRAM, TRAMS, Hull, hull_model
from isthmus.datasets.worlds.traffic.vehicle_parts import is_lit, is_near, lacquer, vehicle_paints, wheel

_WHITE: Final = (0.85, 0.85, 0.83)
_WHITE_SHARE: Final = 0.4
_DISPLAY: Final = (0.38, 0.26, 0.08)
_BELLOWS_M: Final = 0.55
_ACROSS: Final = 0.2
"""Sine of the turn from which on a vehicle does not follow the street."""


class Spot(NamedTuple):
    """A place on a street, for vehicles that follow its bends."""

    curve: Curve
    s: float
    t: float
    turn: float
    """Heading against the street's, in radians."""
    y: float = 0.0
    """Height of the ground."""

    def place(self, ahead: float = 0.0) -> Placement:
        """The placement so many metres ahead: along the street, or straight on where it leads across the street."""
        middle = self.curve.place(self.s, self.t, self.y, turn=self.turn)
        if abs(np.sin(self.turn)) > _ACROSS:
            return middle._replace(position=middle.point(0.0, 0.0, ahead))
        way = 1.0 if np.cos(self.turn) > 0 else -1.0
        return self.curve.place(self.s + way * ahead, self.t, self.y, turn=self.turn)


def add_truck(
    mesh: MeshBuilder,
    place: Placement,
    rng: np.random.Generator,
    color: Rgb,
    *,
    instance: int,
    length: float,
    fleet: Fleet,
) -> None:
    """A truck: delivery below 7.5 m, rigid below 11 m, with a trailer beyond.

    Args:
        mesh: Where it goes.
        place: Its middle, on the road.
        rng: Draws build, load and paint.
        color: Of the cab.
        instance: Number of the object.
        length: Metres.
        fleet: What trucks carry here.
    """
    truck = Assembly(mesh, place, Thing(TRAIN_ID["truck"], instance))
    near = is_near(place)
    cab = CABS[2 if length < 7.5 else 0 if length < 11 else 1]
    load = ("box" if length < 7.5 else "curtain" if length > 11 and rng.random() < fleet.curtain_probability else
            fleet.loads[int(rng.integers(len(fleet.loads)))])  # fmt: skip
    paints = _paints(rng, color)
    front = length / 2
    ahead = Assembly(mesh, Placement(place.point(0, 0, front - cab.length / 2), place.heading), truck.thing)
    add_model(ahead, hull_model(cab, near=near, is_cab=True), paints)
    top = round(cab.height + float(rng.uniform(0.1, 0.7)) if length < 11 else 3.9, 1)
    bright = tuple(float(c) for c in rng.uniform(0.1, 0.9, 3))
    tone = float(rng.uniform(0.3, 0.85))
    cover = _WHITE
    if rng.random() >= _WHITE_SHARE:
        cover = (bright[0], bright[1], bright[2]) if rng.random() < 0.6 else (tone, tone, tone)
    paints["load"] = lacquer(cover, rng, gloss=0.4)
    add_model(truck, _chassis(round(length, 1), cab, near=near), paints)
    add_model(truck, _load(load, round(length, 1), cab, top), paints)


def add_bus(
    mesh: MeshBuilder, spot: Spot, rng: np.random.Generator, color: Rgb, *, instance: int, fleet: Fleet
) -> float:
    """A bus of the fleet, its middle at a spot; returns its length."""
    thing = Thing(TRAIN_ID["bus"], instance)
    paints = _paints(rng, color)
    paints["display"] = Paint(Material.LAMP, _DISPLAY, 0.2, (0.3, 2.2, 0.0, 0.0))
    if rng.random() < fleet.articulated_probability:
        return _add_train(Assembly(mesh, spot.place(), thing), spot, ARTICULATED, paints)
    hull = BUSES[int(rng.choice(len(BUSES), p=fleet.buses))]
    bus = Assembly(mesh, spot.place(), thing)
    add_model(bus, hull_model(hull, near=is_near(bus.place)), paints)
    if rng.random() < 0.6:  # an advertisement
        colors = rng.uniform(0.05, 0.9, (2, 3))
        low, high = (hull.bands[0][1] + 0.1, hull.bands[1][0] - 0.1) if len(hull.bands) > 1 else (0.45, 1.05)
        for inset, tint in zip((0.0, 0.12), colors, strict=True):
            paint = Paint(Material.PLAIN, (float(tint[0]), float(tint[1]), float(tint[2])), 0.3)
            size = (hull.width + 0.02 + inset * 0.1, high - low - inset, 3.2 - inset * 6)
            bus.add(paint, box(size, (0, (low + high) / 2, -0.3)))
    return hull.length


def draw_tram(rng: np.random.Generator, fleet: Fleet) -> tuple[Hull, ...]:
    """The coupled hulls of a tram, articulated or of an old build, the first ahead."""
    if rng.random() < fleet.old_tram_probability:
        return (OLD_TRAM,) * int(rng.integers(1, 3))
    return (TRAMS[0], *(TRAMS[1],) * int(rng.integers(1, 4)), TRAMS[2])


def coupled_length(hulls: Sequence[Hull]) -> float:
    """Metres from the first hull's front to the last one's end."""
    return sum(hull.length for hull in hulls) + _BELLOWS_M * (len(hulls) - 1)


def add_tram(
    mesh: MeshBuilder, spot: Spot, rng: np.random.Generator, color: Rgb, *, hulls: Sequence[Hull], instance: int
) -> None:
    """A tram of drawn hulls, its middle at a spot; the class `train`."""
    thing = Thing(TRAIN_ID["train"], instance)
    paints = _paints(rng, color)
    paints["display"] = Paint(Material.LAMP, _DISPLAY, 0.2, (0.3, 2.2, 0.0, 0.0))
    _add_train(Assembly(mesh, spot.place(), thing), spot, hulls, paints, pantograph=True)


def _add_train(
    whole: Assembly, spot: Spot, hulls: Sequence[Hull], paints: Mapping[str, Paint], *, pantograph: bool = False
) -> float:
    """Coupled hulls along a street, the first ahead; returns their length."""
    length = coupled_length(hulls)
    front = length / 2
    for number, hull in enumerate(hulls):
        middle = front - hull.length / 2
        car = replace(whole, place=spot.place(middle))
        add_model(car, hull_model(hull, near=is_near(car.place)), paints)
        if number:
            joint = replace(whole, place=spot.place(front + _BELLOWS_M / 2))
            bellows = box((hull.width - 0.25, hull.height - 0.55, _BELLOWS_M + 0.3), (0, hull.height / 2 + 0.1, 0))
            joint.add(paints["trim"], bellows)
        if pantograph:
            car.add(paints["trim"], *_running_gear(hull), *(_pantograph(hull.height) if number == 0 else ()))
        front -= hull.length + _BELLOWS_M
    return length


def _running_gear(hull: Hull) -> tuple[Geometry, ...]:
    reach = hull.length * 0.28
    return tuple(box((hull.width - 0.3, 0.42, 1.8), (0, 0.22, z)) for z in (-reach, reach))


def _pantograph(height: float) -> tuple[Geometry, ...]:
    arms = [
        ((x, height, -0.9), (x * 0.5, height + 0.7, 0.5), 0.03, 0.03) for x in (-0.45, 0.45)
    ] + [((x * 0.5, height + 0.7, 0.5), (x, height + 1.5, -0.5), 0.025, 0.025) for x in (-0.45, 0.45)]  # fmt: skip
    bar = ((-0.85, height + 1.5, -0.5), (0.85, height + 1.5, -0.5), 0.035, 0.035)
    return (rods(*arms, bar), box((1.3, 0.22, 1.8), (0, height + 0.1, 0.0)))


def _paints(rng: np.random.Generator, color: Rgb) -> dict[str, Paint]:
    """The paints of a large vehicle: livery, and what all vehicles have."""
    paint = lacquer(color, rng, gloss=0.7)
    second = tuple(float(c) for c in rng.uniform(0.05, 0.9, 3))
    stripe = paint if rng.random() < 0.35 else lacquer((second[0], second[1], second[2]), rng, gloss=0.6)
    dark = (color[0] * 0.35, color[1] * 0.35, color[2] * 0.35)
    skirt = (paint, stripe, lacquer(dark, rng, gloss=0.4))[int(rng.integers(3))]
    common = vehicle_paints(rng, lit=is_lit(rng), braking=bool(rng.random() < 0.3))
    return {**common, "body": paint, "stripe": stripe, "skirt": skirt, "display": paint}


@lru_cache(maxsize=64)
def _chassis(length: float, cab: Hull, *, near: bool) -> Model:
    """Frame, wheels, mudguards, tanks and the rear's lamps."""
    front, half = length / 2, cab.width / 2
    radius = 0.36 if length < 7.5 else 0.48
    axles = [front - cab.length * 0.55, -front + 1.1] + ([-front + 2.3] if length > 8 else [])
    axles += [-front + 3.5, front - cab.length - 1.6] if length > 11 else []
    parts: list[tuple[str, Geometry]] = [("trim", box((half * 1.3, 0.30, length - 0.5), (0, radius + 0.32, -0.1)))]
    for axle in axles:
        for side in (-1, 1):
            parts += wheel((side * (half - 0.13), radius, axle), radius, side=side, near=near, width=0.26)
        if axle > front - cab.length:
            parts += [
                ("trim", box((0.04, 0.35, radius * 2.2), (s * half * 0.995, radius * 2 - 0.1, axle))) for s in (-1, 1)
            ]
    parts.append(("trim", box((half * 1.9, 0.14, 0.1), (0, 0.50, -front + 0.12))))
    parts += [("tail", box((0.30, 0.16, 0.06), (s * half * 0.76, 0.78, -front + 0.02))) for s in (-1, 1)]
    parts.append(("plate", box((0.5, 0.12, 0.04), (0, 0.78, -front + 0.02))))
    parts += [("chrome", box((0.3, 0.45, 1.1), (s * half * 0.8, 0.68, front - cab.length - 0.9))) for s in (-1, 1)]
    return collected(*parts)


@lru_cache(maxsize=256)
def _load(kind: str, length: float, cab: Hull, top: float) -> Model:
    """What is behind the cab; slots load, trim, chrome, skirt."""
    floor = 0.85 if length < 7.5 else 1.05
    long = length - cab.length - (0.25 if length < 11 else 0.75)
    middle, width = -length / 2 + long / 2, cab.width + 0.12
    back = -length / 2
    if kind == "tanker":
        y = floor + 1.0
        tank = [tube((0, y, back + 0.3), (0, y, back + long - 0.3), 1.05, sides=18)]
        tank += [ellipsoid((0, y, back + e), (1.05, 1.05, 0.35), detail="high") for e in (0.3, long - 0.3)]
        return collected(
            *(("load", part) for part in tank), ("trim", box((0.7, 0.12, long - 1), (0, y + 1.06, middle)))
        )
    if kind == "tipper":
        sides = np.array([[back, floor, top * 0.72, width / 2 * 0.94], [back + 0.06, floor, top * 0.72, width / 2]])
        hopper = np.concatenate(
            [sides, sides[::-1] * (0, 1, 1, 1) + ([[back + long - 0.06, 0, 0, 0], [back + long, 0, 0, 0]])]
        )
        ribs = [
            box((width + 0.1, top * 0.72 - floor, 0.10), (0, (floor + top * 0.72) / 2, z))
            for z in np.arange(back + 0.6, back + long, 1.1)
        ]
        heap = ellipsoid((0, top * 0.70, middle), (width * 0.44, 0.45, long * 0.45), detail="medium")
        return collected(
            ("load", loft(hopper, exponent=14, sides=20)), *(("load", rib) for rib in ribs), ("trim", heap)
        )
    if kind == "refuse":
        hopper = np.array(
            [
                [back, floor - 0.2, top - 0.5, width / 2 * 0.9],
                [back + 0.3, floor - 0.3, top - 0.1, width / 2],
                [back + 1.6, floor - 0.1, top, width / 2],
                [back + long, floor, top - 0.05, width / 2],
            ]
        )
        mouth = box((width * 0.8, 0.9, 0.08), (0, floor + 0.7, back - 0.01))
        return collected(("load", loft(hopper, exponent=7, sides=20)), ("trim", mouth))
    if kind == "flatbed":
        bed = [
            box((width, 0.14, long), (0, floor + 0.07, middle)),
            box((width, 1.1, 0.1), (0, floor + 0.6, back + long)),
        ]
        crates = [box((width * 0.8, 0.7, 1.3), (0, floor + 0.49, back + z)) for z in np.arange(1.0, long - 1.0, 1.6)]
        return collected(*(("skirt", part) for part in bed), *(("load", crate) for crate in crates))
    return _box_body(kind, (width, floor, top), (back, long))


def _box_body(kind: str, size: tuple[float, float, float], along: tuple[float, float]) -> Model:
    """A box with frames at its edges and doors behind, or a curtain with straps."""
    width, floor, top = size
    back, long = along
    middle, mid_y = back + long / 2, (floor + top) / 2
    parts: list[tuple[str, Geometry]] = [("load", box((width, top - floor, long), (0, mid_y, middle)))]
    for x in (-1, 1):
        parts += [("chrome", box((0.07, top - floor, 0.07), (x * width / 2, mid_y, z))) for z in (back, back + long)]
        parts.append(("chrome", box((0.06, 0.14, long), (x * width / 2, floor + 0.05, middle))))
        parts.append(("chrome", box((0.06, 0.08, long), (x * width / 2, top - 0.04, middle))))
        parts.append(("chrome", box((0.035, top - floor - 0.2, 0.03), (x * width * 0.17, mid_y, back - 0.012))))
    parts.append(("trim", box((0.03, top - floor - 0.1, 0.02), (0, mid_y, back - 0.005))))
    parts.append(("chrome", box((width, 0.10, 0.05), (0, top - 0.05, back))))
    if kind == "curtain":
        for z in np.arange(back + 0.7, back + long, 0.9):
            parts.append(("trim", box((width + 0.02, top - floor - 0.2, 0.035), (0, mid_y, float(z)))))
    else:  # a name on the side
        for x in (-1, 1):
            side = x * (width / 2 + 0.012)
            low, high, z0, z1 = mid_y - 0.1, mid_y + 0.45, back + long * 0.25, back + long * 0.75
            name = np.array([[side, low, z0], [side, low, z1], [side, high, z1], [side, high, z0]])
            parts.append(("stripe", polygon(name)))
    return collected(*parts)
