"""Cars of several bodies, vans, trucks, buses and trams: lofted shells with glass, wheels and lights.

A vehicle's own coordinates: z forward from its middle, x to its right, y up from the road.
"""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import (
    MeshBuilder,
    Placement,
    Thing,
    box,
    disc,
    ellipsoid,
    loft,
    merged,
    polygon,
    tubes,
)

_TYRE: Final = Paint(Material.PLAIN, (0.06, 0.06, 0.06), 0.05)
_RIM: Final = Paint(Material.PLAIN, (0.30, 0.30, 0.31), 0.5)
_TRIM: Final = Paint(Material.PLAIN, (0.09, 0.09, 0.10), 0.2)
_GLASS: Final = Paint(Material.GLASS, (0.10, 0.12, 0.13), 0.95)
_HEAD: Final = (0.95, 0.95, 0.90)
_TAIL: Final = (0.65, 0.04, 0.03)


class Body(NamedTuple):
    """A car's proportions; heights and lengths in metres."""

    length: float
    width: float
    height: float
    bonnet: float
    """Height of the bonnet's edge."""
    belt: float
    """Height of the glass's lower edge."""
    glass: tuple[float, float, float, float]
    """Along the length in shares from the tail: rear glass foot and top, windscreen top and foot."""
    tail: float
    """Height of the tail's edge."""


_BODIES: Final = (
    Body(3.9, 1.70, 1.46, 0.82, 0.90, (0.03, 0.14, 0.56, 0.76), 0.92),  # hatchback
    Body(4.5, 1.78, 1.42, 0.84, 0.90, (0.16, 0.32, 0.58, 0.76), 0.94),  # saloon
    Body(4.6, 1.80, 1.47, 0.84, 0.92, (0.02, 0.10, 0.58, 0.76), 0.94),  # estate
    Body(4.5, 1.88, 1.72, 1.00, 1.08, (0.02, 0.09, 0.60, 0.76), 1.08),  # off-roader
    Body(4.3, 1.80, 1.64, 0.92, 0.98, (0.02, 0.08, 0.66, 0.88), 1.00),  # people carrier
    Body(4.3, 1.80, 1.28, 0.76, 0.84, (0.12, 0.36, 0.56, 0.74), 0.88),  # coupé
)


def add_car(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, instance: int, *, braking: bool = False
) -> None:
    """One of six car bodies."""
    thing = Thing(TRAIN_ID["car"], instance)
    body = _BODIES[int(rng.integers(len(_BODIES)))]
    scale = rng.uniform(0.95, 1.06)
    length, half = body.length * scale, body.width / 2
    paint = Paint(Material.CAR_PAINT, color, 0.85, (float(rng.uniform(0, 0.6)), 0.6, 0.0, 0.0))
    z = lambda share: (share - 0.5) * length  # noqa: E731 - one formula, used a dozen times below
    sill = 0.24
    foot_r, top_r, top_f, foot_f = body.glass
    shell = loft(
        np.array(
            [
                [z(0.0), sill + 0.16, body.tail - 0.16, half * 0.80],
                [z(0.015), sill + 0.06, body.tail - 0.05, half * 0.90],
                [z(0.06), sill, body.tail, half * 0.97],
                [z(0.25), sill - 0.04, max(body.belt, body.tail) + 0.02, half],
                [z(foot_f - 0.06), sill - 0.04, body.belt + 0.03, half],
                [z(foot_f + 0.02), sill - 0.04, body.bonnet + 0.05, half * 0.99],
                [z(0.90), sill, body.bonnet - 0.04, half * 0.96],
                [z(0.975), sill + 0.05, body.bonnet - 0.14, half * 0.88],
                [z(1.0), sill + 0.15, body.bonnet - 0.26, half * 0.74],
            ]
        ),
        exponent=4.5,
        sides=20,
    )
    mesh.add(shell, paint, thing, place)
    cabin = np.array(
        [
            [z(foot_r), body.belt - 0.1, body.belt + 0.02, half * 0.86],
            [z(foot_r * 0.6 + top_r * 0.4), body.belt - 0.1, body.belt + (body.height - body.belt) * 0.55, half * 0.87],
            [z(top_r), body.belt - 0.1, body.height - 0.05, half * 0.84],
            [z(top_r * 0.5 + top_f * 0.5), body.belt - 0.1, body.height, half * 0.85],
            [z(top_f), body.belt - 0.1, body.height - 0.05, half * 0.84],
            [z(top_f * 0.5 + foot_f * 0.5), body.belt - 0.1, body.belt + (body.height - body.belt) * 0.55, half * 0.87],
            [z(foot_f), body.belt - 0.1, body.belt, half * 0.88],
        ]
    )
    mesh.add(loft(cabin, exponent=3.6, sides=20), _GLASS, thing, place)
    roof = cabin[2:5].copy()
    roof[:, 1] = body.height - 0.13
    roof[:, 2] += 0.02
    roof[:, 3] *= 0.90
    mesh.add(loft(roof, exponent=5.0, sides=16), paint, thing, place)
    _pillars(mesh, place, cabin, body, paint, thing)
    _wheels(mesh, place, thing, half, (z(0.19), z(0.81)), 0.32 * scale)
    _lights(mesh, place, thing, half, z(0.0), z(1.0), body, braking=braking, rng=rng)


