"""The ground: road, kerbs, sidewalks, verges, medians and what lies beyond."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import Geometry, MeshBuilder
from isthmus.datasets.worlds.geometry.shapes import polygon
from isthmus.datasets.worlds.streets.corners import build_corners
from isthmus.datasets.worlds.streets.ground import ROAD, SIDEWALK, Ground
from isthmus.datasets.worlds.streets.layout import EDGE_M, KERB_M, TRAM_MEDIAN_M, Layout, StreetPlan
from isthmus.datasets.worlds.streets.markings import build_markings, build_rails
from isthmus.datasets.worlds.streets.strip import counted_from_median, patches, strip

_OPENING_M: Final = 4.0
"""How far a median keeps from a side street."""
_YARD_M: Final = 25.0
_JOINT_M: Final = 0.5


def build_ground(mesh: MeshBuilder, layout: Layout, ground: Ground, rng: np.random.Generator) -> None:
    """Lay the ground of all streets."""
    main = layout.main
    far = 420.0
    plane = np.array([[-far, -0.08, -60], [far, -0.08, -60], [far, -0.08, far], [-far, -0.08, far]], np.float32)
    mesh.add(polygon(plane, plane[:, [0, 2]]), ground.grass, ground.soft)
    is_grass = bool(rng.random() < 0.6)
    for street in layout.streets:
        asphalt = ground.road(street.lane_width)
        for carriageway in _carriageways(street):
            mesh.add(carriageway, asphalt, ROAD)
        _close_joints(mesh, street, asphalt)
        if street.half_median:
            _build_median(mesh, street, ground, is_grass=is_grass)
        for side in (-1, 1):
            if street.has_sidewalk:
                _build_sidewalk(mesh, street, side, ground)
            else:
                edge = side * street.kerb(side)
                shape = strip(street.curve, street.road, (edge, edge + side * _YARD_M), -0.02)
                mesh.add(shape, ground.grass, ground.soft)
    for street in layout.streets:
        build_markings(mesh, street, ground.marking, rng)
    _build_gullies(mesh, main)
    if main.tram:
        build_rails(mesh, main, ground.soft)


def _carriageways(street: StreetPlan) -> list[Geometry]:
    """The road's surface; beside a median the paint's lanes count from it, as the lanes do."""
    left, right = -street.kerb(-1), street.kerb(1)
    if not street.half_median:
        return [strip(street.curve, street.road, (left, right), 0.0)]
    return [
        counted_from_median(strip(street.curve, street.road, across, 0.0), street, side)
        for side, across in ((-1, (left, 0.0)), (1, (0.0, right)))
    ]


def _close_joints(mesh: MeshBuilder, street: StreetPlan, asphalt: Paint) -> None:
    """Asphalt under the mouths of side streets, where roads of different grids meet and grass would shine through."""
    for junction in street.junctions:
        reach = junction.half_width + junction.radius
        for side in junction.sides:
            across = (side * (street.kerb(side) - _JOINT_M), side * (street.kerb(side) + junction.radius + _JOINT_M))
            under = strip(street.curve, (junction.s - reach, junction.s + reach), across, -0.02)
            mesh.add(counted_from_median(under, street, side), asphalt, ROAD)


def _build_sidewalk(mesh: MeshBuilder, street: StreetPlan, side: int, ground: Ground) -> None:
    """Kerb, verge, paving and the yards behind on one side."""
    curve, kerb, verge = street.curve, street.kerb(side), street.verge[side > 0]
    outer, edge = street.lot_line(side), kerb + EDGE_M
    for span in street.kerb_spans(side):
        mesh.add(strip(curve, span, (side * kerb, side * kerb), 0.0, KERB_M), ground.kerb, SIDEWALK)
        mesh.add(strip(curve, span, (side * kerb, side * edge), KERB_M), ground.kerb, SIDEWALK)
        if verge:
            mesh.add(strip(curve, span, (side * edge, side * (kerb + verge)), KERB_M), ground.grass, ground.soft)
        inner = kerb + max(verge, EDGE_M)
        mesh.add(strip(curve, span, (side * inner, side * outer), KERB_M), ground.paving, SIDEWALK)
    thing = SIDEWALK if ground.yard.material == Material.PAVING else ground.soft
    for first, last in street.free_spans(side, 0.0):
        if last <= street.lots_start:
            continue
        # Before its lots lie the yards of the street that it leaves; here they would reach over that street's bends.
        yard = strip(
            curve, (max(first, street.lots_start), last), (side * outer, side * (outer + _YARD_M)), KERB_M - 0.03
        )
        mesh.add(yard, ground.yard, thing)
    build_corners(mesh, street, side, ground)


def _build_median(mesh: MeshBuilder, street: StreetPlan, ground: Ground, *, is_grass: bool) -> None:
    """The raised strip between the directions; it opens at side streets."""
    half = street.half_median
    if not street.has_sidewalk:
        mesh.add(strip(street.curve, street.road, (-half + 0.4, half - 0.4), 0.02), ground.grass, ground.soft)
        return
    top, thing = (ground.grass, ground.soft) if is_grass or half > TRAM_MEDIAN_M else (ground.paving, SIDEWALK)
    for first, last in median_spans(street):
        for side in (-1, 1):
            wall = strip(street.curve, (first, last), (side * half, side * half), 0.0, KERB_M)
            stone = strip(street.curve, (first, last), (side * half, side * (half - EDGE_M)), KERB_M)
            mesh.add(wall, ground.kerb, SIDEWALK)
            mesh.add(stone, ground.kerb, SIDEWALK)
        inner = half - EDGE_M
        mesh.add(strip(street.curve, (first, last), (-inner, inner), KERB_M), top, thing)
        for end in (first, last):
            corners = street.curve.at(np.array([end] * 4), np.array([-half, half, half, -half]))
            corners[2:, 1] = KERB_M
            mesh.add(polygon(corners), ground.kerb, SIDEWALK)


def median_spans(street: StreetPlan) -> list[tuple[float, float]]:
    """Intervals of s where the median stands."""
    spans, at = [], street.road[0] + 1.0
    for junction in street.junctions:
        if junction.s - junction.half_width - _OPENING_M > at:
            spans.append((at, junction.s - junction.half_width - _OPENING_M))
        at = junction.s + junction.half_width + _OPENING_M
    return [*spans, (at, street.road[1])]


def _build_gullies(mesh: MeshBuilder, street: StreetPlan) -> None:
    """Drains at the kerb."""
    if street.has_sidewalk:
        rows = [
            (s, s + 0.5, side * (street.kerb(side) - 0.45), side * (street.kerb(side) - 0.08))
            for side in (-1, 1)
            for s in np.arange(street.start + 3.0, min(street.end, 60.0) - 1.0, 17.0)
        ]
        iron = Paint(Material.PLAIN, (0.12, 0.12, 0.12), 0.2)
        mesh.add(patches(street.curve, np.array(rows), 0.008), iron, ROAD)
