"""When to try a server again: exponential back-off with jitter, and a circuit breaker."""

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config

_Seconds = Annotated[float, Field(gt=0)]


@config
class RetryConfig:
    """How a stream comes back after it has lost its server."""

    first_pause_s: _Seconds = 0.1
    """Longest pause before the first new attempt; each failure doubles it. The real pause is drawn between 0 and this,
    so that vehicles do not come back in step."""
    longest_pause_s: _Seconds = 5.0
    """The pauses grow no longer than this."""
    failures_to_open: Annotated[int, Field(gt=0)] = 5
    """Failed attempts in a row after which the circuit opens: frames are then refused at once."""
    open_s: _Seconds = 5.0
    """Seconds that the circuit stays open; then one attempt is made."""


class Backoff:
    """Pauses between 0 and a bound that doubles.

    Args:
        first_s: The first bound.
        longest_s: The last one.
        draw: Gives a number in [0, 1).
    """

    def __init__(self, first_s: float, longest_s: float, draw: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._draw = draw
        self._bound_s = first_s

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        pause_s = self._bound_s * self._draw()
        self._bound_s = min(self._longest_s, 2 * self._bound_s)
        return pause_s

    def reset(self) -> None:
        """Begin anew: the server answered."""
        self._bound_s = self._first_s


class Circuit(StrEnum):
    """A circuit breaker's state."""

    CLOSED = "closed"
    """All is well, or not yet bad enough."""
    OPEN = "open"
    """No attempt is made for a while."""
    HALF_OPEN = "half_open"
    """One attempt is under way; its end decides."""


class CircuitBreaker:
    """Opens after failures in a row, and lets one attempt through after a while.

    Args:
        failures_to_open: How many in a row.
        open_s: Seconds until the attempt.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, failures_to_open: int, open_s: float, clock: Callable[[], float]) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self._state = Circuit.CLOSED

    @property
    def state(self) -> Circuit:
        """What it does at present."""
        return self._state

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def wait_s(self) -> float:
        """Seconds until an attempt may be made; 0 while it is not open."""
        if self._state is not Circuit.OPEN:
            return 0.0
        return max(0.0, self._opened_at + self._open_s - self._clock())

    def attempt(self) -> None:
        """An attempt begins: an open circuit becomes half open."""
        assert self.wait_s() == 0, "nobody tries an open circuit"
        if self._state is Circuit.OPEN:
            self._state = Circuit.HALF_OPEN

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0
        self._state = Circuit.CLOSED

    def failed(self) -> None:
        """An attempt failed, or a connection broke."""
        self._failures += 1
        if self._state is Circuit.HALF_OPEN or self._failures >= self._failures_to_open:
            self._state = Circuit.OPEN
            self._opened_at = self._clock()
