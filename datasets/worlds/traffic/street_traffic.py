"""Vehicles on the street: parked, in the lanes, at and beyond the junctions, at roadworks."""

from collections.abc import Sequence
from itertools import count
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.streets.layout import TRAM_MEDIAN_M, StreetPlan
from isthmus.datasets.worlds.style import WorldStyle
from isthmus.datasets.worlds.traffic.junction_traffic import drive_on_side_streets
from isthmus.datasets.worlds.traffic.pedestrians import populate
from isthmus.datasets.worlds.traffic.road_users import RoadUsers
from isthmus.datasets.worlds.traffic.roadworks import build_roadworks

_FAR_M: Final = 110.0
_TRAM_TRIES: Final = 6


def build_traffic(
    mesh: MeshBuilder,
    street: StreetPlan,
    world: WorldStyle,
    rng: np.random.Generator,
    *,
    bays: Sequence[Placement] = (),
    raining: bool = False,
) -> None:
    """Populate the main street, and the places off it where cars may stand."""
    users = RoadUsers(mesh, street, world, rng, count(1), raining)
    for side in (-1, 1):
        _park(users, side)
    for bay in bays:
        if rng.random() < world.street.parked_share:
            users.park_car(bay)
    if street.has_sidewalk and rng.random() < 0.09:
        build_roadworks(users)
    is_closed = _run_tram(users)
    drive_on_side_streets(users)
    _drive(users, closed=is_closed)
    if street.has_sidewalk:
        _cycle(users)
        populate(users)


def _park(users: RoadUsers, side: int) -> None:
    """Fill a parking strip; now and then a truck or motorcycles stand there."""
    street, rng = users.street, users.rng
    middle = street.kerb(side) - 1.05
    turn = 0.0 if side == street.drive_side else np.pi
    if not street.parking[side > 0]:
        if street.has_sidewalk and rng.random() < 0.25:  # somebody delivers in the lane
            s = float(rng.uniform(9.0, 40.0))
            users.park_at(s, side * (street.kerb(side) - 1.1), turn)
        return
    for s0, s1 in street.free_spans(side, 5.0):
        at = max(s0, 1.5) + float(rng.uniform(1, 4))
        while at < min(s1 - 2.5, 105.0, street.end - 3.0):
            t = side * (middle + float(rng.uniform(-0.05, 0.12)))
            luck = rng.random()
            if luck < users.world.street.parked_share:
                if rng.random() < 0.06:
                    at += 2.5
                    users.put_truck(at, t, turn, longest=8.0)
                    at += 2.0
                else:
                    users.park_at(at, t, turn + float(rng.normal(0, 0.02)))
            elif luck > 0.955:
                for k in range(int(rng.integers(2, 5))):
                    users.stand_motorcycle(at + k * 0.95, t, side * 1.3)
            at += float(rng.uniform(5.2, 6.6))


def _run_tram(users: RoadUsers) -> bool:
    """A tram where rails lie, if there is room for one; returns whether it takes the inner oncoming lane."""
    street = users.street
    if not street.tram or not users.has("train"):
        return False
    stands = any(users.put_tram(float(users.rng.uniform(20, 40)), street.tram_line) for _ in range(_TRAM_TRIES))
    return stands and street.half_median <= TRAM_MEDIAN_M


def _drive(users: RoadUsers, *, closed: bool) -> None:
    """Vehicles in the lanes, with headway between them, closer where a queue stands.

    Args:
        users: Where they go.
        closed: A tram has the inner oncoming lane.
    """
    street, rng, world = users.street, users.rng, users.world
    lanes = [(way, lane) for way in (-1, 1) for lane in range(street.lanes)]
    nearest = {lane: float(rng.uniform(4.6, 20.0)) for lane in lanes}
    if closed:
        nearest[-1, 0] = 2 * _FAR_M
    fewest, most = world.street.cars_ahead
    queue = rng.random() < 0.3
    for _ in range(int(rng.integers(fewest, most + 1)) + 1 + int(queue) * 3):
        way, lane = lanes[int(rng.integers(len(lanes)))]
        back = nearest[way, lane]
        if back > min(_FAR_M, street.end - 12.0, street.road[1] - 12.0):
            continue
        t = street.lane_middle(way, lane) + float(rng.normal(0, 0.12))
        length = users.put_vehicle(back, t, 0.0 if way > 0 else np.pi)
        nearest[way, lane] = back + length + (float(rng.uniform(1.2, 3.0)) if queue else float(rng.uniform(3.0, 22.0)))


def _cycle(users: RoadUsers) -> None:
    """Riders at the roads' edges, and between the lanes."""
    street, rng = users.street, users.rng
    for way in (-1, 1):
        for _ in range(int(rng.poisson(1.15))):
            s = float(5.5 + 34.0 * rng.random() ** 1.4)
            t = way * street.drive_side * (street.half_road - float(rng.uniform(0.4, 1.2)))
            users.put_rider(s, t, (0.0 if way > 0 else np.pi) + float(rng.normal(0, 0.12)))
    if rng.random() < 0.12:  # somebody crosses
        t = float(rng.uniform(-street.half_road, street.half_road) * 0.8)
        users.put_rider(float(rng.uniform(8, 25)), t, float(rng.choice([-1, 1])) * float(rng.uniform(0.9, 1.8)))
