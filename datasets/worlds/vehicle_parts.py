"""What cars, trucks, buses and trams share: paints, wheels and lights."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Assembly
from isthmus.datasets.worlds.shapes import box, disc, ellipsoid, tube

TYRE: Final = Paint(Material.PLAIN, (0.06, 0.06, 0.06), 0.05)
RIM: Final = Paint(Material.PLAIN, (0.30, 0.30, 0.31), 0.5)
TRIM: Final = Paint(Material.PLAIN, (0.09, 0.09, 0.10), 0.2)
GLASS: Final = Paint(Material.GLASS, (0.10, 0.12, 0.13), 0.95)
_HEAD: Final = (0.95, 0.95, 0.90)
_TAIL: Final = (0.65, 0.04, 0.03)


def lacquer(color: Rgb, rng: np.random.Generator, *, gloss: float = 0.8) -> Paint:
    """Car paint with some dirt along its lower edge."""
    return Paint(Material.CAR_PAINT, color, gloss, (float(rng.uniform(0, 0.65)), 0.65, 0.0, 0.0))


def head_light(power: float) -> Paint:
    """White lamps; 0.3 is off in daylight, 1.5 is on."""
    return Paint(Material.GLOWING, _HEAD, 0.8, (power, 0.0, 0.0, 0.0))


def tail_light(power: float) -> Paint:
    """Red lamps; 0.35 is off, 2 is braking."""
    return Paint(Material.GLOWING, _TAIL, 0.8, (power, 0.0, 0.0, 0.0))


def add_wheels(vehicle: Assembly, *, half_width: float, axles: tuple[float, ...], radius: float) -> None:
    """Wheels on both sides at each axle's z, with dark arches around them."""
    tyres, rims, arches = [], [], []
    for z in axles:
        for side in (-1, 1):
            x = side * (half_width - 0.10)
            tyres.append(tube((x - 0.1, radius, z), (x + 0.1, radius, z), radius, sides=14))
            tyres.append(disc((x + side * 0.1, radius, z), radius))
            rims.append(disc((x + side * 0.115, radius, z), radius * 0.64))
            arches.append(disc((side * (half_width + 0.004), radius + 0.04, z), radius * 1.17))
    vehicle.add(TYRE, *tyres)
    vehicle.add(RIM, *rims)
    vehicle.add(TRIM, *arches)


def add_big_lights(vehicle: Assembly, *, x: float, back: float, front: float) -> None:
    """The lamps of trucks, buses and trams."""
    vehicle.add(head_light(0.4), *[ellipsoid((side * x, 0.75, front), (0.16, 0.12, 0.06)) for side in (-1, 1)])
    vehicle.add(tail_light(0.5), *[box((0.16, 0.34, 0.06), (side * x, 0.95, back)) for side in (-1, 1)])
