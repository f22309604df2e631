"""The line before the engine: slots of cameras, unary calls by deadline, two classes, fairness between vehicles."""

import bisect
import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

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


_Lane: TypeAlias = tuple[str, Group]
"""A vehicle, and what its work shares."""


class Line(Generic[W]):
    """Work that waits. It is bounded by who enters it: see `Places`, and one slot a camera.

    Args:
        bulk_share: Bulk frames for each live frame, while both wait.
        weight_of: A vehicle's weight; see `Shares`.
    """

    def __init__(self, *, bulk_share: float, weight_of: Callable[[str], float]) -> None:
        self._bulk_share = bulk_share
        self._owed_to_bulk = 0.0
        self._live_shares = Shares(weight_of)
        self._bulk_shares = Shares(weight_of)
        self._live: dict[_Lane, list[tuple[_Place, W]]] = {}
        self._bulk: dict[_Lane, list[tuple[_Place, W]]] = {}
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
        lane = self._lanes_of(work).setdefault((work.vehicle, work.group), [])
        bisect.insort(lane, (place, work), key=_place_of)
        return older

    def withdraw(self, work: W) -> bool:
        """Let `work` wait no more; whether it did."""
        place = self._places.pop(work, None)
        if place is None:
            return False
        if work.stream is not None:
            del self._slots[work.stream]
        lanes, key = self._lanes_of(work), (work.vehicle, work.group)
        lane = lanes[key]
        del lane[bisect.bisect_left(lane, place, key=_place_of)]
        if not lane:
            del lanes[key]
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
        live, bulk = (self._live, self._live_shares), (self._bulk, self._bulk_shares)
        for lanes, shares in (live, bulk) if self._owed_to_bulk < _WHOLE else (bulk, live):
            heads = {key: lane[0] for key, lane in lanes.items() if group is None or key[1] == group}
            if room < math.inf:
                heads = {key: head for key in heads if (head := _first_within(lanes[key], room)) is not None}
            if heads:
                limit = shares.limit([vehicle for vehicle, _ in heads], are_all=group is None and room == math.inf)
                return min([head for (vehicle, _), head in heads.items() if shares.had(vehicle) <= limit])[1]
        return None

    def take(self, work: W) -> None:
        """Take out `work` to run it, on its vehicle's and its class's account."""
        if work.service_class is ServiceClass.BULK:
            self._bulk_shares.charge(work.vehicle, work.count)
            self._owed_to_bulk = max(0.0, self._owed_to_bulk - work.count)
        else:
            self._live_shares.charge(work.vehicle, work.count)
            if self._bulk:
                self._owed_to_bulk = min(1.0, self._owed_to_bulk + work.count * self._bulk_share)
        self.withdraw(work)

    def _lanes_of(self, work: W) -> dict[_Lane, list[tuple[_Place, W]]]:
        return self._bulk if work.service_class is ServiceClass.BULK else self._live


def _first_within(lane: list[tuple[_Place, W]], room: float) -> tuple[_Place, W] | None:
    return next((item for item in lane if item[1].count <= room), None)


def _place_of(item: tuple[_Place, W]) -> _Place:
    return item[0]
