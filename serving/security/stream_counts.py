"""How many streams each caller has open."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from isthmus.errors import QuotaExceededError
from isthmus.serving.identity import host_of, is_named

_RETRY_S: Final = 1.0


class StreamCounts:
    """Counts open streams by caller; connections from one host without a certificate are one caller."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Streams of all callers."""
        return self._open.total()

    def hold(self, vehicle: str, most: int | None) -> AbstractContextManager[None]:
        """Take a place for a stream at once; the context gives it back.

        Args:
            vehicle: As `identity.vehicle_of` names it.
            most: Streams that this caller may have; None for no bound.

        Raises:
            QuotaExceededError: It has them open already.
        """
        caller = vehicle if is_named(vehicle) else host_of(vehicle)
        if most is not None and self._open[caller] >= most:
            raise QuotaExceededError(
                f"{most} streams are this caller's share, and all are open",
                where=vehicle,
                remedy="Close one, or let the policy's `max_streams` allow more.",
                retry_after_s=_RETRY_S,
            )
        self._open[caller] += 1
        return self._held(caller)

    @contextmanager
    def _held(self, caller: str) -> Iterator[None]:
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
