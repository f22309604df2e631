"""The line before the engine: slots of cameras, unary calls by deadline, two classes, fairness between vehicles."""

import bisect
import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from isthmus.serving.scheduling.fairness import Shares
from isthmus.serving.scheduling.work import Group, ServiceClass, Work

W = TypeVar("W", bound=Work)

PATIENCE_S: Final = 1.0
"""Work is ordered by its deadline, but by no later one than this after its arrival: else work without a deadline
would wait for ever behind work that has one."""

_WHOLE: Final = 1 - 1e-9  # ten tenths are a little less than one


class _Place(NamedTuple):
    turn: float
    number: int


class _Lane(NamedTuple):
    service_class: ServiceClass
    vehicle: str
    group: Group


class Line(Generic[W]):
    """Work that waits. It is bounded by who enters it: see `Places`, and one slot a camera.

    Args:
        bulk_share: Bulk frames for each live frame, while both wait.
        weight_of: A vehicle's weight; see `Shares`.
    """

    def __init__(self, *, bulk_share: float, weight_of: Callable[[str], float]) -> None:
        self._bulk_share = bulk_share
        self._owed_to_bulk = 0.0
        self._shares = {kind: Shares(weight_of) for kind in ServiceClass}
        self._lanes: dict[_Lane, list[tuple[_Place, W]]] = {}
        self._places: dict[W, _Place] = {}
        self._slots: dict[Hashable, W] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[W]:
        return iter(self._places)

    def offer(self, work: W) -> W | None:
        """Let `work` wait.

        Newer work of a stream keeps the turn of the work that it replaces: else the busiest camera, whose work is
        always the newest, would never have its turn.

        Returns:
            The older work of the same stream, which waits no more.
        """
        turn = min(work.deadline, work.arrived + PATIENCE_S)
        place = _Place(turn, next(self._numbers))
        older = None
        if work.stream is not None:
            older = self._slots.get(work.stream)
            if older is not None:
                held = self._places[older]
                place = _Place(min(turn, held.turn), held.number)
                self.withdraw(older)
            self._slots[work.stream] = work
        self._places[work] = place
        lane = self._lanes.setdefault(_lane_of(work), [])
        bisect.insort(lane, (place, work), key=_place_of)
        return older

    def withdraw(self, work: W) -> bool:
        """Let `work` wait no more; whether it did."""
        place = self._places.pop(work, None)
        if place is None:
            return False
        if work.stream is not None:
            del self._slots[work.stream]
        key = _lane_of(work)
        lane = self._lanes[key]
        del lane[bisect.bisect_left(lane, place, key=_place_of)]
        if not lane:
            del self._lanes[key]
        return True

    def drop_late(self, ready_at: float) -> list[W]:
        """Take out all work that is of no use any more at the time `ready_at`."""
        late = [work for work in self._places if work.deadline < ready_at]
        for work in late:
            self.withdraw(work)
        return late

    def best(self, group: Group | None = None, room: float = math.inf) -> W | None:
        """Whose turn it is.

        Args:
            group: Only work of this group; None for any.
            room: Only work of at most so many frames.
        """
        order = (ServiceClass.LIVE, ServiceClass.BULK)
        for kind in order if self._owed_to_bulk < _WHOLE else reversed(order):
            heads = [
                head
                for key, lane in self._lanes.items()
                if key.service_class is kind
                and group in (None, key.group)
                and (head := next((item for item in lane if item[1].count <= room), None)) is not None
            ]
            if heads:
                eligible = self._shares[kind].eligible({work.vehicle for _, work in heads})
                return min((head for head in heads if head[1].vehicle in eligible), key=_place_of)[1]
        return None

    def take(self, work: W) -> None:
        """Take out `work` to run it, on its vehicle's and its class's account."""
        kind = work.service_class
        waiting = {key.vehicle for key in self._lanes if key.service_class is kind}
        self._shares[kind].charge(work.vehicle, work.count, waiting)
        if kind is ServiceClass.BULK:
            self._owed_to_bulk = max(0.0, self._owed_to_bulk - work.count)
        elif any(key.service_class is ServiceClass.BULK for key in self._lanes):
            self._owed_to_bulk = min(1.0, self._owed_to_bulk + work.count * self._bulk_share)
        self.withdraw(work)


def _lane_of(work: Work) -> _Lane:
    return _Lane(work.service_class, work.vehicle, work.group)


def _place_of(item: tuple[_Place, W]) -> _Place:
    return item[0]
