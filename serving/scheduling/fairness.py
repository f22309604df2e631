"""Shares of the engine by vehicle: nobody gets ahead of the others by more than a few frames."""

from collections.abc import Callable, Iterable
from typing import Final

DEFAULT_SLACK: Final = 2.0
"""Frames, divided by its weight, that a vehicle may be ahead of the one that has had least."""

_MAX_VEHICLES: Final = 4096


class Shares:
    """What each vehicle has had, in frames divided by its weight ("virtual time", as in fair queueing).

    Vehicles that wait compete by their deadlines as long as none is further ahead than the slack; one that is has to
    let others go first. To stay away earns nothing: who comes back starts where those stand who waited.

    Args:
        weight_of: A vehicle's weight, above 0.
        slack: See `DEFAULT_SLACK`.
    """

    def __init__(self, weight_of: Callable[[str], float], slack: float = DEFAULT_SLACK) -> None:
        self._weight_of = weight_of
        self._slack = slack
        self._had: dict[str, float] = {}
        self._floor = 0.0

    def had(self, vehicle: str) -> float:
        """What `vehicle` has had, at least what those had who waited last."""
        return max(self._had.get(vehicle, 0.0), self._floor)

    def eligible(self, vehicles: Iterable[str]) -> set[str]:
        """Those of the waiting `vehicles` that may go next; at least one, where there is one."""
        had = {vehicle: self.had(vehicle) for vehicle in vehicles}
        if len(had) < 2:
            return set(had)
        most = min(had.values()) + self._slack
        return {vehicle for vehicle, amount in had.items() if amount <= most}

    def charge(self, vehicle: str, count: int, waiting: Iterable[str]) -> None:
        """Note that `vehicle` gets `count` frames now.

        Args:
            vehicle: Who.
            count: Frames.
            waiting: The vehicles that wait now, `vehicle` among them.
        """
        self._floor = max(self._floor, min(map(self.had, waiting)))
        had = self.had(vehicle) + count / self._weight_of(vehicle)
        self._had.pop(vehicle, None)  # to the end of the dictionary: the first is who had nothing for longest
        self._had[vehicle] = had
        if len(self._had) > _MAX_VEHICLES:
            del self._had[next(iter(self._had))]
