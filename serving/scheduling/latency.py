"""How long the engine will take, learned while it works."""

import statistics
from collections import deque
from collections.abc import Mapping
from typing import Final

_WINDOW: Final = 15
_STALE_S: Final = 1.0
_NEW_WEIGHT: Final = 0.2
_STRAYS: Final = 3.0


class Latency:
    """t(n) = a + b·n seconds for a batch of n frames, from the medians of the last batches of each size.

    A median forgets a single slow batch, such as the first one. An estimate that nothing has confirmed for a second
    is not believed: otherwise one that is far too long would refuse all work, and never be corrected.

    Args:
        warm_start: Seconds by batch size, measured before; the first real batches outvote them.
    """

    def __init__(self, warm_start: Mapping[int, float] | None = None) -> None:
        self._seconds = {size: deque([seconds], _WINDOW) for size, seconds in (warm_start or {}).items()}
        self._medians = dict(warm_start or {})
        self._line = _fit(self._medians)
        self._seen_at = -float("inf")

    def observe(self, size: int, seconds: float, now: float) -> None:
        """Note that a batch of `size` frames, padding included, took `seconds`, ending `now`."""
        self._seen_at = now
        window = self._seconds.setdefault(size, deque(maxlen=_WINDOW))
        window.append(seconds)
        self._medians[size] = statistics.median(window)
        self._line = _fit(self._medians)

    def expect(self, size: int) -> float:
        """Seconds that a batch of `size` frames should take; 0 where nothing is known."""
        base, each = self._line
        if len(self._medians) == 1:  # frames beyond what was seen cost as much as those; fewer save nothing
            (seen,) = self._medians
            return base * max(1.0, size / seen)
        return base + each * size

    def promise(self, size: int, now: float) -> float:
        """Like `expect`, but 0 where the estimate is too old to refuse work by it."""
        return 0.0 if now - self._seen_at > _STALE_S else self.expect(size)

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
