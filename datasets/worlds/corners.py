"""Round kerbs where streets meet."""

from typing import TYPE_CHECKING, Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.layout import KERB_M, Junction, StreetPlan
from isthmus.datasets.worlds.mesh import MeshBuilder, Thing
from isthmus.datasets.worlds.shapes import grid, polygon
from isthmus.datasets.worlds.strip import patches

if TYPE_CHECKING:
    from isthmus.datasets.worlds.road import Ground

_SIDEWALK: Final = Thing(TRAIN_ID["sidewalk"])
_ROAD: Final = Thing(TRAIN_ID["road"])
_ARC_POINTS: Final = 8
_EDGE_M: Final = 0.16


def build_corners(mesh: MeshBuilder, street: StreetPlan, side: int, ground: "Ground") -> None:
    """Join a street's sidewalk on one side with those of the streets that meet it there."""
    for junction in street.junctions:
        if side in junction.sides:
            for end in (-1, 1):
                _build_corner(mesh, street, junction, side, end, ground)


def _build_corner(
    mesh: MeshBuilder, street: StreetPlan, junction: Junction, side: int, end: int, ground: "Ground"
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
    mesh.add(patches(street.curve, square, 0.0), ground.asphalt, _ROAD)
    centre = street.curve.at(np.array([middle[0]]), side * middle[1], KERB_M)
    inner, outer = ring(radius - _EDGE_M, KERB_M), ring(radius, KERB_M)
    fan = polygon(np.concatenate([centre, inner]))
    local = np.concatenate([centre, inner])[:, [0, 2]]
    up = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (len(local), 1))
    mesh.add(fan._replace(uvs=local, normals=up), ground.paving, _SIDEWALK)
    mesh.add(grid(np.stack([inner, outer])), ground.kerb, _SIDEWALK)
    mesh.add(grid(np.stack([outer, ring(radius, 0.0)])), ground.kerb, _SIDEWALK)
