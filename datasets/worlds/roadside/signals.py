"""Traffic lights: heads on posts, on arms over the road, and those for people on foot."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import box, disc, tube
from isthmus.datasets.worlds.roadside.barriers import metal
from isthmus.datasets.worlds.roadside.lamps import POLE

LIGHT: Final = Thing(TRAIN_ID["traffic light"])
_LAMPS: Final = ((0.95, 0.08, 0.05), (0.95, 0.55, 0.05), (0.08, 0.85, 0.35))
_HOUSINGS: Final[tuple[Rgb, ...]] = (
    (0.05, 0.05, 0.055), (0.05, 0.05, 0.055), (0.10, 0.16, 0.12), (0.72, 0.55, 0.08), (0.30, 0.31, 0.31),
)  # fmt: skip


def add_traffic_light(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi, lanes: int = 1
) -> None:
    """A signal on a post, often with heads on an arm over the road (towards the placement's +x).

    Args:
        mesh: Takes it.
        place: The post's foot.
        rng: Draws its kind.
        facing: Turns the heads against the placement's heading.
        lanes: How many lanes an arm has to reach over.
    """
    steel = metal(rng)
    height, state = float(rng.uniform(2.5, 3.4)), int(rng.integers(3))
    housing = Paint(Material.PLAIN, _HOUSINGS[int(rng.integers(len(_HOUSINGS)))], 0.2)
    backboard = float(rng.choice([0.0, 0.0, 1.0, 1.0, 2.0]))
    mesh.add(tube((0, 0, 0), (0, height + 0.55, 0), 0.065), steel, POLE, place)
    _head(mesh, Placement(place.position, place.heading + facing), height, state, housing, backboard=backboard)
    if rng.random() < 0.45:
        _pedestrian_head(mesh, place, rng, housing)
    if rng.random() < 0.5:
        reach, top = min(float(rng.uniform(2.6, 4.6)) * lanes, 9.5), float(rng.uniform(5.0, 5.9))
        arm = merged(tube((0, 0, 0), (0, top + 0.4, 0), 0.10), tube((0, top, 0), (reach, top + 0.3, 0), 0.07, 0.05))
        mesh.add(arm, steel, POLE, place)
        for share in (1.0, 0.55) if lanes > 1 else (1.0,):
            spot = Placement(place.point(reach * share, 0.0, 0.0), place.heading + facing)
            _head(mesh, spot, top - 0.1, state, housing, backboard=backboard)


def _head(mesh: MeshBuilder, place: Placement, y: float, state: int, housing: Paint, *, backboard: float) -> None:
    """Three lamps that look along the placement's heading; backboard 0 none, 1 dark, 2 with a white rim."""
    mesh.add(box((0.34, 0.95, 0.22), (0, y, 0.17)), housing, LIGHT, place)
    if backboard:
        dark = Paint(Material.PLAIN, (0.05, 0.05, 0.055), 0.2)
        mesh.add(box((0.60, 1.22, 0.02), (0, y, 0.05)), dark, LIGHT, place)
        if backboard > 1.5:
            mesh.add(box((0.68, 1.30, 0.01), (0, y, 0.03)), dark.with_color((0.85, 0.85, 0.83)), LIGHT, place)
    for lamp, color in enumerate(_LAMPS):
        middle = y + 0.30 * (1 - lamp)
        power = 3.0 if lamp == state else 0.03
        mesh.add(
            disc((0, middle, 0.30), 0.105, axis="z"),
            Paint(Material.GLOWING, color, 0.3, (power, 0, 0, 0)),
            LIGHT,
            place,
        )
        mesh.add(box((0.26, 0.02, 0.16), (0, middle + 0.13, 0.35)), housing, LIGHT, place)


def _pedestrian_head(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, housing: Paint) -> None:
    """Two lamps at eye level, turned across the road, with a box to press."""
    turned = Placement(place.position, place.heading + float(rng.choice([np.pi / 2, -np.pi / 2, np.pi, 0.0])))
    mesh.add(box((0.28, 0.60, 0.20), (0, 2.1, 0.16)), housing, LIGHT, turned)
    lit = int(rng.integers(2))
    for lamp in range(2):
        power = 2.5 if lamp == lit else 0.03
        paint = Paint(Material.GLOWING, _LAMPS[2 * lamp], 0.3, (power, 0, 0, 0))
        mesh.add(disc((0, 2.24 - 0.28 * lamp, 0.27), 0.10, axis="z"), paint, LIGHT, turned)
    mesh.add(box((0.14, 0.26, 0.14), (0, 1.05, 0.10)), Paint(Material.PLAIN, (0.75, 0.62, 0.10), 0.2), POLE, turned)
