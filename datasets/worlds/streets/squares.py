"""Open ground beside the street: car parks with marked bays, paved places with kiosks and trees."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.plants.vegetation import add_hedge, add_tree
from isthmus.datasets.worlds.roadside import furniture
from isthmus.datasets.worlds.roadside.barriers import add_fence
from isthmus.datasets.worlds.roadside.lamps import add_lamp
from isthmus.datasets.worlds.streets.ground import ROAD, SIDEWALK, Ground
from isthmus.datasets.worlds.streets.layout import KERB_M, Square, StreetPlan
from isthmus.datasets.worlds.streets.strip import patches, strip
from isthmus.datasets.worlds.style import StreetStyle

_BUILDING: Final = Thing(TRAIN_ID["building"])
_FLOOR_Y: Final = KERB_M - 0.012
_BAY_M: Final = (2.5, 5.0)
"""Width and length of a parking bay."""
_AISLE_M: Final = 6.0
_MOST_BAYS: Final = 26
"""The nearest ones hide the rest."""


def build_square(
    mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, ground: Ground, rng: np.random.Generator
) -> list[Placement]:
    """Build a street's square.

    Returns:
        Where a car may be parked.
    """
    square = street.square
    if square is None:
        return []
    front = street.lot_line(square.side)
    across = (square.side * (front - 0.05), square.side * (front + square.depth))
    floor = strip(street.curve, (square.start, square.end), across, _FLOOR_Y)
    if square.is_car_park:
        tone = float(rng.uniform(0.75, 1.6))
        r, g, b = (min(c * tone, 0.7) for c in ground.asphalt.color)
        tarmac = Paint(Material.ASPHALT, (r, g, b), 0.1, (float(rng.random()), 60.0, 0.0, float(rng.uniform(0, 0.9))))
        mesh.add(floor, tarmac, ROAD)
        return _build_car_park(mesh, street, style, ground, rng, square=square)
    kind, unit = (1.0, 0.8) if rng.random() < 0.5 else (4.0, 0.11)
    color = style.paving[int(rng.integers(len(style.paving)))]
    mesh.add(floor, Paint(Material.PAVING, color, 0.05, (kind, unit, float(rng.random()), 0.0)), SIDEWALK)
    _build_place(mesh, street, square, style, rng)
    return []


def _build_car_park(
    mesh: MeshBuilder,
    street: StreetPlan,
    style: StreetStyle,
    ground: Ground,
    rng: np.random.Generator,
    *,
    square: Square,
) -> list[Placement]:
    """Rows of bays with an aisle between each two, a border towards the sidewalk, and a way in."""
    side, front, curve = square.side, street.lot_line(square.side), street.curve
    wide, long = _BAY_M
    stations = np.arange(square.start + 1.0, square.end - wide, wide).tolist()
    lines, bays = [], []
    row, faces_street = front + 1.0, True
    while row + long < front + square.depth:
        lines += [(s - 0.05, s + 0.05, side * row, side * (row + long)) for s in [*stations, stations[-1] + wide]]
        turn = side * np.pi / 2 + (np.pi if faces_street else 0.0)
        bays += [curve.place(s + wide / 2, side * (row + long / 2), _FLOOR_Y, turn=turn) for s in stations]
        row += long + (_AISLE_M if faces_street else 0.2)
        faces_street = not faces_street
    mesh.add(patches(curve, np.array(lines), _FLOOR_Y + 0.012), ground.marking, ROAD)
    entry = float(rng.uniform(square.start + 5.0, square.end - 8.0))
    ramp = (side * (street.kerb(side) - 0.3), side * (front + 0.1))
    mesh.add(strip(curve, (entry, entry + 5.5), ramp, 0.02, KERB_M + 0.006), ground.asphalt, ROAD)
    luck = rng.random()
    for s0, s1 in ((square.start, entry), (entry + 5.5, square.end)):
        points = curve.at(np.linspace(s0, s1, max(3, int((s1 - s0) / 1.5))), side * (front + 0.2), KERB_M)
        if luck < 0.35:
            add_fence(mesh, points, rng, at_kerb=True)
        elif luck < 0.6:
            leaf = style.leaves[int(rng.integers(len(style.leaves)))]
            add_hedge(mesh, points, rng, leaf, height=float(rng.uniform(0.6, 1.1)), width=0.7)
    for s in np.arange(square.start + 6.0, square.end, 16.0).tolist():
        lamp = curve.place(s, side * (front + long + 3.5), KERB_M, turn=float(rng.choice([0.0, np.pi])))
        add_lamp(mesh, lamp, rng, height=float(rng.uniform(5.0, 8.0)), arm=float(rng.choice([0.0, 1.0])))
    bays.sort(key=lambda bay: float(np.hypot(bay.position[0], bay.position[2])))
    return bays[:_MOST_BAYS]


def _build_place(
    mesh: MeshBuilder, street: StreetPlan, square: Square, style: StreetStyle, rng: np.random.Generator
) -> None:
    """Trees in rows, benches, kiosks, bollards and bicycle stands."""
    side, front, curve = square.side, street.lot_line(square.side), street.curve

    def spot(s: float, inward: float, turn: float = 0.0) -> Placement:
        return curve.place(s, side * (front + inward), _FLOOR_Y, turn=turn)

    leaf = style.leaves[int(rng.integers(len(style.leaves)))]
    bare, spacing = bool(rng.random() < style.bare_tree_probability), float(rng.uniform(6.0, 10.0))
    for inward in (4.0, square.depth - 4.0) if rng.random() < 0.7 else ():
        for s in np.arange(square.start + 3.0, square.end - 2.0, spacing).tolist():
            add_tree(mesh, spot(s, inward), rng, leaf, bare=bare, height=float(rng.uniform(4.5, 8.0)))
    for _ in range(int(rng.integers(1, 3))):
        place = spot(float(rng.uniform(square.start + 4, square.end - 4)), float(rng.uniform(7, square.depth - 6)))
        _kiosk(mesh, place, rng)
    for _ in range(int(rng.integers(2, 6))):
        place = spot(float(rng.uniform(square.start + 2, square.end - 2)), float(rng.uniform(2, square.depth - 3)))
        furniture.add_bench(mesh, place._replace(heading=float(rng.uniform(0, 6))), rng)
    s = float(rng.uniform(square.start + 1, square.end - 9))
    hoops = [spot(s + 1.0 * k, 1.2, np.pi / 2) for k in range(int(rng.integers(4, 9)))]
    furniture.add_bicycle_stands(mesh, hoops, rng)
    if rng.random() < 0.6:
        row = [spot(s, 0.2) for s in np.arange(square.start + 1.0, square.end, 1.8).tolist()]
        furniture.add_bollards(mesh, row, rng)


def _kiosk(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """A small shop that stands alone: a building."""
    r, g, b = rng.uniform(0.15, 0.7, 3).tolist()
    wide, deep = float(rng.uniform(2.4, 4.5)), float(rng.uniform(2.0, 3.0))
    turned = place._replace(heading=float(rng.uniform(0, 2 * np.pi)))
    mesh.add(box((wide, 2.6, deep), (0, 1.3, 0)), Paint(Material.PLANKS, (r, g, b), 0.1), _BUILDING, turned)
    glass = Paint(Material.GLASS, (0.10, 0.12, 0.13), 0.8)
    mesh.add(box((wide * 0.8, 1.0, deep + 0.04), (0, 1.5, 0)), glass, _BUILDING, turned)
    roof = merged(box((wide + 0.7, 0.14, deep + 0.9), (0, 2.67, 0)), box((wide * 0.8, 0.5, 0.1), (0, 2.9, deep / 2)))
    mesh.add(roof, Paint(Material.PLAIN, (b, r, g), 0.1), _BUILDING, turned)
