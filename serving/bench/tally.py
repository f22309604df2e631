"""What became of each frame, as its sender sees it.

Latency counts from the moment at which a frame was due, not from that at which it could be sent: a server that stalls
delays the sending of the next frames too, and a clock that starts only then would omit what the stall cost them
("coordinated omission").
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.errors import EnvironmentMissingError

try:
    from hdrh.histogram import HdrHistogram
except ModuleNotFoundError as error:
    raise EnvironmentMissingError(
        "the package 'hdrhistogram' is not installed", remedy="Install isthmus[serve,bench,cpu]."
    ) from error

SEGMENTED: Final = "SEGMENTED"
CANCELLED: Final = "CANCELLED"
"""By the client itself, before an answer came."""
LOST: Final = "LOST"
"""No verdict ever came."""

PERCENTILES: Final = (50.0, 95.0, 99.0, 99.9)
_LONGEST_US: Final = 600_000_000
_DIGITS: Final = 3


def _histogram() -> Any:
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


@dataclass(frozen=True)
class Outcome:
    """What became of the frames of a group of vehicles.

    Args:
        due: Frames that were due and handed to the connection.
        seconds: For how long frames were due.
        verdicts: Frames by verdict.
        stray: Verdicts beyond the first of a frame, or for frames that were never sent.
        within_budget: Masks that came within the budget, counted from when their frames were due.
        first_answer: The clock's time of the first mask, 0 without one.
        last_answer: Of the last one.
        longest_gap_s: Longest time between two masks, to whichever vehicles of the group.
        histograms: Latencies of masks in µs, encoded.
        lags: How long after its due time each frame was handed over, in µs, encoded: what the generator itself, or a
            connection that takes no more, held up.
    """

    due: int
    seconds: float
    verdicts: dict[str, int]
    stray: int
    within_budget: int
    first_answer: float
    last_answer: float
    longest_gap_s: float
    histograms: tuple[bytes, ...] = field(repr=False)
    lags: tuple[bytes, ...] = field(repr=False)

    @property
    def masks(self) -> int:
        """Frames that were answered with a mask."""
        return self.verdicts.get(SEGMENTED, 0)

    @property
    def offered(self) -> float:
        """Frames a second that were due."""
        return self.due / self.seconds

    @property
    def goodput(self) -> float:
        """Masks a second that came within the budget."""
        return self.within_budget / self.seconds

    @property
    def late(self) -> int:
        """Masks that came after the budget, and frames that were given up for it."""
        return self.masks - self.within_budget + self.verdicts.get("EXPIRED", 0)

    @property
    def throughput(self) -> float:
        """Masks a second between the first and the last one."""
        span = self.last_answer - self.first_answer
        return (self.masks - 1) / span if self.masks > 1 and span > 0 else 0.0

    @property
    def one_verdict_each(self) -> bool:
        """Whether each frame had exactly one verdict."""
        return self.stray == 0 and LOST not in self.verdicts and sum(self.verdicts.values()) == self.due

    def percentiles_ms(self) -> dict[str, float]:
        """Latency of masks in ms by name, p50 to p99.9; empty without a mask."""
        return _percentiles_ms(self.histograms)

    def lags_ms(self) -> dict[str, float]:
        """The same of the lags."""
        return _percentiles_ms(self.lags)

    def to_tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "due": self.due,
            "seconds": self.seconds,
            "offered_fps": self.offered,
            "verdicts": self.verdicts,
            "stray_verdicts": self.stray,
            "one_verdict_each": self.one_verdict_each,
            "within_budget": self.within_budget,
            "late": self.late,
            "goodput_fps": self.goodput,
            "throughput_fps": self.throughput,
            "longest_gap_ms": self.longest_gap_s * 1e3,
            "latency_ms": self.percentiles_ms(),
            "send_lag_ms": self.lags_ms(),
            "histograms": [encoded.decode() for encoded in self.histograms],
        }


def _percentiles_ms(histograms: Sequence[bytes]) -> dict[str, float]:
    merged = _histogram()
    for encoded in histograms:
        merged.decode_and_add(encoded)
    if not merged.get_total_count():
        return {}
    return {f"p{percent:g}": merged.get_value_at_percentile(percent) / 1e3 for percent in PERCENTILES}


def _microseconds(seconds: float) -> int:
    return min(max(1, round(seconds * 1e6)), _LONGEST_US)


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several runs, one after another, as one."""
    verdicts: Counter[str] = Counter()
    for outcome in outcomes:
        verdicts.update(outcome.verdicts)
    spans = sum(outcome.last_answer - outcome.first_answer for outcome in outcomes)
    return Outcome(
        due=sum(outcome.due for outcome in outcomes),
        seconds=sum(outcome.seconds for outcome in outcomes),
        verdicts=dict(verdicts),
        stray=sum(outcome.stray for outcome in outcomes),
        within_budget=sum(outcome.within_budget for outcome in outcomes),
        first_answer=0.0,
        last_answer=spans,
        longest_gap_s=max(outcome.longest_gap_s for outcome in outcomes),
        histograms=tuple(encoded for outcome in outcomes for encoded in outcome.histograms),
        lags=tuple(encoded for outcome in outcomes for encoded in outcome.lags),
    )


class Tally:
    """Accounts for the frames of a group of vehicles while they drive.

    Args:
        budget_s: Seconds from a frame's due time within which its mask is of use.
    """

    def __init__(self, budget_s: float) -> None:
        self.budget_s = budget_s
        self._open: dict[tuple[str, int], float] = {}
        self._verdicts: Counter[str] = Counter()
        self._due = self._stray = self._within = 0
        self._first = self._last = self._gap = 0.0
        self._histogram = _histogram()
        self._lags = _histogram()

    def due(self, vehicle: str, number: int, at: float, now: float) -> None:
        """Count a frame that was due at `at` and is handed to the connection `now`."""
        self._due += 1
        self._lags.record_value(_microseconds(now - at))
        self._open[vehicle, number] = at

    def told(self, vehicle: str, number: int, verdict: str, at: float) -> None:
        """Count a verdict that came at `at`."""
        due = self._open.pop((vehicle, number), None)
        if due is None:
            self._stray += 1
            return
        self._verdicts[verdict] += 1
        if verdict != SEGMENTED:
            return
        self._histogram.record_value(_microseconds(at - due))
        self._within += at - due <= self.budget_s
        if self._first:
            self._gap = max(self._gap, at - self._last)
        else:
            self._first = at
        self._last = at

    def outcome(self, seconds: float) -> Outcome:
        """What became of them, now that nothing more will come; frames without a verdict are LOST.

        Args:
            seconds: For how long frames were due.
        """
        verdicts = dict(self._verdicts)
        if self._open:
            verdicts[LOST] = len(self._open)
        return Outcome(
            due=self._due,
            seconds=seconds,
            verdicts=verdicts,
            stray=self._stray,
            within_budget=self._within,
            first_answer=self._first,
            last_answer=self._last,
            longest_gap_s=self._gap,
            histograms=(self._histogram.encode(),),
            lags=(self._lags.encode(),),
        )
