"""Who and what is on the street: parked and moving vehicles, two-wheelers, people, and the row at the kerb."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds import furniture, people, vehicles
from isthmus.datasets.worlds.layout import KERB_M, PARKING_M, StreetPlan
from isthmus.datasets.worlds.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.style import WorldStyle
from isthmus.datasets.worlds.vegetation import add_tree

_TRUCK: Final = TRAIN_ID["truck"]
_TRAIN: Final = TRAIN_ID["train"]


@dataclass(slots=True)
class Counter:
    """Hands out instance numbers."""

    last: int = field(default=0)

    def take(self, count: int = 1) -> int:
        """The first of `count` fresh numbers."""
        first = self.last + 1
        self.last += count
        return first


def build_traffic(mesh: MeshBuilder, street: StreetPlan, world: WorldStyle, rng: np.random.Generator) -> None:
    """Populate the main street."""
    counter = Counter()
    _parked(mesh, street, world, rng, counter)
    _moving(mesh, street, world, rng, counter)
    _two_wheelers(mesh, street, rng, counter)
    for side in (-1, 1):
        _people(mesh, street, world, rng, counter, side)
        _kerbside(mesh, street, world, rng, side)
    _crossing_people(mesh, street, rng, counter)


def _car(mesh: MeshBuilder, place: Placement, world: WorldStyle, rng: np.random.Generator, counter: Counter, *, braking: bool = False) -> None:  # fmt: skip
    color = world.street.cars[int(rng.integers(len(world.street.cars)))]
    if rng.random() < 0.07:
        vehicles.add_van(mesh, place, rng, (0.85, 0.85, 0.84) if rng.random() < 0.6 else color, counter.take())
    else:
        vehicles.add_car(mesh, place, rng, color, counter.take(), braking=braking)


def _parked(mesh: MeshBuilder, street: StreetPlan, world: WorldStyle, rng: np.random.Generator, counter: Counter) -> None:  # fmt: skip
    for side in (-1, 1):
        if not street.parking[side > 0]:
            continue
        along = side == street.drive_side
        for s0, s1 in street.free_spans(side, 5.0):
            at = max(s0, 2.0) + float(rng.uniform(2, 5))
            while at < min(s1 - 2.5, 105.0):
                luck = rng.random()
                t = side * (street.half_road + PARKING_M / 2 + rng.uniform(-0.1, 0.25))
                place = street.curve.place(at, t, turn=(0.0 if along else np.pi) + rng.normal(0, 0.02))
                if luck < world.street.parked_share:
                    if _TRUCK in world.train_ids and rng.random() < 0.03:
                        at += 2.5
                        vehicles.add_truck(mesh, street.curve.place(at, t), rng, (0.8, 0.8, 0.8), counter.take())
                        at += 2.5
                    else:
                        _car(mesh, place, world, rng, counter)
                elif luck > 0.965:
                    for k in range(3):
                        spot = street.curve.place(at + k * 0.9, t, turn=side * 1.3)
                        people.add_motorcycle(mesh, spot, rng, counter.take())
                at += float(rng.uniform(5.2, 6.6))


def _moving(mesh: MeshBuilder, street: StreetPlan, world: WorldStyle, rng: np.random.Generator, counter: Counter) -> None:  # fmt: skip
    """Vehicles in the lanes, with headway; big ones are rare."""
    count = int(rng.integers(world.street.cars_ahead[0], world.street.cars_ahead[1] + 1))
    places: list[tuple[int, int]] = [(way, lane) for way in (-1, 1) for lane in range(street.lanes)]
    next_free = {key: float(rng.uniform(7.0, 26.0)) for key in places}
    if street.tram and _TRAIN in world.train_ids:
        t = -street.drive_side * street.lane_width / 2
        color = ((0.75, 0.70, 0.30), (0.80, 0.78, 0.74), (0.60, 0.10, 0.10), (0.12, 0.30, 0.45))[int(rng.integers(4))]
        start = float(rng.uniform(14, 40))
        vehicles.add_tram(mesh, street.curve.place(start, t, turn=0.0), rng, color, counter.take())
        next_free[-1, 0] = 150.0
    for _ in range(count):
        way, lane = places[int(rng.integers(len(places)))]
        s = next_free[way, lane]
        if s > 110.0:
            continue
        t = way * street.drive_side * (lane + 0.5) * street.lane_width + rng.normal(0, 0.15)
        turn = 0.0 if way > 0 else np.pi
        luck = rng.random()
        length = 5.0
        if luck < 0.09 and _TRUCK in world.train_ids:
            length = 10.0
            color = world.street.cars[int(rng.integers(len(world.street.cars)))]
            vehicles.add_truck(mesh, street.curve.place(s + 4, t, turn=turn), rng, color, counter.take())
        elif luck < 0.17:
            length = 14.0
            color = (
                (0.70, 0.10, 0.08),
                (0.85, 0.84, 0.80),
                (0.12, 0.30, 0.55),
                (0.85, 0.65, 0.12),
                (0.15, 0.42, 0.25),
            )[int(rng.integers(5))]
            vehicles.add_bus(mesh, street.curve.place(s + 5, t, turn=turn), rng, color, counter.take())
        else:
            _car(mesh, street.curve.place(s, t, turn=turn), world, rng, counter, braking=bool(rng.random() < 0.4))
        next_free[way, lane] = s + length + float(rng.uniform(3.0, 25.0))


def _two_wheelers(mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator, counter: Counter) -> None:
    for way in (-1, 1):
        for _ in range(int(rng.poisson(0.5))):
            s = float(rng.uniform(7, 45))
            t = way * street.drive_side * (street.half_road - rng.uniform(0.5, 1.1))
            place = street.curve.place(s, t, turn=0.0 if way > 0 else np.pi)
            if rng.random() < 0.7:
                people.add_cyclist(mesh, place, rng, counter.take(2))
            else:
                people.add_motorcyclist(mesh, place, rng, counter.take(2))
    if rng.random() < 0.3:  # parked bicycles on the sidewalk
        side = 1 if rng.random() < 0.5 else -1
        s, t = float(rng.uniform(8, 40)), side * (street.kerb(side) + street.verge[side > 0] + 0.6)
        for k in range(int(rng.integers(1, 6))):
            place = street.curve.place(s + 0.65 * k, t, KERB_M, turn=side * np.pi / 2 + rng.normal(0, 0.15))
            people.add_bicycle(mesh, place, rng, counter.take())


def _people(mesh: MeshBuilder, street: StreetPlan, world: WorldStyle, rng: np.random.Generator, counter: Counter, side: int) -> None:  # fmt: skip
    """Groups on the sidewalk."""
    low, high = world.street.people_per_100m
    total = int(rng.poisson(rng.uniform(low, high) * 0.4))
    inner = street.kerb(side) + street.verge[side > 0] + 0.4
    outer = street.lot_line(side) - 0.35
    while total > 0:
        size = min(total, int(rng.choice([1, 1, 2, 2, 3, 4])))
        total -= size
        s, heading = float(6.0 + 70.0 * rng.random() ** 1.3), (0.0 if rng.random() < 0.5 else np.pi)
        for _ in range(size):
            t = side * float(np.clip(rng.uniform(inner, outer), inner, max(outer, inner)))
            place = street.curve.place(s + float(rng.uniform(-0.9, 0.9)), t, KERB_M, turn=heading + rng.normal(0, 0.35))
            people.add_person(mesh, place, rng, counter.take())


def _crossing_people(mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator, counter: Counter) -> None:
    if rng.random() < 0.22:
        s = float(rng.uniform(9, 35))
        for _ in range(int(rng.integers(1, 4))):
            t = float(rng.uniform(-street.half_road, street.half_road))
            turn = np.pi / 2 * (1 if rng.random() < 0.5 else -1)
            people.add_person(
                mesh, street.curve.place(s + float(rng.uniform(-1, 1)), t, turn=turn), rng, counter.take()
            )


def _kerbside(mesh: MeshBuilder, street: StreetPlan, world: WorldStyle, rng: np.random.Generator, side: int) -> None:
    """The row along the kerb: trees, lamps, signs, signals, bollards, railings, bins."""
    style = world.street
    verge = street.verge[side > 0]
    t = side * (street.kerb(side) + (verge * 0.5 if verge > 0 else 0.45))
    toward_road = np.pi if side > 0 else 0.0
    spans = street.free_spans(side, 2.0)
    trees = rng.random() < style.tree_probability and (verge > 0 or street.sidewalk[side > 0] > 2.0)
    quarter_bare = rng.random() < style.bare_tree_probability
    leaf = style.leaves[int(rng.integers(len(style.leaves)))]
    spacing, gap = rng.uniform(*style.tree_spacing_m), rng.uniform(*style.lamp_spacing_m)
    height, arm = float(rng.uniform(5.0, 9.0)), float(rng.uniform(0.0, 2.0))
    for s0, s1 in spans:
        if trees:
            for s in np.arange(s0 + rng.uniform(0, spacing), min(s1, 110.0), spacing):
                if s > 4.0:
                    place = street.curve.place(float(s), t, KERB_M, turn=float(rng.uniform(0, 6)))
                    add_tree(mesh, place, rng, leaf, bare=bool(quarter_bare), height=float(rng.uniform(5.5, 11)))
        for s in np.arange(s0 + rng.uniform(0, gap), min(s1, 120.0), gap):
            place = street.curve.place(float(s), t, KERB_M, turn=toward_road)
            furniture.add_lamp(mesh, place, rng, height=height, arm=arm)
        for _ in range(int(rng.poisson(max(min(s1, 90.0) - s0, 0.0) / 22.0))):
            s = float(rng.uniform(s0, min(s1, 90.0)))
            facing = np.pi if side == street.drive_side or rng.random() < 0.4 else 0.0
            place = street.curve.place(s, t, KERB_M, turn=rng.normal(0, 0.1))
            add = furniture.add_board if rng.random() < 0.15 else furniture.add_sign
            add(mesh, place, rng, facing=facing)
        _small_things(mesh, street, rng, side, t, s0, s1)
    _signals(mesh, street, rng, side, t, toward_road)


def _small_things(mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator, side: int, t: float, s0: float, s1: float) -> None:  # fmt: skip
    last = min(s1, 70.0)
    if last - s0 < 8.0:
        return
    if rng.random() < 0.3:
        start = float(rng.uniform(s0, last - 6.0))
        step = float(rng.uniform(1.3, 2.5))
        row = [street.curve.place(start + k * step, t, KERB_M) for k in range(int(rng.integers(3, 9)))]
        furniture.add_bollards(mesh, row, rng)
    if rng.random() < 0.22:
        start = float(rng.uniform(s0, last - 6.0))
        s = np.linspace(start, min(start + rng.uniform(6, 20), s1), 9)
        furniture.add_fence(mesh, street.curve.at(s, side * (street.kerb(side) + 0.3), KERB_M), rng)
    for _ in range(int(rng.poisson(0.8))):
        spot = side * (street.lot_line(side) - 0.4) if rng.random() < 0.5 else t
        place = street.curve.place(float(rng.uniform(s0, last)), spot, KERB_M, turn=side * np.pi / 2)
        furniture.add_box_or_bin(mesh, place, rng, IGNORE_INDEX)


def _signals(mesh: MeshBuilder, street: StreetPlan, rng: np.random.Generator, side: int, t: float, toward_road: float) -> None:  # fmt: skip
    for junction in street.junctions:
        if rng.random() < 0.55:
            before = junction.s - junction.half_width - 1.2
            if side != street.drive_side:
                before = junction.s + junction.half_width + 1.2
            place = street.curve.place(before, t, KERB_M, turn=toward_road)
            facing = (np.pi if rng.random() < 0.75 else 0.0) - toward_road
            furniture.add_traffic_light(mesh, place, rng, facing=facing)
