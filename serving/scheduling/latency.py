"""How long the engine will take, learned while it works."""

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Final

_WINDOW: Final = 15
_STALE_S: Final = 1.0
_TRUSTED_S: Final = 15.0
_TRUSTED_COUNT: Final = 3
_NEW_WEIGHT: Final = 0.2
_STRAYS: Final = 3.0


class Latency:
    """Seconds for a batch of n frames: the median of the last batches of that size, else a + b·n through the others'.

    A median forgets a single slow batch, such as the first one. Where no batch of any size has ended for a second,
    nothing is believed: otherwise estimates that are far too long would refuse all work, and never be corrected. While
    others end, a size that is not among them keeps its estimate for a quarter of a minute, if three batches stand
    behind it; else it gets what the others allow. So a GPU that has once prepared itself for eight frames, for a
    second, does not keep eight frames from being tried again, nor make single ones look slow.

    Args:
        warm_start: Seconds by batch size, measured before; the first real batches outvote them.
    """

    def __init__(self, warm_start: Mapping[int, float] | None = None) -> None:
        self._seconds = {size: deque([seconds], _WINDOW) for size, seconds in (warm_start or {}).items()}
        self._medians = dict(warm_start or {})
        self._seen_at: dict[int, float] = {}

    def observe(self, size: int, seconds: float, now: float) -> None:
        """Note that a batch of `size` frames, padding included, took `seconds`, ending `now`."""
        self._seen_at[size] = now
        window = self._seconds.setdefault(size, deque(maxlen=_WINDOW))
        window.append(seconds)
        self._medians[size] = statistics.median_low(window)

    def expect(self, size: int) -> float:
        """Seconds that a batch of `size` frames should take; 0 where nothing is known."""
        known = self._medians.get(size)
        return known if known is not None else _between(self._medians, size)

    def promise(self, size: int, now: float) -> float:
        """Seconds by which work may be refused: no less than smaller batches just took, no more than larger ones."""
        fresh = {seen: self._medians[seen] for seen, at in self._seen_at.items() if now - at <= _STALE_S}
        if not fresh:
            return 0.0
        seconds = fresh.get(size)
        if seconds is None:
            known = self._is_trusted(size, now)
            seconds = self._medians[size] if known else min(self.expect(size), _between(fresh, size))
            seconds = max(seconds, *(took for seen, took in fresh.items() if seen < size), 0.0)
        return min(seconds, *(took for seen, took in fresh.items() if seen > size), math.inf)

    def _is_trusted(self, size: int, now: float) -> bool:
        seen_at = self._seen_at.get(size)
        return seen_at is not None and now - seen_at <= _TRUSTED_S and len(self._seconds[size]) >= _TRUSTED_COUNT

    @property
    def medians(self) -> Mapping[int, float]:
        """Median seconds by batch size: a warm start for the next version of the model."""
        return self._medians


class Smoothed:
    """A running mean of seconds, and how far they stray from it; follows slow changes.

    Like `Latency`, it refuses no work by what nothing has confirmed for a second.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._strays = 0.0
        self._seen_at = -float("inf")

    @property
    def at_most(self) -> float:
        """Seconds that are seldom exceeded, estimated as TCP does it for its time-outs."""
        return self.seconds + _STRAYS * self._strays

    def promise(self, now: float) -> float:
        """The mean, but 0 where it is too old to refuse work by it."""
        return 0.0 if now - self._seen_at > _STALE_S else self.seconds

    def observe(self, seconds: float, now: float) -> None:
        """Note one more value, which was there `now`."""
        self._seen_at = now
        error = seconds - self.seconds
        self.seconds += _NEW_WEIGHT * error
        self._strays += _NEW_WEIGHT * (abs(error) - self._strays)


def _between(medians: Mapping[int, float], size: int) -> float:
    """What the seconds of other sizes say of one; 0 where there are none."""
    base, each = _fit(medians)
    if len(medians) == 1:  # frames beyond what was seen cost as much as those; fewer save nothing
        (seen,) = medians
        return base * max(1.0, size / seen)
    return base + each * size


def _fit(medians: Mapping[int, float]) -> tuple[float, float]:
    """(a, b) by least squares, neither below 0."""
    if len(medians) < 2:
        return (next(iter(medians.values()), 0.0), 0.0)
    each, base = statistics.linear_regression(list(medians), list(medians.values()))
    mean = statistics.fmean(medians.values())
    if each < 0:
        return mean, 0.0
    if base < 0:
        return 0.0, mean / statistics.fmean(medians)
    return base, each
