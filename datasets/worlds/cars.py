"""Passenger cars: lofted shells with a glass cabin, pillars, wheels and lights.

A car's own coordinates: z forward from its middle, x to its right, y up from the road.
"""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Assembly, Floats, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.shapes import box, ellipsoid, loft, tubes
from isthmus.datasets.worlds.vehicle_parts import GLASS, TRIM, add_wheels, head_light, lacquer, tail_light

_SILL_M: Final = 0.24


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
    """In shares of the length from the tail: rear glass foot and top, windscreen top and foot."""
    tail: float
    """Height of the tail's edge."""

    def z(self, share: float) -> float:
        """Where a share of the length from the tail lies."""
        return (share - 0.5) * self.length


_BODIES: Final = (
    Body(3.9, 1.70, 1.46, 0.82, 0.90, (0.03, 0.14, 0.56, 0.76), 0.92),  # hatchback
    Body(4.5, 1.78, 1.42, 0.84, 0.90, (0.16, 0.32, 0.58, 0.76), 0.94),  # saloon
    Body(4.6, 1.80, 1.47, 0.84, 0.92, (0.02, 0.10, 0.58, 0.76), 0.94),  # estate
    Body(4.5, 1.88, 1.72, 1.00, 1.08, (0.02, 0.09, 0.60, 0.76), 1.08),  # off-roader
    Body(4.3, 1.80, 1.64, 0.92, 0.98, (0.02, 0.08, 0.66, 0.88), 1.00),  # people carrier
    Body(4.3, 1.80, 1.28, 0.76, 0.84, (0.12, 0.36, 0.56, 0.74), 0.88),  # coupé
)


def add_car(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, color: Rgb, *, instance: int, braking: bool
) -> None:
    """One of six bodies."""
    body = _BODIES[int(rng.integers(len(_BODIES)))]
    body = body._replace(length=body.length * float(rng.uniform(0.95, 1.06)))
    car = Assembly(mesh, place, Thing(TRAIN_ID["car"], instance))
    paint = lacquer(color, rng, gloss=0.85)
    car.add(paint, loft(_shell(body), exponent=4.5, sides=20))
    cabin = _cabin(body)
    car.add(GLASS, loft(cabin, exponent=3.6, sides=20))
    roof = cabin[2:5] * (1.0, 1.0, 1.0, 0.90) + (0.0, 0.0, 0.02, 0.0)
    roof[:, 1] = body.height - 0.13
    car.add(paint, loft(roof, exponent=5.0, sides=16))
    _add_pillars(car, cabin, body, paint)
    add_wheels(car, half_width=body.width / 2, axles=(body.z(0.19), body.z(0.81)), radius=0.32)
    _add_lights(car, body, rng, braking=braking)


def _shell(body: Body) -> Floats:
    """Stations from the tail's bumper to the bonnet's: z, lowest y, highest y, half width."""
    half, foot = body.width / 2, body.glass[3]
    return np.array(
        [
            [body.z(0.0), _SILL_M + 0.16, body.tail - 0.16, half * 0.80],
            [body.z(0.015), _SILL_M + 0.06, body.tail - 0.05, half * 0.90],
            [body.z(0.06), _SILL_M, body.tail, half * 0.97],
            [body.z(0.25), _SILL_M - 0.04, max(body.belt, body.tail) + 0.02, half],
            [body.z(foot - 0.06), _SILL_M - 0.04, body.belt + 0.03, half],
            [body.z(foot + 0.02), _SILL_M - 0.04, body.bonnet + 0.05, half * 0.99],
            [body.z(0.90), _SILL_M, body.bonnet - 0.04, half * 0.96],
            [body.z(0.975), _SILL_M + 0.05, body.bonnet - 0.14, half * 0.88],
            [body.z(1.0), _SILL_M + 0.15, body.bonnet - 0.26, half * 0.74],
        ]
    )


def _cabin(body: Body) -> Floats:
    """Stations of the glass, from the rear window's foot over the roof to the windscreen's foot."""
    half, low = body.width / 2, body.belt - 0.1
    rear_foot, rear_top, front_top, front_foot = body.glass
    middle = body.belt + (body.height - body.belt) * 0.55
    return np.array(
        [
            [body.z(rear_foot), low, body.belt + 0.02, half * 0.86],
            [body.z(rear_foot * 0.6 + rear_top * 0.4), low, middle, half * 0.87],
            [body.z(rear_top), low, body.height - 0.05, half * 0.84],
            [body.z((rear_top + front_top) / 2), low, body.height, half * 0.85],
            [body.z(front_top), low, body.height - 0.05, half * 0.84],
            [body.z((front_top + front_foot) / 2), low, middle, half * 0.87],
            [body.z(front_foot), low, body.belt, half * 0.88],
        ]
    )


def _add_pillars(car: Assembly, cabin: Floats, body: Body, paint: Paint) -> None:
    """Posts between the windows along the cabin's edges, and mirrors."""
    starts, ends = [], []
    for side in (-1, 1):
        for foot, top in ((0, 2), (6, 4)):
            starts.append([side * cabin[foot, 3] * 0.98, body.belt, cabin[foot, 0]])
            ends.append([side * cabin[top, 3] * 0.86, body.height - 0.08, cabin[top, 0]])
        starts.append([side * cabin[3, 3] * 1.02, body.belt, cabin[3, 0] - 0.1])
        ends.append([side * cabin[3, 3] * 0.86, body.height - 0.06, cabin[3, 0] - 0.15])
    radius = np.full(len(starts), 0.045)
    mirror = (float(cabin[6, 3]) + 0.16, body.belt + 0.08, float(cabin[5, 0]))
    mirrors = [ellipsoid((side * mirror[0], mirror[1], mirror[2]), (0.11, 0.08, 0.07)) for side in (-1, 1)]
    car.add(paint, tubes(np.array(starts), np.array(ends), radius, radius, sides=6), *mirrors)


def _add_lights(car: Assembly, body: Body, rng: np.random.Generator, *, braking: bool) -> None:
    half, back, front = body.width / 2, body.z(0.0), body.z(1.0)
    heads = [ellipsoid((side * half * 0.66, body.bonnet - 0.20, front - 0.10), (0.17, 0.08, 0.10)) for side in (-1, 1)]
    tails = [ellipsoid((side * half * 0.76, body.tail - 0.16, back + 0.05), (0.13, 0.12, 0.07)) for side in (-1, 1)]
    car.add(head_light(1.5 if rng.random() < 0.25 else 0.25), *heads)
    car.add(tail_light(2.0 if braking else 0.35), *tails)
    color = (0.80, 0.66, 0.15) if rng.random() < 0.25 else (0.80, 0.80, 0.78)
    plates = box((0.50, 0.11, 0.04), (0, 0.62, back - 0.01)), box((0.50, 0.11, 0.04), (0, 0.40, front))
    car.add(Paint(Material.PLAIN, color, 0.2), *plates)
    grille = box((half * 1.1, 0.16, 0.06), (0, 0.52, front - 0.03))
    car.add(TRIM, box((half * 1.3, 0.14, 0.06), (0, 0.36, back + 0.02)), grille)