def _pillars(mesh: MeshBuilder, place: Placement, cabin: np.ndarray, body: Body, paint: Paint, thing: Thing) -> None:
    """Posts between the windows, as thin bars along the cabin's edges."""
    starts, ends = [], []
    for foot, top in ((0, 2), (6, 4)):
        for side in (-1, 1):
            starts.append([side * cabin[foot, 3] * 0.98, body.belt, cabin[foot, 0]])
            ends.append([side * cabin[top, 3] * 0.86, body.height - 0.08, cabin[top, 0]])
    middle = cabin[3]
    for side in (-1, 1):
        starts.append([side * middle[3] * 1.02, body.belt, middle[0] - 0.1])
        ends.append([side * middle[3] * 0.86, body.height - 0.06, middle[0] - 0.15])
    radius = np.full(len(starts), 0.045)
    mesh.add(tubes(np.array(starts), np.array(ends), radius, radius, sides=6), paint, thing, place)
    mirrors = [
        ellipsoid((side * (cabin[6, 3] + 0.16), body.belt + 0.08, cabin[5, 0]), (0.11, 0.08, 0.07)) for side in (-1, 1)
    ]
    mesh.add(merged(*mirrors), paint, thing, place)


def _wheels(
    mesh: MeshBuilder, place: Placement, thing: Thing, half: float, axles: tuple[float, ...], radius: float
) -> None:
    tyres, rims, arches = [], [], []
    for z in axles:
        for side in (-1, 1):
            x = side * (half - 0.10)
            tyres.append(
                tubes(
                    np.array([[x - 0.1, radius, z]]),
                    np.array([[x + 0.1, radius, z]]),
                    np.array([radius]),
                    np.array([radius]),
                    sides=14,
                )
            )
            tyres.append(disc((x + side * 0.1, radius, z), radius))
            rims.append(disc((x + side * 0.115, radius, z), radius * 0.64))
            arches.append(disc((side * (half + 0.004), radius + 0.04, z), radius * 1.17))
    mesh.add(merged(*tyres), _TYRE, thing, place)
    mesh.add(merged(*rims), _RIM, thing, place)
    mesh.add(merged(*arches), _TRIM, thing, place)


