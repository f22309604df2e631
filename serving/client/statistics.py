"""Numbers about a camera's stream."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.serving.client.breaker import Circuit
from isthmus.serving.client.reports import FrameReport, Verdict

_FPS_WINDOW_S: Final = 5.0
_MOST_MASKS: Final = 2048  # in that window: 400 a second
_MOST_ROUND_TRIPS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics:
    """A stream at one moment."""

    sent: int
    """Frames that `send` accepted."""
    verdicts: Mapping[Verdict, int]
    """How many frames got which verdict."""
    fps: float
    """Masks a second, over the last five seconds."""
    round_trip_s: Mapping[int, float]
    """The percentiles 50, 95 and 99 of the last 512 answered frames; empty before the first."""
    circuit: Circuit
    connected: bool
    """Whether frames can be sent now."""
    connections: int
    """Connections that were made; one more than the reconnects."""
    last_error: str
    """Why the last connection or attempt failed; empty if none did."""
    unread: int
    """Reports that were thrown away because nobody read them."""

    @property
    def unreported(self) -> int:
        """Frames without a report: one that waits, and those that the server has."""
        return self.sent - sum(self.verdicts.values())


class Meter:
    """Counts reports.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._born = clock()
        self.verdicts: Counter[Verdict] = Counter()
        self._masks: deque[float] = deque(maxlen=_MOST_MASKS)
        self._round_trips: deque[float] = deque(maxlen=_MOST_ROUND_TRIPS)

    def count(self, report: FrameReport) -> None:
        """Take note of a report."""
        self.verdicts[report.verdict] += 1
        if report.verdict is Verdict.SEGMENTED:
            self._masks.append(self._clock())
        if report.round_trip_s is not None:
            self._round_trips.append(report.round_trip_s)

    def fps(self) -> float:
        """Masks a second, over the last five seconds or since the beginning."""
        now = self._clock()
        window_s = min(_FPS_WINDOW_S, now - self._born)
        return 0.0 if window_s <= 0 else sum(at > now - window_s for at in tuple(self._masks)) / window_s

    def round_trips(self) -> dict[int, float]:
        """Percentiles in seconds."""
        taken = tuple(self._round_trips)
        if not taken:
            return {}
        percents = (50, 95, 99)
        return dict(zip(percents, map(float, np.percentile(taken, percents)), strict=True))
