"""Bicycles and motorcycles, alone or with their riders.

Own coordinates: z forward from the middle between the wheels, y up from the road.
"""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint
from isthmus.datasets.worlds.mesh import Assembly, Floats, Geometry, MeshBuilder, Placement, Point, Thing
from isthmus.datasets.worlds.people import (
    CLOTHES,
    RUBBER,
    add_head,
    clothes_paint,
    limb,
    skin_paint,
    trousers_paint,
)
from isthmus.datasets.worlds.shapes import ellipsoid, polygon, tube, tubes

_SPOKES: Final = Paint(Material.RAILING, (0.5, 0.5, 0.5), 0.4, (0.22, 0.012, 99.0, 0.0))
_FRAME: Final[tuple[tuple[Point, Point], ...]] = (
    ((0, 0.34, -0.52), (0, 0.30, -0.05)),
    ((0, 0.34, -0.52), (0, 0.88, -0.22)),
    ((0, 0.30, -0.05), (0, 0.88, -0.22)),
    ((0, 0.30, -0.05), (0, 0.86, 0.36)),
    ((0, 0.88, -0.22), (0, 0.86, 0.36)),
    ((0, 0.86, 0.36), (0, 0.34, 0.54)),
    ((-0.28, 1.0, 0.36), (0.28, 1.0, 0.36)),
    ((0, 0.86, 0.36), (0, 1.0, 0.36)),
    ((0, 0.88, -0.22), (0, 0.98, -0.25)),
)
"""A bicycle's tubes from end to end."""


class _Seat(NamedTuple):
    """Where a rider touches the machine, in metres."""

    seat: float
    bar: float
    pedal: float
    lean: float
    """How far the shoulders may come forward."""
    helmet: float
    """How often a helmet is worn."""


_BICYCLE_SEAT: Final = _Seat(seat=0.98, bar=1.02, pedal=0.32, lean=0.52, helmet=0.6)
_MOTORCYCLE_SEAT: Final = _Seat(seat=0.84, bar=1.02, pedal=0.34, lean=0.48, helmet=1.0)


def add_cyclist(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int) -> None:
    """A rider on a bicycle: two instances."""
    add_bicycle(mesh, place, rng, instance=machine)
    _add_rider(Assembly(mesh, place, Thing(TRAIN_ID["rider"], rider)), _BICYCLE_SEAT, rng)


def add_motorcyclist(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int
) -> None:
    """A rider on a motorcycle: two instances."""
    add_motorcycle(mesh, place, rng, instance=machine)
    _add_rider(Assembly(mesh, place, Thing(TRAIN_ID["rider"], rider)), _MOTORCYCLE_SEAT, rng)


def add_bicycle(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int) -> None:
    """A bicycle; its wheels are open in the image and solid in the labels."""
    bicycle = Assembly(mesh, place, Thing(TRAIN_ID["bicycle"], instance))
    radii = np.full(len(_FRAME), 0.026)
    frame = tubes(np.array([a for a, _ in _FRAME]), np.array([b for _, b in _FRAME]), radii, radii, sides=5)
    bicycle.add(Paint(Material.CAR_PAINT, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.6), frame)
    wheels = [_ring((0, 0.34, z), 0.335, 0.028) for z in (-0.52, 0.54)]
    bicycle.add(RUBBER, ellipsoid((0, 0.99, -0.26), (0.07, 0.04, 0.14)), *wheels)
    bicycle.add(_SPOKES, *[_plate(z) for z in (-0.52, 0.54)])


