"""Who and what is on the street: parked and moving vehicles, two-wheelers, people on foot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.cars import add_car
from isthmus.datasets.worlds.large_vehicles import add_bus, add_tram, add_truck, add_van
from isthmus.datasets.worlds.layout import KERB_M, PARKING_M, StreetPlan
from isthmus.datasets.worlds.materials import Rgb
from isthmus.datasets.worlds.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.people import add_person
from isthmus.datasets.worlds.style import WorldStyle
from isthmus.datasets.worlds.two_wheelers import add_bicycle, add_cyclist, add_motorcycle, add_motorcyclist

_BUSES: Final[tuple[Rgb, ...]] = (
    (0.70, 0.10, 0.08), (0.85, 0.84, 0.80), (0.12, 0.30, 0.55), (0.85, 0.65, 0.12), (0.15, 0.42, 0.25),
)  # fmt: skip
_TRAMS: Final[tuple[Rgb, ...]] = ((0.75, 0.70, 0.30), (0.80, 0.78, 0.74), (0.60, 0.10, 0.10), (0.12, 0.30, 0.45))
_FAR_M: Final = 110.0


def build_traffic(
    mesh: MeshBuilder,
    street: StreetPlan,
    world: WorldStyle,
    rng: np.random.Generator,
    *,
    bays: Sequence[Placement] = (),
) -> None:
    """Populate the main street, and the places off it where cars may stand."""
    traffic = _Traffic(mesh, street, world, rng, count(1))
    for side in (-1, 1):
        traffic.park(side)
    traffic.fill(bays)
    traffic.drive()
    if not street.has_sidewalk:
        return
    traffic.cycle()
    traffic.stand_bicycles()
    for side in (-1, 1):
        traffic.walk(side)
    traffic.cross()


@dataclass(frozen=True, slots=True)
class _Traffic:
    mesh: MeshBuilder
    street: StreetPlan
    world: WorldStyle
    rng: np.random.Generator
    numbers: "count[int]"
    """Fresh instance numbers."""
    taken: list[tuple[float, float, float]] = field(default_factory=list)
    """Middle (s, t) and half length of the vehicles in the lanes."""

    def has(self, class_name: str) -> bool:
        return TRAIN_ID[class_name] in self.world.train_ids

    def one_of(self, colors: Sequence[Rgb]) -> Rgb:
        return colors[int(self.rng.integers(len(colors)))]

    def is_free(self, s: float, t: float) -> bool:
        """Whether somebody small can be at (s, t) without touching a vehicle."""
        return all(abs(s - at) > reach + 1.2 or abs(t - across) > 1.7 for at, across, reach in self.taken)

    def put_car(self, place: Placement, *, braking: bool = False) -> None:
        color = self.one_of(self.world.street.cars)
        if self.rng.random() < 0.07:
            white = (0.85, 0.85, 0.84)
            add_van(
                self.mesh, place, self.rng, white if self.rng.random() < 0.6 else color, instance=next(self.numbers)
            )
        else:
            add_car(self.mesh, place, self.rng, color, instance=next(self.numbers), braking=braking)

    def park(self, side: int) -> None:
        """Fill a parking strip; now and then a truck or motorcycles stand there."""
        street, rng = self.street, self.rng
        if not street.parking[side > 0]:
            return
        turn = 0.0 if side == street.drive_side else np.pi
        for s0, s1 in street.free_spans(side, 5.0):
            at = max(s0, 2.0) + float(rng.uniform(2, 5))
            while at < min(s1 - 2.5, 105.0):
                t = side * (street.half_road + PARKING_M / 2 + float(rng.uniform(-0.1, 0.25)))
                luck = rng.random()
                if luck < self.world.street.parked_share:
                    if self.has("truck") and rng.random() < 0.03:
                        at += 2.5
                        truck = street.curve.place(at, t, turn=turn)
                        add_truck(self.mesh, truck, rng, (0.8, 0.8, 0.8), instance=next(self.numbers))
                        at += 2.5
                    else:
                        self.put_car(street.curve.place(at, t, turn=turn + rng.normal(0, 0.02)))
                elif luck > 0.965:
                    for k in range(3):
                        spot = street.curve.place(at + k * 0.9, t, turn=side * 1.3)
                        add_motorcycle(self.mesh, spot, rng, instance=next(self.numbers))
                at += float(rng.uniform(5.2, 6.6))

    def fill(self, bays: Sequence[Placement]) -> None:
        """Cars on driveways and in car parks."""
        for bay in bays:
            if self.rng.random() < self.world.street.parked_share:
                self.put_car(bay._replace(heading=bay.heading + float(self.rng.normal(0, 0.03))))

    def drive(self) -> None:
        """Vehicles in the lanes, with headway between them."""
        street, rng = self.street, self.rng
        lanes = [(way, lane) for way in (-1, 1) for lane in range(street.lanes)]
        free_from = {lane: float(rng.uniform(7.0, 26.0)) for lane in lanes}
        if street.tram and self.has("train"):
            t = street.tram_line
            place = street.curve.place(float(rng.uniform(14, 40)), t)
            add_tram(self.mesh, place, rng, self.one_of(_TRAMS), instance=next(self.numbers))
            free_from[-1, 0] = 2 * _FAR_M
            self.taken.append((_FAR_M / 2, t, _FAR_M / 2))
        fewest, most = self.world.street.cars_ahead
        for _ in range(int(rng.integers(fewest, most + 1))):
            way, lane = lanes[int(rng.integers(len(lanes)))]
            if free_from[way, lane] > min(_FAR_M, street.end - 8.0):
                continue
            t = street.lane_middle(way, lane) + float(rng.normal(0, 0.15))
            length = self._put_vehicle(free_from[way, lane], t, 0.0 if way > 0 else np.pi)
            self.taken.append((free_from[way, lane] + length / 2 - 2.5, t, length / 2))
            free_from[way, lane] += length + float(rng.uniform(3.0, 25.0))

    def _put_vehicle(self, s: float, t: float, turn: float) -> float:
        """A car, a truck or a bus; returns the length that it takes."""
        luck = self.rng.random()
        if luck < 0.09 and self.has("truck"):
            place = self.street.curve.place(s + 4, t, turn=turn)
            add_truck(self.mesh, place, self.rng, self.one_of(self.world.street.cars), instance=next(self.numbers))
            return 10.0
        if luck < 0.17:
            place = self.street.curve.place(s + 5, t, turn=turn)
            add_bus(self.mesh, place, self.rng, self.one_of(_BUSES), instance=next(self.numbers))
            return 14.0
        self.put_car(self.street.curve.place(s, t, turn=turn), braking=bool(self.rng.random() < 0.4))
        return 5.0

    def cycle(self) -> None:
        """Riders at the roads' edges."""
        street, rng = self.street, self.rng
        for way in (-1, 1):
            for _ in range(int(rng.poisson(0.9))):
                s = float(rng.uniform(7, 45))
                t = way * street.drive_side * (street.half_road - float(rng.uniform(0.5, 1.1)))
                if not self.is_free(s, t):
                    continue
                place = street.curve.place(s, t, turn=0.0 if way > 0 else np.pi)
                add = add_cyclist if rng.random() < 0.7 else add_motorcyclist
                add(self.mesh, place, rng, rider=next(self.numbers), machine=next(self.numbers))

    def stand_bicycles(self) -> None:
        """Parked bicycles on a sidewalk."""
        street, rng = self.street, self.rng
        if rng.random() < 0.3:
            side = 1 if rng.random() < 0.5 else -1
            s, t = float(rng.uniform(8, 40)), side * (street.kerb(side) + street.verge[side > 0] + 0.6)
            for k in range(int(rng.integers(1, 6))):
                place = street.curve.place(s + 0.65 * k, t, KERB_M, turn=side * np.pi / 2 + rng.normal(0, 0.15))
                add_bicycle(self.mesh, place, rng, instance=next(self.numbers))

    def walk(self, side: int) -> None:
        """Groups on the sidewalk."""
        street, rng = self.street, self.rng
        total = int(rng.poisson(rng.uniform(*self.world.street.people_per_100m) * 0.4))
        inner = street.kerb(side) + street.verge[side > 0] + 0.4
        outer = max(street.lot_line(side) - 0.35, inner)
        while total > 0:
            size = min(total, int(rng.choice([1, 1, 2, 2, 3, 4])))
            total -= size
            s, heading = float(6.0 + 70.0 * rng.random() ** 1.3), (0.0 if rng.random() < 0.5 else np.pi)
            for _ in range(size):
                t = side * float(rng.uniform(inner, outer))
                turn = heading + float(rng.normal(0, 0.35))
                place = street.curve.place(s + float(rng.uniform(-0.9, 0.9)), t, KERB_M, turn=turn)
                add_person(self.mesh, place, rng, instance=next(self.numbers))

    def cross(self) -> None:
        """People who cross the road."""
        street, rng = self.street, self.rng
        if rng.random() < 0.22:
            s = float(rng.uniform(9, 35))
            for _ in range(int(rng.integers(1, 4))):
                t = float(rng.uniform(-street.half_road, street.half_road))
                turn = np.pi / 2 * (1 if rng.random() < 0.5 else -1)
                if self.is_free(s, t):
                    place = street.curve.place(s + float(rng.uniform(-0.5, 0.5)), t, turn=turn)
                    add_person(self.mesh, place, rng, instance=next(self.numbers))
