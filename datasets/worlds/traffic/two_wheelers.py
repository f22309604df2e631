"""Bicycles, scooters and motorcycles, alone or with their riders.

Own coordinates: z forward from the middle between the wheels, y up from the road.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import Assembly, Geometry, MeshBuilder, Placement, Point, Thing
from isthmus.datasets.worlds.geometry.sculpture import Model, add_model, collected, ring, rods
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid, loft, polygon, tube
from isthmus.datasets.worlds.traffic.clothing import bag, draw_outfit, dressed
from isthmus.datasets.worlds.traffic.figures import (
    FOREARM_M,
    SHIN_M,
    SIDES,
    THIGH_M,
    UPPER_ARM_M,
    Build,
    Skeleton,
    as_point,
    reach,
    shifted,
)
from isthmus.datasets.worlds.traffic.people import CLOTHES, RUBBER, clothes_paints
from isthmus.datasets.worlds.traffic.vehicle_parts import CHROME, TRIM, head_light, is_near, tail_light

_WHEEL_M: Final = 0.34
_AXLES: Final = (-0.52, 0.54)
_SPOKES: Final = Paint(Material.RAILING, (0.5, 0.5, 0.5), 0.4, (0.22, 0.012, 99.0, 0.0))
_Bar = tuple[Point, Point]
_DIAMOND: Final[tuple[_Bar, ...]] = (
    ((0, 0.34, -0.52), (0, 0.30, -0.05)), ((0, 0.34, -0.52), (0, 0.84, -0.20)), ((0, 0.30, -0.05), (0, 0.84, -0.20)),
    ((0, 0.30, -0.05), (0, 0.80, 0.34)), ((0, 0.82, -0.19), (0, 0.86, 0.33)), ((0, 0.90, 0.32), (0, 0.34, 0.54)),
)  # fmt: skip
_STEP_THROUGH: Final[tuple[_Bar, ...]] = (
    ((0, 0.34, -0.52), (0, 0.30, -0.05)), ((0, 0.34, -0.52), (0, 0.80, -0.20)), ((0, 0.30, -0.05), (0, 0.84, -0.20)),
    ((0, 0.32, -0.02), (0, 0.46, 0.24)), ((0, 0.46, 0.24), (0, 0.84, 0.36)), ((0, 0.96, 0.32), (0, 0.34, 0.54)),
)  # fmt: skip
_BICYCLES: Final = ("city", "city", "race", "trekking", "trekking", "child seat")
_MOTORCYCLES: Final = ("scooter", "naked", "sports", "tourer")
_RIDERS: Final = 32


class _Seat(NamedTuple):
    """Where a rider touches the machine, in metres."""

    seat: float
    seat_z: float
    bar: Point
    """Of the right hand."""
    pedals: tuple[Point, Point]
    """Left and right."""
    lean: float
    """From the upright, in radians."""
    helmet: float
    """How often a helmet is worn."""


_SEATS: Final = {
    "city": _Seat(0.96, -0.26, (0.27, 1.10, 0.20), ((0.10, 0.24, 0.06), (0.10, 0.50, -0.04)), 0.16, 0.45),
    "race": _Seat(1.00, -0.24, (0.20, 0.92, 0.42), ((0.10, 0.22, 0.03), (0.10, 0.54, 0.00)), 0.85, 0.9),
    "trekking": _Seat(0.98, -0.25, (0.28, 1.02, 0.33), ((0.10, 0.26, 0.10), (0.10, 0.48, -0.06)), 0.45, 0.65),
    "child seat": _Seat(0.96, -0.24, (0.27, 1.08, 0.22), ((0.10, 0.24, 0.06), (0.10, 0.50, -0.04)), 0.18, 0.6),
    "scooter": _Seat(0.80, -0.30, (0.30, 1.00, 0.34), ((0.14, 0.32, 0.22), (0.14, 0.32, 0.22)), 0.14, 1.0),
    "naked": _Seat(0.86, -0.26, (0.34, 1.02, 0.36), ((0.18, 0.38, -0.06), (0.18, 0.38, -0.06)), 0.34, 1.0),
    "sports": _Seat(0.86, -0.30, (0.26, 0.90, 0.40), ((0.17, 0.42, -0.20), (0.17, 0.42, -0.20)), 0.75, 1.0),
    "tourer": _Seat(0.84, -0.28, (0.36, 1.06, 0.28), ((0.18, 0.34, 0.10), (0.18, 0.34, 0.10)), 0.16, 1.0),
}


def add_cyclist(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int) -> None:
    """A rider on a bicycle: two instances."""
    kind = add_bicycle(mesh, place, rng, instance=machine)
    _add_rider(Assembly(mesh, place, Thing(TRAIN_ID["rider"], rider)), kind, rng)


def add_motorcyclist(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int
) -> None:
    """A rider on a motorcycle or scooter: two instances."""
    kind = add_motorcycle(mesh, place, rng, instance=machine, lit=True)
    _add_rider(Assembly(mesh, place, Thing(TRAIN_ID["rider"], rider)), kind, rng)


def add_bicycle(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int) -> str:
    """A bicycle, its wheels open in the image and solid in the labels; returns its kind."""
    kind = _BICYCLES[int(rng.integers(len(_BICYCLES)))]
    bicycle = Assembly(mesh, place, Thing(TRAIN_ID["bicycle"], instance))
    color = CLOTHES[int(rng.integers(len(CLOTHES)))]
    basket = kind == "city" and rng.random() < 0.5
    paints = {
        "frame": Paint(Material.CAR_PAINT, color, 0.6),
        "rubber": RUBBER,
        "chrome": CHROME,
        "bag": Paint(Material.PLAIN, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.1),
        "head": head_light(lit=bool(rng.random() < 0.3)),
        "tail": tail_light(braking=False),
        "spokes": _SPOKES,
    }
    add_model(bicycle, _bicycle(kind, basket=basket, near=is_near(place)), paints)
    return kind


def add_motorcycle(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int, lit: bool = False
) -> str:
    """A motorcycle or a scooter; returns its kind."""
    kind = _MOTORCYCLES[int(rng.integers(len(_MOTORCYCLES)))]
    motorcycle = Assembly(mesh, place, Thing(TRAIN_ID["motorcycle"], instance))
    color = CLOTHES[int(rng.integers(len(CLOTHES)))]
    if rng.random() < 0.3:
        color = (float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.0, 0.3)), float(rng.uniform(0.0, 0.3)))
    paints = {
        "frame": Paint(Material.CAR_PAINT, color, 0.9),
        "rubber": RUBBER,
        "trim": TRIM,
        "chrome": CHROME,
        "head": head_light(lit=lit),
        "tail": tail_light(braking=False),
        "plate": Paint(Material.PLAIN, (0.8, 0.8, 0.78), 0.2),
        "glass": Paint(Material.GLASS, (0.2, 0.22, 0.24), 0.9),
    }
    add_model(motorcycle, _motorcycle(kind, near=is_near(place)), paints)
    return kind


def _add_rider(body: Assembly, kind: str, rng: np.random.Generator) -> None:
    on_motorcycle = kind in _MOTORCYCLES
    paints = clothes_paints(rng, bright=bool(rng.random() < 0.2))
    if on_motorcycle and rng.random() < 0.6:
        leather = Paint(Material.CLOTH, (0.05, 0.05, 0.055), 0.2, (float(rng.random()), 0.0, 1.0, 0.0))
        paints["top"] = paints["top"] if rng.random() < 0.4 else leather
        paints["bottom"] = leather
    paints["hat"] = Paint(Material.CAR_PAINT, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.8)
    paints["visor"] = Paint(Material.GLASS, (0.05, 0.05, 0.06), 0.9)
    add_model(body, _rider(kind, int(rng.integers(_RIDERS)), near=is_near(body.place)), paints)


@cache
def _rider(kind: str, number: int, *, near: bool) -> Model:
    """Somebody who rides: the slots of `people.figure`."""
    rng, seat = np.random.default_rng([2027, number]), _SEATS[kind]
    on_motorcycle = kind in _MOTORCYCLES
    girth = float(rng.uniform(0.95, 1.2)) * (1.1 if on_motorcycle else 1.0)
    build = Build(float(rng.uniform(0.92, 1.1)), float(rng.uniform(0.92, 1.05)), girth, 1.0)
    skeleton = _astride(seat, build, flipped=bool(rng.random() < 0.5))
    outfit = draw_outfit(rng, helmet=seat.helmet)
    legs = "shorts" if kind == "race" else "trousers" if on_motorcycle or rng.random() < 0.85 else outfit.legs
    top = "jacket" if on_motorcycle else "shirt" if kind == "race" or outfit.top == "coat" else outfit.top
    outfit = outfit._replace(legs="skirt" if legs == "dress" else legs, top=top)
    if on_motorcycle:
        outfit = outfit._replace(hat="full helmet", hair="bald")
    parts = dressed(skeleton, build, outfit, near=near)
    if rng.random() < 0.35:
        parts += bag("backpack", skeleton, build, near=near)
    return collected(*parts)


def _astride(seat: _Seat, build: Build, *, flipped: bool) -> Skeleton:
    """A rider's joints: hips on the saddle, hands on the bar, feet on the pedals."""
    pelvis = np.array([0.0, seat.seat + 0.07, seat.seat_z])
    up = np.array([0.0, np.cos(seat.lean), np.sin(seat.lean)])
    neck = pelvis + up * 0.55
    head = neck + np.array([0.0, 0.150, 0.055])
    chest = pelvis + up * 0.49
    arms, legs = [], []
    for side in SIDES:
        x, y, z = seat.bar
        elbow = np.array([side * 0.9, -0.8, -0.3])
        shoulder = shifted(chest, side * 0.185 * build.shoulders, 0, 0)
        arms.append(reach(shoulder, np.array([side * x, y, z]), UPPER_ARM_M, FOREARM_M, elbow))
        x, y, z = seat.pedals[(side > 0) ^ flipped]
        knee = np.array([side * 0.12, 0.5, 1.0])
        legs.append(
            reach(shifted(pelvis, side * 0.085, -0.01, 0.0), np.array([side * x, y + 0.075, z]), THIGH_M, SHIN_M, knee)
        )
    return Skeleton(pelvis, neck, head, (arms[0], arms[1]), (legs[0], legs[1]))