def _lights(
    mesh: MeshBuilder, place: Placement, thing: Thing, half: float, back: float, front: float, body: Body,
    *, braking: bool, rng: np.random.Generator,
) -> None:  # fmt: skip
    head = [ellipsoid((side * half * 0.66, body.bonnet - 0.20, front - 0.10), (0.17, 0.08, 0.10)) for side in (-1, 1)]
    tail = [ellipsoid((side * half * 0.76, body.tail - 0.16, back + 0.05), (0.13, 0.12, 0.07)) for side in (-1, 1)]
    mesh.add(
        merged(*head),
        Paint(Material.GLOWING, _HEAD, 0.8, (1.5 if rng.random() < 0.25 else 0.25, 0, 0, 0)),
        thing,
        place,
    )
    mesh.add(merged(*tail), Paint(Material.GLOWING, _TAIL, 0.8, (2.0 if braking else 0.35, 0, 0, 0)), thing, place)
    yellow = rng.random() < 0.25
    plate = Paint(Material.PLAIN, (0.80, 0.66, 0.15) if yellow else (0.80, 0.80, 0.78), 0.2)
    mesh.add(
        merged(box((0.50, 0.11, 0.04), (0, 0.62, back - 0.01)), box((0.50, 0.11, 0.04), (0, 0.40, front + 0.0))),
        plate,
        thing,
        place,
    )
    dark = merged(
        box((half * 1.3, 0.14, 0.06), (0, 0.36, back + 0.02)), box((half * 1.1, 0.16, 0.06), (0, 0.52, front - 0.03))
    )
    mesh.add(dark, _TRIM, thing, place)


def add_van(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, instance: int) -> None:
    """A panel van; counts as a car, as Cityscapes has it."""
    _boxy(mesh, place, rng, Thing(TRAIN_ID["car"], instance), color, size=(1.95, 2.15, 4.9), windows=False)


def add_truck(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, instance: int) -> None:
    """A cab with a box or a flat load behind it."""
    thing = Thing(TRAIN_ID["truck"], instance)
    length = float(rng.uniform(5.5, 9.0))
    cab = Paint(Material.CAR_PAINT, color, 0.7, (0.4, 0.6, 0, 0))
    front = length / 2
    mesh.add(loft(_rounded(front - 2.0, front, 0.55, 2.7, 1.15), exponent=7, sides=20), cab, thing, place)
    screen = np.array([[-1.0, 1.65, 0], [1.0, 1.65, 0], [0.95, 2.5, -0.12], [-0.95, 2.5, -0.12]]) + [0, 0, front + 0.02]
    mesh.add(polygon(screen), _GLASS, thing, place)
    for side in (-1, 1):
        pane = np.array([[0, 1.6, -1.4], [0, 1.6, -0.4], [0, 2.4, -0.5], [0, 2.4, -1.4]]) + [side * 1.165, 0, front]
        mesh.add(polygon(pane), _GLASS, thing, place)
    load = tuple(rng.uniform(0.15, 0.9, 3)) if rng.random() < 0.5 else (0.85, 0.85, 0.83)
    top = float(rng.uniform(2.6, 3.7))
    body = Paint(Material.PLAIN, (load[0], load[1], load[2]), 0.3)
    mesh.add(box((2.4, top - 1.0, length - 2.2), (0, (top + 1.0) / 2, -1.1)), body, thing, place)
    mesh.add(box((2.0, 0.35, length - 0.6), (0, 0.75, -0.2)), _TRIM, thing, place)
    _wheels(mesh, place, thing, 1.18, (front - 1.1, -front + 1.0, -front + 2.1), 0.48)
    _big_lights(mesh, place, thing, 1.05, -front, front)


def add_bus(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, instance: int) -> None:
    """A city bus, sometimes a double-decker."""
    double = rng.random() < 0.25
    size = (2.5, 4.2 if double else 3.05, float(rng.uniform(9.0, 12.0)))
    _boxy(mesh, place, rng, Thing(TRAIN_ID["bus"], instance), color, size=size, windows=True)


