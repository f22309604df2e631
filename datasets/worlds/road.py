"""The ground: road, markings, crossings, kerbs, sidewalks, verges and what lies beyond."""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.layout import KERB_M, Junction, Layout, StreetPlan
from isthmus.datasets.worlds.markings import build_markings
from isthmus.datasets.worlds.materials import Material, Paint
from isthmus.datasets.worlds.mesh import MeshBuilder, Thing
from isthmus.datasets.worlds.shapes import grid, polygon
from isthmus.datasets.worlds.strip import strip
from isthmus.datasets.worlds.style import StreetStyle

ROAD: Final = Thing(TRAIN_ID["road"])
SIDEWALK: Final = Thing(TRAIN_ID["sidewalk"])
TERRAIN: Final = Thing(TRAIN_ID["terrain"])


class Ground(NamedTuple):
    """The surfaces of one scene."""

    asphalt: Paint
    paving: Paint
    kerb: Paint
    grass: Paint
    marking: Paint
    yard: Paint
    """Private ground beside the street."""
    soft: Thing
    """What grass counts as: terrain, or sidewalk in a world without terrain."""


def draw_ground(style: StreetStyle, rng: np.random.Generator, *, has_terrain: bool) -> Ground:
    """Choose the surfaces of a scene."""
    asphalt = style.asphalt[int(rng.integers(len(style.asphalt)))]
    tone = rng.uniform(0.8, 1.15)
    asphalt = (asphalt[0] * tone, asphalt[1] * tone, asphalt[2] * tone)
    seed = float(rng.random())
    if rng.random() < style.asphalt_sidewalk_probability:
        lighter = rng.uniform(0.9, 1.3)
        color = (asphalt[0] * lighter, asphalt[1] * lighter, asphalt[2] * lighter * 0.98)
        paving = Paint(Material.PAVING, color, 0.05, (0.0, 1.0, seed, 0.0))
    else:
        color = style.paving[int(rng.integers(len(style.paving)))]
        kind = 1.0 if rng.random() < 0.65 else 2.0
        paving = Paint(Material.PAVING, color, 0.05, (kind, float(rng.uniform(0.4, 0.9)), seed, 0.0))
    lighter = rng.uniform(0.95, 1.25)
    kerb = tuple(min(c * lighter, 0.75) for c in paving.color)
    green = (rng.uniform(0.16, 0.30), rng.uniform(0.28, 0.38), rng.uniform(0.08, 0.14))
    mark = style.markings[int(rng.integers(len(style.markings)))]
    return Ground(
        asphalt=Paint(
            Material.ASPHALT, asphalt, 0.1, (seed, 3.2, float(rng.random() < 0.25) * rng.uniform(0.2, 0.7), 0)
        ),
        paving=paving,
        kerb=Paint(Material.PAVING, (kerb[0], kerb[1], kerb[2]), 0.05, (1.0, 0.9, seed, 0.0)),
        grass=Paint(Material.GRASS, green, 0.0) if has_terrain else paving,
        marking=Paint(Material.MARKING, mark, 0.15, (seed, float(rng.uniform(*style.marking_wear)), 0.0, 0.0)),
        yard=paving if rng.random() < 0.4 or not has_terrain else Paint(Material.GRASS, green, 0.0),
        soft=TERRAIN if has_terrain else SIDEWALK,
    )


def build_ground(mesh: MeshBuilder, layout: Layout, ground: Ground, rng: np.random.Generator) -> None:
    """Lay the ground of all streets."""
    main = layout.main
    far = 420.0
    plane = np.array([[-far, -0.08, -60], [far, -0.08, -60], [far, -0.08, far], [-far, -0.08, far]], np.float32)
    mesh.add(polygon(plane, plane[:, [0, 2]]), ground.grass, ground.soft)
    for street in layout.streets:
        _build_street(mesh, street, ground, is_main=street is main)
    build_markings(mesh, main, ground.marking, rng)


def _build_street(mesh: MeshBuilder, street: StreetPlan, ground: Ground, *, is_main: bool) -> None:
    curve = street.curve
    begin, end = (-25.0, 185.0) if is_main else (0.0, street.end)
    mesh.add(strip(curve, (begin, end), (-street.kerb(-1), street.kerb(1)), 0.0), ground.asphalt, ROAD)
    for side in (-1, 1):
        kerb, verge = street.kerb(side), street.verge[side > 0]
        outer = street.lot_line(side)
        for s0, s1 in street.free_spans(side, 0.0):
            mesh.add(strip(curve, (s0, s1), (side * kerb, side * kerb), 0.0, KERB_M), ground.kerb, SIDEWALK)
            mesh.add(strip(curve, (s0, s1), (side * kerb, side * (kerb + 0.16)), KERB_M), ground.kerb, SIDEWALK)
            if verge:
                mesh.add(
                    strip(curve, (s0, s1), (side * (kerb + 0.16), side * (kerb + verge)), KERB_M),
                    ground.grass,
                    ground.soft,
                )
            inner = kerb + max(verge, 0.16)
            mesh.add(strip(curve, (s0, s1), (side * inner, side * outer), KERB_M), ground.paving, SIDEWALK)
            lot = ground.yard
            thing = SIDEWALK if lot.material == Material.PAVING else ground.soft
            mesh.add(strip(curve, (s0, s1), (side * outer, side * (outer + 25.0)), KERB_M - 0.03), lot, thing)
        for junction in street.junctions:
            if side in junction.sides:
                _build_kerb_ends(mesh, street, junction, side, ground)


def _build_kerb_ends(mesh: MeshBuilder, street: StreetPlan, junction: Junction, side: int, ground: Ground) -> None:
    """Close the sidewalk's ends at a side street's mouth with kerbs, up to the lots."""
    t = side * np.array([street.kerb(side), street.lot_line(side)])
    for s in (junction.s - junction.half_width, junction.s + junction.half_width):
        mesh.add(grid(np.stack([street.curve.at(s, t, y) for y in (0.0, KERB_M)], 1)), ground.kerb, SIDEWALK)