@cache
def _bicycle(kind: str, *, basket: bool, near: bool) -> Model:
    sides = 6 if near else 4
    bars = _STEP_THROUGH if kind in ("city", "child seat") else _DIAMOND
    seat = _SEATS[kind]
    hand_x, hand_y, hand_z = seat.bar
    parts: list[tuple[str, Geometry]] = [("frame", rods(*((a, b, 0.027, 0.027) for a, b in bars), sides=sides))]
    stem = ((0, 0.88, 0.33), (0, hand_y, 0.32), 0.022, 0.022)
    handles = [((s * 0.04, hand_y, 0.32), (s * hand_x, hand_y, hand_z), 0.022, 0.024) for s in SIDES]
    post = ((0, 0.82, -0.20), (0, seat.seat - 0.02, -0.25), 0.02, 0.02)
    parts.append(("chrome", rods(stem, post, sides=sides)))
    parts.append(("rubber", rods(*handles, sides=sides)))
    parts.append(("rubber", ellipsoid((0, seat.seat - 0.01, -0.27), (0.085, 0.04, 0.14))))
    thick = 0.022 if kind == "race" else 0.032
    for z in _AXLES:
        tyre = ring((0, _WHEEL_M, z), _WHEEL_M - thick, thick, parts=16 if near else 10, sides=sides - 1)
        parts.append(("rubber", tyre))
    parts += [("spokes", _plate(z)) for z in _AXLES]
    crank = [
        ((0, 0.30, -0.05), (s * 0.10, y, z), 0.016, 0.016) for s, (_, y, z) in zip(SIDES, seat.pedals, strict=True)
    ]
    pedals = [box((0.09, 0.025, 0.09), (s * 0.13, y, z)) for s, (_, y, z) in zip(SIDES, seat.pedals, strict=True)]
    parts += [("rubber", pedal) for pedal in pedals]
    parts.append(("chrome", rods(*crank, sides=4)))
    parts.append(("rubber", tube((0.03, 0.30, -0.05), (0.05, 0.30, -0.05), 0.09, sides=8)))
    if kind != "race":
        parts += [("frame", _mudguard(z)) for z in _AXLES]
        parts.append(("head", ellipsoid((0, 0.80, 0.44), (0.05, 0.05, 0.05))))
        rack = [((s * 0.06, 0.74, -0.16), (s * 0.06, 0.72, -0.74), 0.014, 0.014) for s in SIDES]
        parts.append(("chrome", rods(*rack, ((0, 0.34, -0.52), (0, 0.72, -0.66), 0.014, 0.014), sides=4)))
        parts.append(("tail", ellipsoid((0, 0.68, -0.78), (0.05, 0.04, 0.03))))
    if basket:
        parts.append(("bag", box((0.36, 0.25, 0.26), (0, 0.98, 0.56))))
    if kind == "trekking":
        parts += [("bag", box((0.14, 0.32, 0.34), (s * 0.15, 0.52, -0.58))) for s in SIDES]
    if kind == "child seat":
        parts.append(("bag", box((0.30, 0.44, 0.06), (0, 1.00, -0.68))))
        parts.append(("bag", box((0.28, 0.10, 0.30), (0, 0.80, -0.54))))
    return collected(*parts)