def add_tram(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, instance: int) -> None:
    """A tram of two or three cars with a pantograph; the class `train`."""
    thing = Thing(TRAIN_ID["train"], instance)
    count = int(rng.integers(2, 4))
    for car in range(count):
        middle = Placement(place.point(0.0, 0.0, car * 9.2), place.heading)
        _boxy(mesh, middle, rng, thing, color, size=(2.4, 3.4, 8.9), windows=True, wheels=False)
        mesh.add(box((2.2, 0.5, 7.5), (0, 0.3, 0)), _TRIM, thing, middle)
        arms = tubes(
            np.array([[0, 3.4, -0.8], [0, 3.9, 0.5]]),
            np.array([[0, 3.9, 0.5], [0, 4.7, -0.4]]),
            np.full(2, 0.04),
            np.full(2, 0.04),
        )
        mesh.add(arms, _TRIM, thing, middle)


def _boxy(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, thing: Thing, color: Rgb,
    *, size: tuple[float, float, float], windows: bool, wheels: bool = True,
) -> None:  # fmt: skip
    """A rounded box with glass all round: vans, buses and tram cars."""
    width, height, length = size
    half, front = width / 2, length / 2
    paint = Paint(Material.CAR_PAINT, color, 0.75, (float(rng.uniform(0, 0.7)), 0.7, 0, 0))
    mesh.add(loft(_rounded(-front, front, 0.32, height, half), exponent=8, sides=24), paint, thing, place)
    if rng.random() < 0.6:
        band = Paint(Material.CAR_PAINT, (rng.uniform(0, 0.9), rng.uniform(0, 0.8), rng.uniform(0, 0.9)), 0.6)
        mesh.add(box((width + 0.012, height * 0.16, length - 0.9), (0, height * 0.30, 0)), band, thing, place)
    decks = [(height * 0.44, height * 0.76)] if height < 3.6 else [(1.1, 1.95), (2.75, 3.6)]
    for low, high in decks:
        panes = np.arange(-front + 0.5, front - 1.0, 1.5) if windows else np.array([front - 1.75])
        for z in panes:
            for side in (-1, 1):
                x = side * (half + 0.012)
                pane = np.array([[x, low, z], [x, low, z + 1.3], [x, high, z + 1.3], [x, high, z]])
                mesh.add(polygon(pane), _GLASS, thing, place)
        for end in (-1, 1):
            if end > 0 or windows or rng.random() < 0.5:
                zed = end * (front + 0.015)
                pane = np.array(
                    [
                        [-half * 0.84, low, zed],
                        [half * 0.84, low, zed],
                        [half * 0.8, high, zed],
                        [-half * 0.8, high, zed],
                    ]
                )
                mesh.add(polygon(pane), _GLASS, thing, place)
    if windows:
        sign = Paint(Material.GLOWING, (0.95, 0.70, 0.15), 0.2, (0.5, 0, 0, 0))
        mesh.add(box((half * 1.1, 0.22, 0.06), (0, height - 0.35, front)), sign, thing, place)
    if wheels:
        _wheels(mesh, place, thing, half, (-front + length * 0.2, front - length * 0.2), 0.34 if length < 6 else 0.48)
    _big_lights(mesh, place, thing, half * 0.84, -front, front)


def _rounded(z0: float, z1: float, low: float, high: float, half: float) -> np.ndarray:
    """Stations of a box whose ends are slightly drawn in."""
    return np.array(
        [
            [z0, low + 0.12, high - 0.12, half * 0.93],
            [z0 + 0.12, low, high, half],
            [(z0 + z1) / 2, low, high, half],
            [z1 - 0.16, low, high, half],
            [z1, low + 0.12, high - 0.18, half * 0.92],
        ]
    )


def _big_lights(mesh: MeshBuilder, place: Placement, thing: Thing, x: float, back: float, front: float) -> None:
    head = [ellipsoid((side * x, 0.75, front), (0.16, 0.12, 0.06)) for side in (-1, 1)]
    tail = [box((0.16, 0.34, 0.06), (side * x, 0.95, back)) for side in (-1, 1)]
    mesh.add(merged(*head), Paint(Material.GLOWING, _HEAD, 0.8, (0.4, 0, 0, 0)), thing, place)
    mesh.add(merged(*tail), Paint(Material.GLOWING, _TAIL, 0.8, (0.5, 0, 0, 0)), thing, place)
