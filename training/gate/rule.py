"""What a rule is: a name, a limit, and a question to evidence that has a number for an answer or none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from isthmus.gate_report import Outcome, RuleResult

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's number, and the same for people."""

    value: float
    shown: str


Find = Callable[[E, E | None], Finding | str]
"""From the challenger's and the champion's evidence: a finding, or why there is none."""


@dataclass(frozen=True, kw_only=True)  # no slots: with them Python 3.11 cannot make one of `Rule[…]`
class Rule(Generic[E]):
    """One rule of a gate."""

    name: str
    limit: float
    """Of the finding's value; it may be reached."""
    at_least: bool = True
    """Whether the limit is a floor; a ceiling otherwise."""
    required: str
    """The limit in words."""
    find: Find[E]
    """Asks the evidence."""
    hint: str
    """What to do where it fails."""

    def ask(self, target: str, challenger: E, champion: E | None) -> RuleResult:
        """The answer on a target ("" for the model alone)."""
        found = self.find(challenger, champion)
        if isinstance(found, str):
            return self.missing(target, found)
        kept = found.value >= self.limit if self.at_least else found.value <= self.limit
        return RuleResult(
            rule=self.name,
            target=target,
            outcome=Outcome.PASSED if kept else Outcome.FAILED,
            measured=found.shown,
            required=self.required,
            value=found.value,
            limit=self.limit,
            hint="" if kept else self.hint,
        )

    def missing(self, target: str, reason: str) -> RuleResult:
        """The answer where nothing could be measured."""
        return RuleResult(
            rule=self.name,
            target=target,
            outcome=Outcome.MISSING,
            measured="not measured",
            required=self.required,
            limit=self.limit,
            hint=f"{self.name} could not be measured: {reason}",
        )


def percent(share: float, digits: int = 2) -> str:
    """For example `12.30 %`."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """For example `+1.20`, of differences between percentages."""
    return f"{100 * difference + 0.0:+.2f}"  # + 0.0 makes +0 of -0
