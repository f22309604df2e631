"""What else stands on a sidewalk: bollards, bins, cabinets, benches, boxes, meters, shelters and bicycle stands."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid, tube
from isthmus.datasets.worlds.roadside.barriers import metal
from isthmus.datasets.worlds.roadside.lamps import POLE

_BUILDING: Final = Thing(TRAIN_ID["building"])
_OTHER: Final = Thing(IGNORE_INDEX)
"""Things that no class of ours names."""
_COLORS: Final = (
    (0.10, 0.22, 0.12), (0.32, 0.34, 0.32), (0.60, 0.08, 0.07), (0.12, 0.12, 0.13), (0.78, 0.64, 0.10),
    (0.10, 0.18, 0.38), (0.55, 0.55, 0.53), (0.24, 0.30, 0.24),
)  # fmt: skip


def add_bollards(mesh: MeshBuilder, places: list[Placement], rng: np.random.Generator) -> None:
    """A row of short posts; they count as poles."""
    height, radius = float(rng.uniform(0.7, 1.15)), float(rng.uniform(0.04, 0.10))
    luck = rng.random()
    paint = (
        metal(rng)
        if luck < 0.7
        else Paint(Material.PLAIN, (0.65, 0.10, 0.08) if luck < 0.85 else (0.7, 0.7, 0.68), 0.3)
    )
    shape = merged(tube((0, 0, 0), (0, height, 0), radius), ellipsoid((0, height, 0), (radius, radius, radius)))
    band = tube((0, height * 0.80, 0), (0, height * 0.92, 0), radius + 0.004)
    for place in places:
        mesh.add(shape, paint, POLE, place)
        if luck > 0.4:
            mesh.add(band, Paint(Material.PLAIN, (0.82, 0.82, 0.80), 0.3), POLE, place)


def add_box_or_bin(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """A bin, a wheeled bin, a cabinet, a letter box, a telephone box, a planter, a pile of sacks or a board for ads."""
    paint = Paint(Material.PLAIN, _COLORS[int(rng.integers(len(_COLORS)))], 0.25)
    kind = int(rng.integers(8))
    if kind == 0:
        lid = ellipsoid((0, 0.95, 0), (0.27, 0.10, 0.27))
        shape = merged(tube((0, 0, 0), (0, 0.95, 0), 0.23, 0.26, sides=12), lid)
    elif kind == 1:
        shape = merged(box((0.56, 0.95, 0.62), (0, 0.55, 0)), box((0.60, 0.10, 0.68), (0, 1.06, 0.02)))
    elif kind == 2:
        shape = box((float(rng.uniform(0.6, 1.5)), float(rng.uniform(0.9, 1.5)), 0.40), (0, 0.6, 0))
    elif kind == 3:
        shape = merged(tube((0, 0, 0), (0, 1.35, 0), 0.23, sides=12), ellipsoid((0, 1.35, 0), (0.27, 0.14, 0.27)))
    elif kind == 4:
        shape = merged(box((0.9, 2.3, 0.9), (0, 1.15, 0)), box((0.98, 0.2, 0.98), (0, 2.35, 0)))
        glass = Paint(Material.GLASS, (0.10, 0.12, 0.13), 0.8)
        mesh.add(box((0.70, 1.5, 0.92), (0, 1.3, 0)), glass, _OTHER, place)
        mesh.add(box((0.92, 1.5, 0.70), (0, 1.3, 0)), glass, _OTHER, place)
    elif kind == 5:
        shape = box((1.1, 0.55, 0.6), (0, 0.27, 0))
        leaves = Paint(Material.FOLIAGE, (0.20, 0.32, 0.12), 0.0, (float(rng.random()), 0.4, 0.0, 0.0))
        mesh.add(ellipsoid((0, 0.7, 0), (0.5, 0.35, 0.3)), leaves, Thing(TRAIN_ID["vegetation"]), place)
    elif kind == 6:
        lumps = [ellipsoid((x, 0.25, z), (0.32, 0.28, 0.30)) for x, z in rng.uniform(-0.4, 0.4, (3, 2)).tolist()]
        shape, paint = merged(*lumps), Paint(Material.PLAIN, (0.08, 0.08, 0.09), 0.5)
    else:
        shape = merged(box((1.3, 1.9, 0.16), (0, 1.4, 0)), box((0.3, 0.5, 0.14), (0, 0.25, 0)))
        poster = Paint(Material.SIGN, paint.color, 0.3, (5.0, 0.85, float(rng.random()), 0.7))
        mesh.add(box((1.15, 1.7, 0.18), (0, 1.4, 0)), poster, _OTHER, place)
    mesh.add(shape, paint, _OTHER, place)


def add_bench(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """A bench that looks along the placement."""
    wood = Paint(Material.PLANKS, (0.36, 0.26, 0.17), 0.05)
    boards = [box((1.6, 0.05, 0.42), (0, 0.45, 0)), box((1.6, 0.38, 0.05), (0, 0.72, -0.22))]
    mesh.add(merged(*boards), wood, _OTHER, place)
    mesh.add(merged(*[box((0.07, 0.45, 0.42), (x, 0.22, 0)) for x in (-0.65, 0.65)]), metal(rng), _OTHER, place)


def add_meter(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """A parking meter."""
    steel = metal(rng)
    mesh.add(
        merged(tube((0, 0, 0), (0, 1.1, 0), 0.035, sides=6), box((0.16, 0.32, 0.12), (0, 1.25, 0))), steel, POLE, place
    )


def add_shelter(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """A glass shelter at a bus stop, open along the placement; it counts as a building."""
    long, steel = float(rng.uniform(2.6, 4.4)), metal(rng)
    glass = Paint(Material.GLASS, (0.30, 0.34, 0.35), 0.7)
    panes = [box((long, 1.9, 0.03), (0, 1.25, -0.7))]
    panes += [box((0.03, 1.9, 1.1), (x, 1.25, -0.15)) for x in (-long / 2, long / 2)]
    mesh.add(merged(*panes), glass, _BUILDING, place)
    frame = [box((long + 0.3, 0.14, 1.7), (0, 2.42, 0.0))]
    frame += [box((0.07, 2.4, 0.07), (x, 1.2, -0.7)) for x in (-long / 2, 0.0, long / 2)]
    mesh.add(merged(*frame), steel, _BUILDING, place)
    poster = Paint(Material.SIGN, (0.5, 0.4, 0.3), 0.4, (5.0, 0.8, float(rng.random()), 0.7))
    mesh.add(box((0.06, 1.7, 1.05), (long / 2 + 0.04, 1.25, -0.15)), poster, _BUILDING, place)
    seat = merged(box((long * 0.6, 0.05, 0.35), (0, 0.5, -0.45)), box((0.08, 0.5, 0.3), (0, 0.25, -0.45)))
    mesh.add(seat, steel, _BUILDING, place)


def add_bicycle_stands(mesh: MeshBuilder, places: list[Placement], rng: np.random.Generator) -> None:
    """Steel hoops."""
    steel = metal(rng)
    hoop = merged(
        tube((0, 0, -0.35), (0, 0.75, -0.35), 0.025, sides=5),
        tube((0, 0, 0.35), (0, 0.75, 0.35), 0.025, sides=5),
        tube((0, 0.75, -0.36), (0, 0.75, 0.36), 0.025, sides=5),
    )
    for place in places:
        mesh.add(hoop, steel, POLE, place)