@cache
def _motorcycle(kind: str, *, near: bool) -> Model:
    radius, thick, axles = (0.16, 0.065, (-0.58, 0.62)) if kind == "scooter" else (0.24, 0.075, (-0.68, 0.72))
    parts = _scooter() if kind == "scooter" else _big_motorcycle(kind)
    height = radius + thick
    for z in axles:
        parts.append(("rubber", ring((0, height, z), radius, thick, parts=16 if near else 10, sides=6)))
        parts.append(("chrome", tube((-0.05, height, z), (0.05, height, z), radius * 0.7, sides=8)))
    x, y, z = _SEATS[kind].bar
    parts.append(("trim", rods(*(((0, y - 0.04, z + 0.04), (s * x, y, z), 0.022, 0.026) for s in SIDES))))
    for s in SIDES:
        parts.append(
            ("trim", rods(((s * (x - 0.05), y, z), (s * (x + 0.02), y + 0.18, z + 0.04), 0.012, 0.012), sides=4))
        )
        parts.append(("trim", ellipsoid((s * (x + 0.03), y + 0.21, z + 0.04), (0.075, 0.05, 0.03))))
    return collected(*parts)


def _scooter() -> list[tuple[str, Geometry]]:
    """Legs behind a shield, an engine under the seat, often a top case."""
    rear = loft(
        np.array(
            [[-0.86, 0.50, 0.68, 0.07], [-0.70, 0.30, 0.76, 0.17], [-0.35, 0.26, 0.74, 0.20], [-0.12, 0.24, 0.62, 0.17]]
        ),
        exponent=3,
    )
    shield = loft(np.array([[0.28, 0.26, 0.92, 0.20], [0.34, 0.24, 0.94, 0.23], [0.46, 0.36, 0.90, 0.13]]), exponent=3)
    parts = [("frame", rear), ("frame", shield), ("trim", box((0.34, 0.07, 0.55), (0, 0.25, 0.10)))]
    parts += [
        ("trim", ellipsoid((0, 0.78, -0.38), (0.16, 0.06, 0.40))),
        ("frame", ellipsoid((0, 0.98, 0.36), (0.17, 0.10, 0.13))),
    ]
    parts += [
        ("frame", ellipsoid((0, 0.42, 0.62), (0.08, 0.07, 0.24))),
        ("head", ellipsoid((0, 0.96, 0.48), (0.09, 0.06, 0.05))),
    ]
    parts += [("tail", box((0.16, 0.07, 0.05), (0, 0.62, -0.86))), ("plate", box((0.17, 0.16, 0.02), (0, 0.44, -0.88)))]
    parts.append(("trim", rods(((0, 0.9, 0.40), (0, 0.24, 0.62), 0.05, 0.05))))
    parts.append(("trim", ellipsoid((0, 0.30, -0.50), (0.15, 0.13, 0.22))))
    case = ellipsoid((0, 1.02, -0.82), (0.20, 0.16, 0.18), detail="medium")
    return [*parts, ("trim", case), ("trim", box((0.12, 0.12, 0.12), (0, 0.82, -0.78)))]


