"""Street lamps of several kinds, and wooden poles with wires."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Geometry, MeshBuilder, Placement, Point, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid, tube, tubes
from isthmus.datasets.worlds.roadside.barriers import metal
from isthmus.datasets.worlds.streets.layout import StreetPlan

POLE: Final = Thing(TRAIN_ID["pole"])
_WARM: Final = (1.0, 0.72, 0.40)
_COLD: Final = (0.85, 0.92, 1.0)
_DOWN: Final = (0.0, -1.0, 0.0)


def _glow(rng: np.random.Generator) -> tuple[Paint, Rgb]:
    """A lamp's body and the light that it sheds."""
    color = _WARM if rng.random() < 0.6 else _COLD
    return Paint(Material.LAMP, color, 0.3, (0.12, float(rng.uniform(5.0, 9.0)), 0.0, 0.0)), color


def add_lamp(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, height: float, arm: float) -> None:
    """A lamp whose arm points along its own +x: a bent mast, a straight arm, or without one a globe or a lantern."""
    steel, (glow, color) = metal(rng), _glow(rng)
    mast: list[tuple[Point, Point, float, float]] = [
        ((0, 0, 0), (0, 1.2, 0), 0.10, 0.10),
        ((0, 1.0, 0), (0, height, 0), 0.075, 0.05),
    ]
    head: list[Geometry] = []
    if arm > 0.3:
        lift = float(rng.choice([0.0, 0.25, 0.9]))
        middle = (arm * 0.35, height + lift * 0.75, 0)
        mast += [((0, height - 0.05, 0), middle, 0.045, 0.045), (middle, (arm, height + lift, 0), 0.04, 0.04)]
        long, flat = float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.07, 0.16))
        head = [box((long, flat, 0.26), (arm + 0.2, height + lift, 0))]
        bulb = box((long * 0.7, 0.03, 0.20), (arm + 0.2, height + lift - flat / 2 - 0.01, 0))
        mesh.add(bulb, glow, POLE, place)
        mesh.add_light(place.point(arm + 0.2, height + lift - 0.15, 0), color, _DOWN)
    else:
        height = min(height, 5.5)
        mast = [((0, 0, 0), (0, 0.9, 0), 0.09, 0.09), ((0, 0.8, 0), (0, height, 0), 0.055, 0.045)]
        if rng.random() < 0.5:
            mesh.add(ellipsoid((0, height + 0.2, 0), (0.22, 0.24, 0.22)), glow, POLE, place)
        else:
            mesh.add(tube((0, height, 0), (0, height + 0.42, 0), 0.13, 0.22, sides=6), glow, POLE, place)
            mast.append(((0, height + 0.42, 0), (0, height + 0.62, 0), 0.26, 0.03))
        mesh.add_light(place.point(0, height + 0.2, 0), color)
    starts, ends, first_radii, last_radii = (np.array(column) for column in zip(*mast, strict=True))
    mesh.add(merged(tubes(starts, ends, first_radii, last_radii, sides=6), *head), steel, POLE, place)


def add_twin_lamp(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, height: float) -> None:
    """A mast with an arm to either side, for medians."""
    steel, (glow, color) = metal(rng), _glow(rng)
    reach, lift = float(rng.uniform(1.0, 2.4)), float(rng.uniform(0.0, 0.5))
    parts = [tube((0, 0, 0), (0, height, 0), 0.11, 0.06)]
    for side in (-1, 1):
        parts.append(tube((0, height - 0.1, 0), (side * reach, height + lift, 0), 0.045, sides=6))
        parts.append(box((0.7, 0.12, 0.26), (side * (reach + 0.2), height + lift, 0)))
        mesh.add(box((0.5, 0.03, 0.2), (side * (reach + 0.2), height + lift - 0.07, 0)), glow, POLE, place)
        mesh.add_light(place.point(side * (reach + 0.2), height + lift - 0.15, 0), color, _DOWN)
    mesh.add(merged(*parts), steel, POLE, place)


def add_pole_line(
    mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator, *, t: float, spans: list[tuple[float, float]]
) -> list[float]:
    """Wooden poles with cross arms and wires along a street; returns where they stand."""
    gap, height = float(rng.uniform(24.0, 36.0)), float(rng.uniform(7.0, 9.5))
    wood = Paint(
        Material.BARK, ((0.34, 0.28, 0.22), (0.42, 0.38, 0.33), (0.26, 0.21, 0.17))[int(rng.integers(3))], 0.02
    )
    stations = np.arange(float(rng.uniform(-6.0, 14.0)), min(street.end, 120.0), gap)
    kept = [float(s) for s in stations if any(s0 < s < s1 for s0, s1 in spans)]
    if len(kept) < 2:
        return []
    arm = float(rng.uniform(1.2, 2.2))
    shape = merged(
        tube((0, 0, 0), (0, height, 0), 0.15, 0.10, sides=7),
        box((arm, 0.11, 0.11), (0, height - 0.5, 0)),
        box((arm * 0.8, 0.10, 0.10), (0, height - 1.2, 0)),
    )
    places = [street.curve.place(s, t, 0.1) for s in kept]
    for place in places:
        mesh.add(shape, wood, POLE, place)
    if rng.random() < 0.5:
        drum = tube((0.25, height - 2.4, 0), (0.25, height - 1.6, 0), 0.22, sides=8)
        mesh.add(drum, Paint(Material.PLAIN, (0.5, 0.5, 0.5), 0.3), POLE, places[int(rng.integers(len(places)))])
    _hang_wires(mesh, places, height, arm)
    return kept


def _hang_wires(mesh: MeshBuilder, places: list[Placement], height: float, arm: float) -> None:
    """Sagging wires from pole to pole: too thin for a class of their own."""
    ends = [(x * arm, height - drop) for x, drop in ((-0.45, 0.42), (0.0, 0.42), (0.45, 0.42), (0.36, 1.12))]
    hooks = np.array([[place.point(x, y, 0.0) for x, y in ends] for place in places])
    share = np.linspace(0.0, 1.0, 6)[:, None, None, None]
    lines = hooks[None, :-1] * (1 - share) + hooks[None, 1:] * share
    lines[..., 1] -= 0.9 * 4 * (share * (1 - share))[..., 0]
    radii = np.full(lines[:-1].size // 3, 0.012)
    wires = tubes(lines[:-1].reshape(-1, 3), lines[1:].reshape(-1, 3), radii, radii, sides=3)
    mesh.add(wires, Paint(Material.PLAIN, (0.06, 0.06, 0.06), 0.1), Thing(IGNORE_INDEX))
