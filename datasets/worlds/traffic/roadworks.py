"""A closed piece of a lane: cones, barrier boards, workers, a truck."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import box, tube
from isthmus.datasets.worlds.traffic.road_users import RoadUsers

_WIDTH_M: Final = 1.9
_ORANGE: Final = Paint(Material.PLAIN, (0.88, 0.26, 0.05), 0.1)
_WHITE: Final = Paint(Material.PLAIN, (0.85, 0.85, 0.83), 0.2)
_RED: Final = Paint(Material.PLAIN, (0.75, 0.08, 0.06), 0.2)
_CONE: Final = merged(tube((0, 0.03, 0), (0, 0.72, 0), 0.15, 0.03, sides=9), box((0.40, 0.04, 0.40), (0, 0.02, 0)))
_COLLAR: Final = tube((0, 0.36, 0), (0, 0.52, 0), 0.105, 0.078, sides=9)


def build_roadworks(users: RoadUsers) -> None:
    """Close a stretch at the camera's side of the road, if there is room."""
    street, rng = users.street, users.rng
    side = street.drive_side if rng.random() < 0.5 else -street.drive_side
    s, long = float(rng.uniform(17.0, 34.0)), float(rng.uniform(8.0, 14.0))
    t = side * (street.half_road - _WIDTH_M / 2 - 0.1)
    if not users.ground.claim(s, t, (long, _WIDTH_M), margin=0.3):
        return
    edge = t - side * _WIDTH_M / 2
    for at in np.linspace(s - long / 2, s + long / 2, 7).tolist():
        _cone(users, street.curve.place(at, edge))
    for end in (-1, 1):
        _barrier(users, street.curve.place(s + end * (long / 2 - 0.4), t))
    for _ in range(int(rng.integers(1, 4))):
        at = s + float(rng.uniform(-0.4, 0.4)) * long
        place = street.curve.place(at, t + float(rng.uniform(-0.5, 0.5)), turn=float(rng.uniform(0, 6)))
        users.add_worker(place)


def _cone(users: RoadUsers, place: Placement) -> None:
    ignored = Thing(IGNORE_INDEX)
    users.mesh.add(_CONE, _ORANGE, ignored, place)
    users.mesh.add(_COLLAR, _WHITE, ignored, place)


def _barrier(users: RoadUsers, place: Placement) -> None:
    """Two boards in red and white on feet; a fence."""
    fence = Thing(TRAIN_ID["fence"])
    boards = [(k, box((0.3, 0.22, 0.03), (-0.75 + 0.3 * k, y, 0))) for k in range(6) for y in (0.50, 0.95)]
    users.mesh.add(merged(*(shape for k, shape in boards if k % 2)), _RED, fence, place)
    feet = [box((0.06, 1.1, 0.06), (x, 0.55, 0)) for x in (-0.7, 0.7)] + [
        box((0.1, 0.06, 0.6), (x, 0.03, 0)) for x in (-0.7, 0.7)
    ]
    users.mesh.add(merged(*(shape for k, shape in boards if not k % 2), *feet), _WHITE, fence, place)
