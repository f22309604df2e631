"""Round kerbs where streets meet."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import MeshBuilder
from isthmus.datasets.worlds.geometry.shapes import grid, polygon
from isthmus.datasets.worlds.streets.ground import ROAD, SIDEWALK, Ground
from isthmus.datasets.worlds.streets.layout import EDGE_M, KERB_M, Junction, StreetPlan
from isthmus.datasets.worlds.streets.strip import counted_from_median, patches

_ARC_POINTS: Final = 8


def build_corners(mesh: MeshBuilder, street: StreetPlan, side: int, ground: Ground) -> None:
    """Join a street's sidewalk on one side with those of the streets that meet it there."""
    for junction in street.junctions:
        if side in junction.sides:
            for end in (-1, 1):
                _build_corner(mesh, street, ground, junction=junction, side=side, end=end)


def _build_corner(
    mesh: MeshBuilder, street: StreetPlan, ground: Ground, *, junction: Junction, side: int, end: int
) -> None:
    """A quarter of a disc of paving with its kerb, and road in front of it."""
    radius, kerb = junction.radius, street.kerb(side)
    first = junction.s + end * junction.half_width
    middle = (first + end * radius, kerb + radius)
    angle = np.linspace(0.0, np.pi / 2, _ARC_POINTS)

    def ring(reach: float, y: float) -> np.ndarray:
        s = middle[0] - end * reach * np.cos(angle)
        return street.curve.at(s, side * (middle[1] - reach * np.sin(angle)), y)

    square = np.array([[first, first + end * radius, side * kerb, side * (kerb + radius)]])
    mouth = counted_from_median(patches(street.curve, square, 0.0), street, side)
    mesh.add(mouth, ground.road(street.lane_width), ROAD)
    centre = street.curve.at(np.array([middle[0]]), side * middle[1], KERB_M)
    inner, outer = ring(radius - EDGE_M, KERB_M), ring(radius, KERB_M)
    fan = polygon(np.concatenate([centre, inner]))
    local = np.concatenate([centre, inner])[:, [0, 2]]
    up = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (len(local), 1))
    mesh.add(fan._replace(uvs=local, normals=up), ground.paving, SIDEWALK)
    mesh.add(grid(np.stack([inner, outer])), ground.kerb, SIDEWALK)
    mesh.add(grid(np.stack([outer, ring(radius, 0.0)])), ground.kerb, SIDEWALK)
