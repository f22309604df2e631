"""One way to put each kind of vehicle and person onto a street's free ground."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Rgb
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.streets.layout import KERB_M, StreetPlan
from isthmus.datasets.worlds.style import WorldStyle
from isthmus.datasets.worlds.traffic.cars import add_car, draw_car
from isthmus.datasets.worlds.traffic.large_vehicles import Spot, add_bus, add_tram, add_truck, coupled_length, draw_tram
from isthmus.datasets.worlds.traffic.occupancy import Occupancy
from isthmus.datasets.worlds.traffic.people import add_person
from isthmus.datasets.worlds.traffic.two_wheelers import add_bicycle, add_cyclist, add_motorcycle, add_motorcyclist

if TYPE_CHECKING:
    from itertools import count

_BUS_M: Final = 2.6
"""Width of buses."""
_LONG_BUS_M: Final = 17.6
_RIDER_M: Final = (2.0, 0.8)
_PERSON_M: Final = (0.7, 0.7)


@dataclass(frozen=True, slots=True)
class RoadUsers:
    """The main street, and who stands where on it."""

    mesh: MeshBuilder
    street: StreetPlan
    world: WorldStyle
    rng: np.random.Generator
    numbers: "count[int]"
    """Fresh instance numbers."""
    raining: bool = False
    """Whether people hold umbrellas."""
    ground: Occupancy = field(default_factory=Occupancy)

    def has(self, class_name: str) -> bool:
        """Whether the world knows a class."""
        return TRAIN_ID[class_name] in self.world.train_ids

    def one_of(self, colors: Sequence[Rgb]) -> Rgb:
        """A colour of a list."""
        return colors[int(self.rng.integers(len(colors)))]

    def put_car(self, s: float, t: float, turn: float, *, braking: bool = False, parked: bool = False) -> float:
        """A car or a van about (s, t); returns the length that it takes, 0 where there is no room."""
        build = draw_car(self.rng)
        if not self.ground.claim(s, t, build.size, turn=turn, margin=0.15):
            return 0.0
        color, place = self.one_of(self.world.street.cars), self.street.curve.place(s, t, turn=turn)
        number = next(self.numbers)
        add_car(self.mesh, place, self.rng, color, build=build, instance=number, braking=braking, parked=parked)
        return build.size[0]

    def park_at(self, s: float, t: float, turn: float) -> None:
        """A parked car about (s, t), if there is room."""
        self.put_car(s, t, turn, parked=True)

    def park_car(self, place: Placement) -> None:
        """A car at a place beside the main street or on a street that meets it, if there is room."""
        curve, (x, _, z) = self.street.curve, place.position
        nearest = int(np.argmin((curve.x - x) ** 2 + (curve.z - z) ** 2))
        angle = float(curve.angle[nearest])
        along = (x - curve.x[nearest]) * np.sin(angle) + (z - curve.z[nearest]) * np.cos(angle)
        across = (x - curve.x[nearest]) * np.cos(angle) - (z - curve.z[nearest]) * np.sin(angle)
        s, t = float(curve.s[nearest] + along), float(across)
        build = draw_car(self.rng)
        if self.ground.claim(s, t, build.size, turn=place.heading - angle, margin=0.1):
            color = self.one_of(self.world.street.cars)
            place = place._replace(heading=place.heading + float(self.rng.normal(0, 0.03)))
            add_car(self.mesh, place, self.rng, color, build=build, instance=next(self.numbers), parked=True)

    def put_truck(self, s: float, t: float, turn: float, *, longest: float = 15.0) -> float:
        """A truck about (s, t); returns the length that it takes, 0 where there is no room."""
        length = float(self.rng.choice([6.2, 6.8, 8.0, 9.0, 10.0, 14.5]))
        length = min(length, longest)
        if not self.has("truck") or not self.ground.claim(s, t, (length + 0.4, 2.6), turn=turn, margin=0.1):
            return 0.0
        place = self.street.curve.place(s, t, turn=turn)
        color = self.one_of(self.world.street.cars) if self.rng.random() < 0.6 else (0.85, 0.85, 0.83)
        fleet = self.world.street.fleet
        add_truck(self.mesh, place, self.rng, color, instance=next(self.numbers), length=length, fleet=fleet)
        return length

    def put_bus(self, s: float, t: float, turn: float) -> float:
        """A bus about (s, t); returns the length that it takes, 0 where there is no room."""
        if not self.ground.claim(s, t, (_LONG_BUS_M, _BUS_M), turn=turn, margin=0.1):
            return 0.0
        number, spot = next(self.numbers), Spot(self.street.curve, s, t, turn)
        fleet = self.world.street.fleet
        return add_bus(self.mesh, spot, self.rng, self.one_of(fleet.bus_liveries), instance=number, fleet=fleet)

    def put_tram(self, s: float, t: float) -> float:
        """An oncoming tram, its middle about (s, t); returns its length, 0 where there is no room."""
        fleet = self.world.street.fleet
        hulls = draw_tram(self.rng, fleet)
        length = coupled_length(hulls)
        if not self.ground.claim(s, t, (length, hulls[0].width), margin=0.3):
            return 0.0
        number, spot = next(self.numbers), Spot(self.street.curve, s, t, np.pi, self.street.tram_height)
        add_tram(self.mesh, spot, self.rng, self.one_of(fleet.tram_liveries), hulls=hulls, instance=number)
        return length

    def put_vehicle(self, back: float, t: float, turn: float) -> float:
        """A car, a truck or a bus whose nearer end is at s = back; returns the length that it takes."""
        luck = self.rng.random()
        if luck < 0.12 and self.has("truck"):
            return self.put_truck(back + 7.5, t, turn) + 5.0
        if luck < 0.23:
            return self.put_bus(back + _LONG_BUS_M / 2, t, turn) + 6.0
        if luck < 0.29 and self.street.has_sidewalk:
            self.put_rider(back + 1.0, t, turn, motorcycle=True)
            return 2.2
        return max(self.put_car(back + 2.4, t, turn, braking=bool(self.rng.random() < 0.4)), 3.0)

    def put_rider(self, s: float, t: float, turn: float, *, motorcycle: bool | None = None) -> None:
        """A cyclist or a motorcyclist about (s, t), if there is room."""
        if not self.ground.claim(s, t, _RIDER_M, turn=turn, margin=0.2):
            return
        place = self.street.curve.place(s, t, turn=turn)
        if motorcycle is None:
            motorcycle = bool(self.rng.random() < 0.3)
        add = add_motorcyclist if motorcycle else add_cyclist
        add(self.mesh, place, self.rng, rider=next(self.numbers), machine=next(self.numbers))

    def stand_bicycle(self, s: float, t: float, turn: float) -> None:
        """A parked bicycle on the sidewalk, if there is room."""
        if self.ground.claim(s, t, (1.7, 0.5), turn=turn, margin=0.0):
            place = self.street.curve.place(s, t, KERB_M, turn=turn)
            add_bicycle(self.mesh, place, self.rng, instance=next(self.numbers))

    def stand_motorcycle(self, s: float, t: float, turn: float) -> None:
        """A parked motorcycle on the road, if there is room."""
        if self.ground.claim(s, t, (1.9, 0.6), turn=turn, margin=0.0):
            place = self.street.curve.place(s, t, turn=turn)
            add_motorcycle(self.mesh, place, self.rng, instance=next(self.numbers))

    def put_person(self, s: float, t: float, turn: float, *, y: float = KERB_M, moving: bool | None = None) -> None:
        """Somebody on foot about (s, t), if there is room."""
        if not self.ground.claim(s, t, _PERSON_M, margin=-0.1):
            return
        place = self.street.curve.place(s, t, y, turn=turn)
        add_person(self.mesh, place, self.rng, instance=next(self.numbers), moving=moving, raining=self.raining)

    def add_worker(self, place: Placement) -> None:
        """Somebody in bright clothes on ground that is known to be free."""
        add_person(self.mesh, place, self.rng, instance=next(self.numbers), moving=False, worker=True)
