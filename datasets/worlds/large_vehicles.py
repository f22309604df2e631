"""Vans, trucks, buses and trams: rounded boxes with glass all round.

A vehicle's own coordinates: z forward from its middle, x to its right, y up from the road.
"""

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Assembly, Floats, Geometry, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.shapes import box, loft, polygon, tubes
from isthmus.datasets.worlds.vehicle_parts import GLASS, TRIM, add_big_lights, add_wheels, lacquer


def add_van(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, *, instance: int) -> None:
    """A panel van; counts as a car, as Cityscapes has it."""
    van = Assembly(mesh, place, Thing(TRAIN_ID["car"], instance))
    length = 4.9
    _add_coach(van, rng, color, size=(1.95, 2.15, length), windows=False)
    add_wheels(van, half_width=1.95 / 2, axles=(-length * 0.3, length * 0.3), radius=0.34)


def add_truck(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, *, instance: int) -> None:
    """A cab with a box behind it."""
    truck = Assembly(mesh, place, Thing(TRAIN_ID["truck"], instance))
    length, top = float(rng.uniform(5.5, 9.0)), float(rng.uniform(2.6, 3.7))
    front = length / 2
    truck.add(
        lacquer(color, rng, gloss=0.7), loft(_rounded(front - 2.0, front, 0.55, 2.7, half=1.15), exponent=7, sides=20)
    )
    screen = np.array([[-1.0, 1.65, 0.02], [1.0, 1.65, 0.02], [0.95, 2.5, -0.1], [-0.95, 2.5, -0.1]])
    screen[:, 2] += front
    sides = []
    for side in (-1, 1):
        pane = np.array([[0, 1.6, -1.4], [0, 1.6, -0.4], [0, 2.4, -0.5], [0, 2.4, -1.4]])
        sides.append(polygon(pane + np.array([side * 1.165, 0.0, front])))
    truck.add(GLASS, polygon(screen), *sides)
    r, g, b = (float(c) for c in rng.uniform(0.15, 0.9, 3)) if rng.random() < 0.5 else (0.85, 0.85, 0.83)
    truck.add(Paint(Material.PLAIN, (r, g, b), 0.3), box((2.4, top - 1.0, length - 2.2), (0, (top + 1.0) / 2, -1.1)))
    truck.add(TRIM, box((2.0, 0.35, length - 0.6), (0, 0.75, -0.2)))
    add_wheels(truck, half_width=1.18, axles=(front - 1.1, -front + 1.0, -front + 2.1), radius=0.48)
    add_big_lights(truck, x=1.05, back=-front, front=front)


def add_bus(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, *, instance: int) -> None:
    """A city bus, sometimes a double-decker."""
    bus = Assembly(mesh, place, Thing(TRAIN_ID["bus"], instance))
    length, height = float(rng.uniform(9.0, 12.0)), 4.2 if rng.random() < 0.25 else 3.05
    _add_coach(bus, rng, color, size=(2.5, height, length), windows=True)
    add_wheels(bus, half_width=1.25, axles=(-length * 0.3, length * 0.3), radius=0.48)


def add_tram(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, *, instance: int) -> None:
    """A tram of two or three cars with pantographs; the class `train`."""
    for number in range(int(rng.integers(2, 4))):
        middle = Placement(place.point(0.0, 0.0, number * 9.2), place.heading)
        car = Assembly(mesh, middle, Thing(TRAIN_ID["train"], instance))
        _add_coach(car, rng, color, size=(2.4, 3.4, 8.9), windows=True)
        starts, ends = np.array([[0, 3.4, -0.8], [0, 3.9, 0.5]]), np.array([[0, 3.9, 0.5], [0, 4.7, -0.4]])
        car.add(TRIM, box((2.2, 0.5, 7.5), (0, 0.3, 0)), tubes(starts, ends, np.full(2, 0.04), np.full(2, 0.04)))


def _add_coach(
    coach: Assembly, rng: np.random.Generator, color: Rgb, *, size: tuple[float, float, float], windows: bool
) -> None:
    """The body of vans, buses and tram cars; vans have glass only in front and perhaps behind."""
    width, height, length = size
    half, front = width / 2, length / 2
    coach.add(
        lacquer(color, rng, gloss=0.75), loft(_rounded(-front, front, 0.32, height, half=half), exponent=8, sides=24)
    )
    if rng.random() < 0.6:
        stripe = lacquer((rng.uniform(0, 0.9), rng.uniform(0, 0.8), rng.uniform(0, 0.9)), rng, gloss=0.6)
        coach.add(stripe, box((width + 0.012, height * 0.16, length - 0.9), (0, height * 0.30, 0)))
    panes: list[Geometry] = []
    for low, high in [(height * 0.44, height * 0.76)] if height < 3.6 else [(1.1, 1.95), (2.75, 3.6)]:
        for z in np.arange(-front + 0.5, front - 1.0, 1.5) if windows else np.array([front - 1.75]):
            for x in (-half - 0.012, half + 0.012):
                panes.append(polygon(np.array([[x, low, z], [x, low, z + 1.3], [x, high, z + 1.3], [x, high, z]])))
        for end in (-1, 1) if windows or rng.random() < 0.5 else (1,):
            z, foot, top = end * (front + 0.015), half * 0.84, half * 0.8
            panes.append(polygon(np.array([[-foot, low, z], [foot, low, z], [top, high, z], [-top, high, z]])))
    coach.add(GLASS, *panes)
    if windows:
        display = Paint(Material.GLOWING, (0.95, 0.70, 0.15), 0.2, (0.5, 0.0, 0.0, 0.0))
        coach.add(display, box((half * 1.1, 0.22, 0.06), (0, height - 0.35, front)))
    add_big_lights(coach, x=half * 0.84, back=-front, front=front)


def _rounded(z0: float, z1: float, low: float, high: float, *, half: float) -> Floats:
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