def _big_motorcycle(kind: str) -> list[tuple[str, Geometry]]:
    """Tank, engine, seat, fork, exhaust; fairing or cases by kind."""
    parts: list[tuple[str, Geometry]] = [
        ("frame", ellipsoid((0, 0.86, 0.14), (0.17, 0.15, 0.30), detail="medium")),
        ("frame", ellipsoid((0, 0.80, -0.66), (0.12, 0.07, 0.24))),
        ("trim", ellipsoid((0, 0.84, -0.32), (0.15, 0.07, 0.34))),
        ("trim", ellipsoid((0, 0.50, 0.04), (0.19, 0.22, 0.32))),
        ("chrome", ellipsoid((0, 0.48, 0.08), (0.24, 0.13, 0.16))),
        ("chrome", rods(*(((s * 0.08, 1.0, 0.38), (s * 0.08, 0.31, 0.72), 0.035, 0.035) for s in SIDES))),
        ("chrome", rods(((0.16, 0.32, 0.1), (0.19, 0.36, -0.85), 0.04, 0.06))),
        ("trim", rods(*(((s * 0.09, 0.32, -0.68), (s * 0.09, 0.44, -0.05), 0.04, 0.05) for s in (1, -1)))),
        ("frame", ellipsoid((0, 0.56, 0.72), (0.08, 0.05, 0.26))),
        ("tail", box((0.18, 0.07, 0.05), (0, 0.82, -0.90))),
        ("plate", box((0.20, 0.16, 0.02), (0, 0.62, -0.92))),
    ]  # fmt: skip
    if kind == "sports":
        parts += [("frame", ellipsoid((0, 0.76, 0.46), (0.21, 0.28, 0.30), detail="medium")),
                  ("glass", ellipsoid((0, 1.02, 0.44), (0.14, 0.14, 0.16))),
                  ("head", ellipsoid((0, 0.80, 0.72), (0.13, 0.06, 0.06)))]  # fmt: skip
    else:
        parts.append(("head", ellipsoid((0, 0.92, 0.50), (0.11, 0.11, 0.09))))
    if kind == "tourer":
        parts += [("trim", box((0.20, 0.34, 0.46), (s * 0.30, 0.66, -0.66))) for s in SIDES]
        parts += [
            ("trim", box((0.42, 0.28, 0.34), (0, 1.06, -0.78))),
            ("glass", ellipsoid((0, 1.16, 0.46), (0.20, 0.20, 0.05))),
        ]
    return parts


def _mudguard(z: float) -> Geometry:
    """A band over a wheel."""
    angle = np.linspace(0.1 * np.pi, 0.95 * np.pi, 7)
    points = np.stack([np.zeros(7), _WHEEL_M + 0.37 * np.sin(angle), z - 0.37 * np.cos(angle)], 1)
    starts, ends = points[:-1], points[1:]
    return rods(*((as_point(a), as_point(b), 0.022, 0.022) for a, b in zip(starts, ends, strict=True)), sides=4)


def _plate(z: float) -> Geometry:
    """The disc of a bicycle's spokes."""
    angle = np.linspace(0, 2 * np.pi, 15)[:-1]
    local = np.stack([np.zeros(14), 0.32 * np.sin(angle), 0.32 * np.cos(angle)], 1)
    return polygon(local + np.array([0, _WHEEL_M, z]), np.stack([local[:, 2], local[:, 1] + _WHEEL_M], 1))