def add_motorcycle(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int) -> None:
    """A motorcycle."""
    motorcycle = Assembly(mesh, place, Thing(TRAIN_ID["motorcycle"], instance))
    motorcycle.add(
        Paint(Material.CAR_PAINT, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.8),
        ellipsoid((0, 0.78, 0.18), (0.17, 0.17, 0.34), detail="medium"),
        ellipsoid((0, 0.74, -0.62), (0.13, 0.10, 0.26)),
    )
    motorcycle.add(
        RUBBER,
        ellipsoid((0, 0.48, 0.05), (0.20, 0.24, 0.36)),
        ellipsoid((0, 0.80, -0.26), (0.14, 0.08, 0.34)),
        tube((-0.36, 1.02, 0.40), (0.36, 1.02, 0.40), 0.03),
        tube((0, 1.0, 0.42), (0, 0.31, 0.70), 0.05),
        *[_ring((0, 0.31, z), 0.25, 0.075) for z in (-0.66, 0.70)],
    )
    hubs = [tube((-0.05, 0.31, z), (0.05, 0.31, z), 0.16) for z in (-0.66, 0.70)]
    motorcycle.add(Paint(Material.PLAIN, (0.4, 0.4, 0.42), 0.5), *hubs)
    lamp = Paint(Material.GLOWING, (0.9, 0.9, 0.8), 0.5, (0.5, 0.0, 0.0, 0.0))
    motorcycle.add(lamp, ellipsoid((0, 0.92, 0.52), (0.11, 0.11, 0.08)))


def _add_rider(body: Assembly, seat: _Seat, rng: np.random.Generator) -> None:
    """A person leaning from the saddle to the handlebar."""
    hip = (0.0, seat.seat + 0.08, -0.24)
    shoulder = (0.0, seat.seat + 0.56, -0.24 + seat.lean * float(rng.uniform(0.3, 0.6)))
    legs, arms = [], []
    for side, lift in ((-1, 0.20), (1, 0.0)):
        knee = (side * 0.12, (seat.seat + seat.pedal) / 2 + 0.10 + lift * 0.5, 0.14 + lift * 0.2)
        foot = (side * 0.12, seat.pedal - 0.14 + lift, 0.02)
        legs.append(limb((side * 0.09, hip[1], hip[2]), knee, 0.095, 0.065))
        legs.append(limb(knee, foot, 0.06, 0.045))
        legs.append(ellipsoid((foot[0], foot[1] - 0.03, foot[2] + 0.07), (0.05, 0.05, 0.13)))
        elbow = (side * 0.29, (shoulder[1] + seat.bar) / 2 - 0.02, (shoulder[2] + 0.30) / 2)
        arms.append(limb((side * 0.2, shoulder[1] - 0.05, shoulder[2]), elbow, 0.06, 0.05))
        arms.append(limb(elbow, (side * 0.24, seat.bar, 0.34), 0.048, 0.038))
    body.add(trousers_paint(rng), *legs)
    back = tube(hip, shoulder, 0.16, 0.18, sides=10)
    chest = ellipsoid((0, shoulder[1] - 0.06, shoulder[2]), (0.21, 0.13, 0.13))
    body.add(clothes_paint(rng), back, chest, ellipsoid(hip, (0.17, 0.12, 0.15)), *arms)
    add_head(body, (0.0, shoulder[1] + 0.18, shoulder[2] + 0.06), 1.0, skin_paint(rng), rng)
    if rng.random() < seat.helmet:
        shell = Paint(Material.CAR_PAINT, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.7)
        body.add(shell, ellipsoid((0, shoulder[1] + 0.24, shoulder[2] + 0.05), (0.125, 0.11, 0.15)))


def _ring(center: Point, radius: float, thick: float) -> Geometry:
    """A wheel's tyre about the x axis."""
    points = _circle(center, radius, 13)
    return tubes(points[:-1], points[1:], np.full(12, thick), np.full(12, thick), sides=5)


def _plate(z: float) -> Geometry:
    """The disc of a bicycle's spokes."""
    points = _circle((0, 0.34, z), 0.32, 15)[:-1]
    return polygon(points, np.stack([points[:, 2] - z, points[:, 1]], 1))


def _circle(center: Point, radius: float, count: int) -> Floats:
    angle = np.linspace(0, 2 * np.pi, count)
    x, y, z = center
    return np.stack([np.full(count, x), y + radius * np.sin(angle), z + radius * np.cos(angle)], 1)
