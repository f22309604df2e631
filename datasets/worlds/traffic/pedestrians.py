"""People on foot, and the bicycles that they left on the sidewalk."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.streets.layout import StreetPlan
from isthmus.datasets.worlds.traffic.road_users import RoadUsers

_KERB_ROW_M: Final = 0.85
"""Beside the kerb stand posts and trees."""


def populate(users: RoadUsers) -> None:
    """Sidewalks, kerbs and crossings."""
    _stand_bicycles(users)
    for side in (-1, 1):
        _walk(users, side)
        _stand_in_front(users, side)
        _wait_at_kerb(users, side)
    _cross(users)


def _sidewalk(street: StreetPlan, side: int) -> tuple[float, float]:
    """|t| between which people walk on a side."""
    inner = street.kerb(side) + street.verge[side > 0]
    inner += 0.3 if street.verge[side > 0] > 0 else _KERB_ROW_M
    return inner, max(street.lot_line(side) - 0.45, inner + 0.05)


def _walk(users: RoadUsers, side: int) -> None:
    """Groups on the sidewalk, abreast or one after another."""
    street, rng = users.street, users.rng
    total = int(rng.poisson(rng.uniform(*users.world.street.people_per_100m) * 0.5))
    inner, outer = _sidewalk(street, side)
    farthest = min(70.0, street.end - 4.0)
    while total > 0:
        size = min(total, int(rng.choice([1, 1, 1, 2, 2, 3, 4])))
        total -= size
        s = float(3.5 + (farthest - 3.5) * rng.random() ** 1.5)
        heading = 0.0 if rng.random() < 0.5 else np.pi
        talking = size > 1 and rng.random() < 0.35
        t = float(rng.uniform(inner, outer))
        for k in range(size):
            across = float(np.clip(t + 0.65 * k + rng.normal(0, 0.1), inner, outer))
            along = s + float(rng.uniform(-0.7, 0.7)) + 0.25 * k
            turn = float(rng.uniform(0, 2 * np.pi)) if talking else heading + float(rng.normal(0, 0.25))
            users.put_person(along, side * across, turn, moving=not talking if rng.random() < 0.9 else None)


def _stand_in_front(users: RoadUsers, side: int) -> None:
    """People who look at shop windows, lean at walls or wait in the shade of a house."""
    street, rng = users.street, users.rng
    for _ in range(int(rng.poisson(0.7))):
        s = float(rng.uniform(5.0, 40.0))
        turn = side * np.pi / 2 * (1 if rng.random() < 0.5 else -1) + float(rng.normal(0, 0.4))
        for k in range(int(rng.integers(1, 3))):
            users.put_person(s + 0.7 * k, side * (street.lot_line(side) - 0.5), turn, moving=False)


def _wait_at_kerb(users: RoadUsers, side: int) -> None:
    """People at the kerb, some of them close to the camera."""
    street, rng = users.street, users.rng
    if rng.random() < 0.35:
        s = float(4.5 + 22.0 * rng.random() ** 1.5)
        for k in range(int(rng.integers(1, 4))):
            turn = -side * np.pi / 2 + float(rng.normal(0, 0.4))
            users.put_person(s + 0.7 * k, side * (street.kerb(side) + 0.25), turn, moving=False)


def _cross(users: RoadUsers) -> None:
    """People who cross the road."""
    street, rng = users.street, users.rng
    if rng.random() < 0.30:
        s = float(rng.uniform(8.0, 32.0))
        for _ in range(int(rng.integers(1, 6))):
            t = float(rng.uniform(-street.half_road, street.half_road))
            turn = np.pi / 2 * (1 if rng.random() < 0.5 else -1) + float(rng.normal(0, 0.15))
            users.put_person(s + float(rng.uniform(-0.9, 0.9)), t, turn, y=0.0, moving=True)


def _stand_bicycles(users: RoadUsers) -> None:
    """Rows of bicycles at the wall or the kerb."""
    street, rng = users.street, users.rng
    for side in (-1, 1):
        if rng.random() < 0.26:
            s = float(5.0 + 26.0 * rng.random() ** 1.3)
            at_wall = street.sidewalk[side > 0] > 2.6 and rng.random() < 0.5
            inner, outer = _sidewalk(street, side)
            t = outer - 0.55 if at_wall else inner + 0.15
            along = rng.random() < 0.25 or street.sidewalk[side > 0] < 2.4
            for k in range(int(rng.integers(1, 4 if along else 8))):
                turn = float(rng.normal(0, 0.06)) if along else side * np.pi / 2 + float(rng.normal(0, 0.10))
                users.stand_bicycle(
                    s + (1.9 if along else 0.62) * k, side * max(t, inner + (0 if along else 0.6)), turn
                )
