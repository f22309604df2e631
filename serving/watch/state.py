"""What the view shows, as it is learnt."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from isthmus.serving.client import ModelChange, ModelInfo
from isthmus.serving.watch.metrics_page import MetricsPage

NOT_ASKED: Final = "not asked yet"
_MOST_CHANGES: Final = 8


@dataclass
class WatchState:
    """All that is known of a server.

    Args:
        address: `HOST:PORT`.
        health: What the health service says, or why it says nothing.
        model: The model that answers; None where there is none or nobody answers.
        problem: Why the model is not known; empty if it is.
        changes: The last changes, newest last, with the time at which they were heard.
        changes_problem: Why changes are not told at present; empty if they are.
        metrics_url: Where the numbers come from; None for no numbers.
        metrics_problem: Why there are no numbers; empty if there are.
    """

    address: str
    metrics_url: str | None = None
    health: str = NOT_ASKED
    model: ModelInfo | None = None
    problem: str = NOT_ASKED
    changes: deque[tuple[datetime, ModelChange]] = field(default_factory=lambda: deque(maxlen=_MOST_CHANGES))
    changes_problem: str = ""
    metrics_problem: str = ""
    _pages: deque[tuple[float, MetricsPage]] = field(default_factory=lambda: deque(maxlen=2))

    @property
    def is_serving(self) -> bool:
        """Whether the server says that it serves, and what."""
        return self.health == "SERVING" and self.model is not None

    @property
    def metrics(self) -> MetricsPage | None:
        """The last reading."""
        return self._pages[-1][1] if self._pages else None

    def read(self, at: float, page: MetricsPage) -> None:
        """Take a reading.

        Args:
            at: The moment, by the monotonic clock.
            page: The numbers.
        """
        self._pages.append((at, page))
        self.metrics_problem = ""

    def rates(self) -> Mapping[str, float] | None:
        """Frames a second by verdict, between the last two readings; None before there are two."""
        if len(self._pages) < 2:
            return None
        (before, old), (now, new) = self._pages
        if now <= before:
            return None
        # A server that was started again counts from 0: what it has by now came since then.
        grown = {name: count - old.frames.get(name, 0.0) for name, count in new.frames.items()}
        return {name: (grown[name] if grown[name] >= 0 else new.frames[name]) / (now - before) for name in grown}
