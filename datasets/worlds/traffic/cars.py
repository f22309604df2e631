"""Passenger cars and vans: who drives what, in which paint."""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Assembly, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.sculpture import add_model
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.traffic.bodies import BODIES, PICKUP, VANS, Body, car_model, open_boot
from isthmus.datasets.worlds.traffic.vehicle_parts import hazard_light, is_lit, is_near, lacquer, vehicle_paints

_SHARES: Final = np.array([0.22, 0.14, 0.11, 0.13, 0.05, 0.08, 0.09, 0.03, 0.04, 0.03, 0.03, 0.02, 0.03])
"""How often each of `BODIES` is met."""
_LIVERIES: Final[tuple[Rgb, ...]] = (
    (0.85, 0.85, 0.84), (0.85, 0.85, 0.84), (0.80, 0.62, 0.10), (0.62, 0.10, 0.08), (0.14, 0.26, 0.45),
    (0.25, 0.27, 0.28),
)  # fmt: skip
_TAXIS: Final[tuple[Rgb, ...]] = ((0.86, 0.66, 0.08), (0.85, 0.82, 0.70), (0.03, 0.03, 0.035))
_SIGN: Final = (0.95, 0.80, 0.35)


class CarBuild(NamedTuple):
    """What is known of a car before it has a place."""

    number: int
    """Of its body in `BODIES`."""
    scale: float

    @property
    def body(self) -> Body:
        """Its proportions, before scaling."""
        return BODIES[self.number]

    @property
    def size(self) -> tuple[float, float]:
        """Length and width in metres: the ground that it takes."""
        return self.body.length * self.scale, self.body.width * self.scale


def draw_car(rng: np.random.Generator) -> CarBuild:
    """Any of the bodies, as often as each is met."""
    return CarBuild(int(rng.choice(len(BODIES), p=_SHARES)), float(rng.uniform(0.97, 1.04)))


def add_car(
    mesh: MeshBuilder,
    place: Placement,
    rng: np.random.Generator,
    color: Rgb,
    *,
    build: CarBuild,
    instance: int,
    braking: bool = False,
    parked: bool = False,
) -> None:
    """A car or a van; counts as a car, as Cityscapes has it.

    Args:
        mesh: Where it goes.
        place: The middle between its axles, on the road.
        rng: Draws paint and state.
        color: Of private cars; vans and taxis bring their own.
        build: Its body.
        instance: Number of the object.
        braking: Its brake lights are lit.
        parked: No lamp is lit; now and then the boot is open or the hazard lights blink.
    """
    (number, scale), body, near = build, build.body, is_near(place)
    taxi = number in (1, 2, 5) and rng.random() < 0.12
    if number in VANS and rng.random() < 0.7:
        color = _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    elif taxi:
        color = _TAXIS[int(rng.integers(len(_TAXIS)))]
    car = Assembly(mesh, place, Thing(TRAIN_ID["car"], instance))
    paint = lacquer(color, rng, gloss=float(rng.uniform(0.6, 0.95)))
    paints = {**vehicle_paints(rng, lit=not parked and is_lit(rng), braking=braking), "body": paint}
    front, door = body.front_door
    dirt, height, _, _ = paint.params
    paints["side"] = Paint(Material.CAR_PAINT, color, paint.gloss, (dirt, height, front, door))
    if rng.random() < 0.3:  # windows with privacy film, or bright with the sky
        tone = float(rng.uniform(0.02, 0.3))
        paints["glass_side"] = paints["glass_side"].with_color((tone, tone, tone))
    luck = rng.random()
    if parked and luck < 0.05:
        paints["tail"] = hazard_light()
    add_model(car, car_model(number, near=near), paints, scale=scale)
    if taxi:
        sign = box((0.5, 0.15, 0.18), (0, body.height * scale + 0.06, body.z(0.45)))
        car.add(Paint(Material.LAMP, _SIGN, 0.3, (0.4, 1.5, 0.0, 0.0)), sign)
    if parked and luck > 0.93 and number != PICKUP:
        for slot, shape in open_boot(body):
            car.add(paints[slot], shape)
