"""The gate's verdict: one answer a rule, and the report that is signed and logged.

Training writes it, whoever serves a model reads it (`verdict` says which ones count).

A report is plain data: `to_bytes` gives the canonical JSON that a signature covers, `from_bytes` reads it back and
refuses anything else.
"""

import itertools
import json
import textwrap
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, TypeAdapter, ValidationError

from isthmus.configuration import config, explain, to_tree
from isthmus.errors import ContractError

REPORT_SCHEMA: Final = 1
"""Version of the report's form."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number that JSON can hold."""


class Outcome(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"
    """It is asked for but could not be measured, which refuses like a failure."""


_NARROWEST: Final = 10
"""Columns of a table are not made narrower than so many characters."""
_URGENCY: Final = (Outcome.FAILED, Outcome.MISSING, Outcome.PASSED)
_SHOWN: Final = {Outcome.FAILED: "FAILED", Outcome.MISSING: "MISSING", Outcome.PASSED: "passed"}


@config
class RuleResult:
    """The answer of one rule on one target."""

    rule: str
    """Name of the rule, for example `mIoU floor` or `IoU floor of person`."""
    target: str = ""
    """Title of the frames it was asked on; empty for a rule about the model alone."""
    outcome: Outcome
    """Its answer."""
    measured: str
    """For people, with unit."""
    required: str
    """For people, with unit."""
    value: Finite | None = None
    """What was measured, as a number in the rule's own unit; None where it is none."""
    limit: Finite | None = None
    """What `value` was compared with."""
    hint: str = ""
    """What to do about it; empty where it passed."""


@config
class JudgedTarget:
    """Frames that were judged on."""

    title: str
    """Name, or reader and split."""
    digest: str
    """`catalogue.dataset_digest` of the whole set, hex."""
    num_frames: int
    """Frames that were looked at."""
    labelled: bool
    """Whether their truth was looked at."""


@config
class Forced:
    """A person's decision to promote against the gate."""

    by: str
    """Who decided."""
    reason: str
    """Why, in their words."""


@config
class GateReport:
    """All answers for one challenger."""

    schema: int = REPORT_SCHEMA
    """Version of this form."""
    name: str
    """The registered model."""
    challenger: int
    """Version that was judged."""
    alias: str = ""
    """Alias that it was judged for, the only one that the verdict counts for; empty for none."""
    champion: int | None
    """Version that it was to be compared with; None when there was none and only the floors applied."""
    challenger_sha256: str
    """SHA-256 of the `model.onnx` that was judged, hex; empty where it could not be read."""
    champion_sha256: str | None
    """SHA-256 of the champion's `model.onnx`, hex; None without one, and where it could not be opened."""
    label_space: str
    """Hash of the challenger's label space; empty where it could not be read."""
    gate: str
    """Title of the gate's configuration."""
    gate_sha256: str
    """SHA-256 (hex) of the resolved configuration, `configuration.config_hash`."""
    created_at: str
    """ISO 8601, UTC."""
    evidence_sha256: str = ""
    """SHA-256 (hex) of `evidence.json`, whose numbers the results rest on; empty where nothing was measured."""
    isthmus_version: str
    """Version of isthmus that judged."""
    targets: tuple[JudgedTarget, ...]
    """Frames that were judged on."""
    results: tuple[RuleResult, ...]
    """One a rule and target, in the configuration's order."""
    note: str = ""
    """What a person should know beside the results."""
    forced: Forced | None = None
    """Set where a person promoted it all the same."""

    @property
    def passed(self) -> bool:
        """Whether there is a rule and every one passed; `forced` changes nothing here."""
        return bool(self.results) and all(result.outcome is Outcome.PASSED for result in self.results)

    @property
    def accepted(self) -> bool:
        """Whether it lets its version hold the alias: it passed, or a person forced it."""
        return self.passed or self.forced is not None

    @property
    def refusals(self) -> tuple[RuleResult, ...]:
        """Results that refuse: failed ones first, then missing ones."""
        return tuple(result for result in self._by_urgency() if result.outcome is not Outcome.PASSED)

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON, with `passed` for readers that know no rules."""
        tree: dict[str, Any] = to_tree(self)
        return {**tree, "passed": self.passed}

    def to_bytes(self) -> bytes:
        """Canonical JSON (sorted keys, no spaces, UTF-8): what is signed."""
        return canonical_json(self.to_tree())

    @classmethod
    def from_tree(cls, tree: Any, *, where: str = "gate report") -> Self:
        """Read a report back from `to_tree`.

        Raises:
            ContractError: It is no report of a schema that this version knows, or `passed` contradicts its results.
        """
        return cls.from_bytes(json.dumps(tree).encode(), where=where)

    @classmethod
    def from_bytes(cls, content: bytes, *, where: str = "gate report") -> Self:
        """Read a report back from `to_bytes`; raises as `from_tree` does."""
        remedy = "Let `isthmus promote` judge the version again."
        try:
            tree = json.loads(content)
            passed = tree.pop("passed", None) if isinstance(tree, dict) else None
            report = TypeAdapter(cls).validate_json(json.dumps(tree), strict=True)
        except ValidationError as error:
            raise ContractError(f"no gate report ({explain(error)})", where=where, remedy=remedy) from error
        except (ValueError, UnicodeDecodeError) as error:
            raise ContractError(f"no gate report ({error})", where=where, remedy=remedy) from error
        if report.schema != REPORT_SCHEMA:
            problem = f"gate report has schema {report.schema}, this version reads {REPORT_SCHEMA}"
            raise ContractError(problem, where=where, remedy=remedy)
        if passed is not report.passed:
            problem = f"gate report says passed: {json.dumps(passed)}, its results {json.dumps(report.passed)}"
            raise ContractError(problem, where=where, remedy=remedy)
        return report

    def to_text(self, width: int | None = None) -> str:
        """What was judged against what, a table of the results (failed, then missing ones first), and what to do.

        Args:
            width: Lines are broken between words to be no longer than so many characters; as long as need be by
                default.
        """
        against = f"version {self.champion}"
        if self.champion is None:
            against = f"no {self.alias or 'champion'} yet: the floors alone decide"
        if self.note:
            against = self.note
        frames = ", ".join(f"{target.num_frames} frames of {target.title}" for target in self.targets) or "no frames"
        meant = f" for {self.alias}" if self.alias else ""
        lines = [f"version {self.challenger}{meant} against {against}; {frames}"]
        lines += [f"  {line}" for line in self._table(None if width is None else width - 2)]
        hints = dict.fromkeys(result.hint for result in self.refusals if result.hint)
        lines += [f"  → {hint}" for hint in hints]
        if self.forced is not None:
            lines.append(f"  forced by {self.forced.by}: {self.forced.reason}")
        return "\n".join(lines if width is None else [_broken(line, width) for line in lines])

    def _by_urgency(self) -> list[RuleResult]:
        return sorted(self.results, key=lambda result: _URGENCY.index(result.outcome))

    def _table(self, width: int | None) -> list[str]:
        rows = [("", "rule", "measured", "required", "on")]
        rows += [
            (_SHOWN[result.outcome], result.rule, result.measured, result.required, result.target)
            for result in self._by_urgency()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        while width is not None and sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
        return [line for row in rows for line in _lines(row, widths)]


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row of a table, over as many lines as its fullest cell needs."""
    cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in itertools.zip_longest(*cells, fillvalue="")
    ]


def _broken(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return line if len(line) <= width else textwrap.fill(line, width, subsequent_indent=f"{indent}  ")


def canonical_json(tree: Any) -> bytes:
    """JSON with sorted keys, no spaces, in UTF-8: equal trees give equal bytes.

    >>> canonical_json({"b": 1, "a": "ü"}).decode()
    '{"a":"ü","b":1}'
    """
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
