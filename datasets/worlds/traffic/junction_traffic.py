"""Vehicles that are seen from their sides: waiting at, turning at and crossing junctions, and on side streets."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.streets.layout import Junction
from isthmus.datasets.worlds.traffic.road_users import RoadUsers

_CLEAR_M: Final = 8.5
"""Closer to the camera nothing stands across the road."""


def drive_on_side_streets(users: RoadUsers) -> None:
    """Populate every junction of the main street, and the street that a T junction ends at."""
    for junction in users.street.junctions:
        if junction.s < 75.0:
            _cross(users, junction)
            for side in junction.sides:
                _wait(users, junction, side)
    if users.street.kind == "tee":
        _pass_by(users)


def _cross(users: RoadUsers, junction: Junction) -> None:
    """Somebody drives across the main street or turns into it."""
    street, rng = users.street, users.rng
    if junction.s < _CLEAR_M + 3.0 or rng.random() > 0.5:
        return
    side = junction.sides[int(rng.integers(len(junction.sides)))]
    way = 1 if rng.random() < 0.5 else -1  # +1 leaves the main street
    s = junction.s - side * way * street.drive_side * junction.half_width * 0.45
    oblique = 0.0 if len(junction.sides) == 2 and rng.random() < 0.5 else float(rng.uniform(0.3, 1.0)) * way * side
    turn = side * np.pi / 2 + (0.0 if way > 0 else np.pi) - oblique
    t = float(rng.uniform(0.2, 0.9)) * side * street.half_road
    luck = rng.random()
    if luck < 0.14 and junction.half_width > 3.0:
        users.put_bus(s, t, turn)
    elif luck < 0.28 and junction.half_width > 3.0:
        users.put_truck(s, t, turn, longest=10.0)
    elif luck < 0.42:
        users.put_rider(s, t, turn)
    else:
        users.put_car(s, t, turn, braking=bool(rng.random() < 0.3))


def _wait(users: RoadUsers, junction: Junction, side: int) -> None:
    """A queue at the mouth of a side street, and traffic that drives away on it."""
    street, rng = users.street, users.rng
    kerb, lane = street.kerb(side), junction.half_width * 0.5
    for way in (-1, 1):  # -1 comes towards the main street
        s = junction.s - side * way * street.drive_side * lane
        turn = side * np.pi / 2 + (0.0 if way > 0 else np.pi)
        depth = float(rng.uniform(2.6, 5.0) if way < 0 else rng.uniform(3.0, 20.0))
        for _ in range(int(rng.choice([0, 1, 1, 2]))):
            luck = rng.random()
            if luck < 0.10:
                depth += users.put_truck(s, side * (kerb + depth + 4.0), turn, longest=8.0) + 2.0
            elif luck < 0.18:
                users.put_bus(s, side * (kerb + depth + 9.0), turn)
                depth += 18.0
            elif luck < 0.30:
                users.put_rider(s, side * (kerb + depth), turn)
                depth += 2.5
            else:
                users.put_car(s, side * (kerb + depth + 2.4), turn, braking=way < 0)
                depth += 5.0
            depth += float(rng.uniform(1.0, 9.0))


def _pass_by(users: RoadUsers) -> None:
    """Traffic on the street across the main street's end, seen from its side."""
    street, rng = users.street, users.rng
    s, at = street.road[1] + 1.7, float(rng.uniform(-22.0, -8.0))
    if s < _CLEAR_M + 3.0:
        return
    turn = street.drive_side * np.pi / 2
    for _ in range(int(rng.integers(1, 4))):
        luck = rng.random()
        if luck < 0.15:
            users.put_bus(s, at + 6.0, turn)
            at += 14.0
        elif luck < 0.3:
            users.put_truck(s, at + 4.0, turn, longest=10.0)
            at += 8.0
        elif luck < 0.45:
            users.put_rider(s, at, turn)
        else:
            users.put_car(s, at, turn)
        at += float(rng.uniform(6.5, 18.0))
