"""What a scenario reports."""

from dataclasses import dataclass, field
from typing import Any

from isthmus.serving.bench.tally import Outcome

Figure = float | int | str | bool | list[float] | None


@dataclass(frozen=True)
class Row:
    """A line of the table, and a record of the JSON.

    Args:
        scenario: Its name.
        subject: What was measured: a server, and how it was asked.
        outcome: What became of the frames; None where nothing could be measured.
        figures: What this scenario is about, beyond that.
        note: For people.
    """

    scenario: str
    subject: str
    outcome: Outcome | None
    figures: dict[str, Figure] = field(default_factory=dict)
    note: str = ""

    def to_tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario,
            "subject": self.subject,
            "outcome": None if self.outcome is None else self.outcome.to_tree(),
            "figures": self.figures,
            "note": self.note,
        }


def failed(scenario: str, subject: str, error: Exception) -> Row:
    """A row that says why there is no figure."""
    return Row(scenario, subject, None, note=str(error))


def slope(samples: list[tuple[float, float]]) -> float:
    """Slope of the straight line that fits best (least squares).

    Args:
        samples: (x, y), at least two with different x.
    """
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
