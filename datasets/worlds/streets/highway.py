"""What lines a highway: rails and barriers, noise walls, banks with bushes, gantries and high lamps."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.houses.buildings import add_house, draw_house
from isthmus.datasets.worlds.plants.vegetation import add_bush, add_tree
from isthmus.datasets.worlds.roadside.barriers import add_concrete_barrier, add_guard_rail, add_noise_wall, metal
from isthmus.datasets.worlds.roadside.lamps import POLE, add_lamp, add_twin_lamp
from isthmus.datasets.worlds.roadside.signs import add_board, add_sign, board
from isthmus.datasets.worlds.streets.ground import Ground
from isthmus.datasets.worlds.streets.layout import StreetPlan
from isthmus.datasets.worlds.streets.strip import strip
from isthmus.datasets.worlds.style import StreetStyle

_FROM_M: Final = -14.0
_TO_M: Final = 150.0
_STEP_M: Final = 2.0
_BANK_M: Final = 14.0


def build_highway(
    mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, ground: Ground, rng: np.random.Generator
) -> None:
    """Furnish a highway on both sides and in the middle."""
    points = street.curve.at(np.arange(_FROM_M, _TO_M, _STEP_M), 0.0, 0.0)
    if rng.random() < 0.5:
        add_concrete_barrier(mesh, points, rng)
    else:
        for side in (-1, 1):
            line = street.curve.at(np.arange(_FROM_M, _TO_M, _STEP_M), side * 0.3, 0.0)
            add_guard_rail(mesh, line, towards=side)
    for side in (-1, 1):
        _build_edge(mesh, street, style, ground, rng, side=side)
    if rng.random() < 0.6:
        _build_gantry(mesh, street, float(rng.uniform(18.0, 75.0)), rng)
    _put_lamps(mesh, street, rng)


def _build_edge(
    mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, ground: Ground, rng: np.random.Generator, *, side: int
) -> None:
    """Rail or barrier, signs, the bank with its bushes, and what stands on it."""
    kerb, verge = street.kerb(side), street.verge[side > 0]
    stations = np.arange(_FROM_M, _TO_M, _STEP_M)
    luck = rng.random()
    rail = street.curve.at(stations, side * (kerb + 0.5), 0.0)
    if luck < 0.5:
        add_guard_rail(mesh, rail, towards=-side)
    elif luck < 0.75:
        add_concrete_barrier(mesh, rail, rng)
    foot, top = kerb + verge, float(rng.uniform(0.0, 4.5))
    bank = strip(street.curve, street.road, (side * foot, side * (foot + _BANK_M)), -0.02, top)
    mesh.add(bank, ground.grass, ground.soft)
    beyond = strip(street.curve, street.road, (side * (foot + _BANK_M), side * (foot + 70.0)), top, top + 0.5)
    mesh.add(beyond, ground.grass, ground.soft)
    if rng.random() < 0.35:
        add_noise_wall(mesh, street.curve.at(stations, side * (foot + 0.6), 0.0), rng)
    for _ in range(int(rng.integers(6, 34))):
        inward = float(rng.uniform(1.5, _BANK_M + 8.0))
        s = float(rng.uniform(4.0, 130.0))
        y = top * min(inward / _BANK_M, 1.0) - 0.1
        place = street.curve.place(s, side * (foot + inward), y, turn=float(rng.uniform(0, 6)))
        leaf = style.leaves[int(rng.integers(len(style.leaves)))]
        if rng.random() < 0.5:
            add_bush(mesh, place, rng, leaf, size=float(rng.uniform(0.8, 2.4)))
        else:
            bare = bool(rng.random() < style.bare_tree_probability)
            add_tree(mesh, place, rng, leaf, bare=bare, height=float(rng.uniform(5, 13)))
    if rng.random() < 0.5:
        _put_houses(mesh, street, style, rng, side=side, foot=foot, top=top)
    for _ in range(int(rng.integers(1, 5))):
        place = street.curve.place(float(rng.uniform(8.0, 90.0)), side * (kerb + 1.1))
        (add_board if rng.random() < 0.4 else add_sign)(mesh, place, rng)


def _put_houses(
    mesh: MeshBuilder,
    street: StreetPlan,
    style: StreetStyle,
    rng: np.random.Generator,
    *,
    side: int,
    foot: float,
    top: float,
) -> None:
    """A few buildings behind the bank."""
    for s in np.arange(float(rng.uniform(10, 40)), 150.0, float(rng.uniform(28, 60))).tolist():
        width = float(rng.uniform(12, 30))
        t = side * (foot + _BANK_M + float(rng.uniform(6, 30)))
        start = street.curve.place(s + (width if side > 0 else 0.0), t, top, turn=side * np.pi / 2)
        add_house(mesh, start, draw_house(style, rng, width=width, low=False), rng)


def _build_gantry(mesh: MeshBuilder, street: StreetPlan, s: float, rng: np.random.Generator) -> None:
    """A beam over our carriageway with boards on it."""
    steel = metal(rng)
    inner, outer = 0.0, street.drive_side * (street.kerb(street.drive_side) + 0.9)
    place = street.curve.place(s, 0.0)
    for x in (inner, outer):
        mesh.add(box((0.32, 6.6, 0.32), (x, 3.3, 0)), steel, POLE, place)
    for y in (5.7, 6.5):
        mesh.add(box((abs(outer - inner), 0.16, 0.2), ((inner + outer) / 2, y, 0)), steel, POLE, place)
    for lane in range(street.lanes):
        if rng.random() < 0.75:
            width, height = float(rng.uniform(2.2, 3.3)), float(rng.uniform(1.3, 2.2))
            turned = Placement(place.point(street.lane_middle(1, lane), 5.4, -0.2), place.heading + np.pi)
            board(mesh, turned, rng, width=width, height=height)


def _put_lamps(mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator) -> None:
    """High lamps in the middle or at our edge, or none."""
    luck, height = rng.random(), float(rng.uniform(9.0, 12.0))
    if luck > 0.75:
        return
    for s in np.arange(float(rng.uniform(6.0, 30.0)), 120.0, float(rng.uniform(28.0, 42.0))).tolist():
        if luck < 0.4:
            add_twin_lamp(mesh, street.curve.place(s, 0.0), rng, height=height)
        else:
            side = street.drive_side
            turn = np.pi if side > 0 else 0.0
            add_lamp(
                mesh, street.curve.place(s, side * (street.kerb(side) + 0.8), turn=turn), rng, height=height, arm=2.0
            )
