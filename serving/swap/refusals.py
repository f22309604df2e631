"""Versions that were refused: told once, tried again after growing pauses."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_PAUSE_S: Final = 600.0


@dataclass(slots=True)
class _Refusal:
    reason: str
    verdict: str
    pause_s: float
    again_at: float


class Refusals:
    """What was refused and when it may be tried again.

    Args:
        first_pause_s: Until the second try; doubled each time, up to ten minutes.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, first_pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first_pause_s = first_pause_s
        self._clock = clock
        self._refused: dict[str, _Refusal] = {}

    def may_try(self, version: str, verdict: str) -> bool:
        """Whether it is time.

        Args:
            version: The one.
            verdict: What its tag says now; a changed one is reason enough.
        """
        known = self._refused.get(version)
        return known is None or known.verdict != verdict or self._clock() >= known.again_at

    def note(self, version: str, verdict: str, reason: str) -> bool:
        """Note a refusal; gives whether it is news, which another measurement of the same thing is not."""
        known = self._refused.get(version)
        pause = self._first_pause_s if known is None else min(2 * known.pause_s, MAX_PAUSE_S)
        self._refused[version] = _Refusal(reason, verdict, pause, self._clock() + pause)
        return known is None or _without_numbers(known.reason) != _without_numbers(reason)

    def reasons(self) -> dict[str, str]:
        """Why each was refused last, by version."""
        return {version: known.reason for version, known in self._refused.items()}

    def pause_s(self, version: str) -> float:
        """Seconds from a refusal that was noted until the next try."""
        return self._refused[version].pause_s

    def is_known(self, version: str) -> bool:
        """Whether it was refused before."""
        return version in self._refused

    def keep_only(self, *versions: str | None) -> None:
        """Forget the others: the alias has moved on."""
        self._refused = {version: known for version, known in self._refused.items() if version in versions}


def _without_numbers(reason: str) -> str:
    return re.sub(r"\d+([.,]\d+)?", "#", reason)
