"""Which verdicts of the gate count: the tag that names one, its signed report, and what it must be about.

Training writes them beside a version (`training/verdicts.py` tells where), serving checks them before a version goes
live; both read them here.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from isthmus.configuration import config, explain
from isthmus.errors import ContractError
from isthmus.gate_report import Forced, GateReport
from isthmus.signing import PublicKey, verify

TAG: Final = "isthmus."
"""Begins the key of each tag that is ours."""
GATE_FOLDER: Final = "gate"
REPORT_FILE: Final = "gate_report.json"
SIGNATURE_FILE: Final = "gate_report.sig"
_GATE_FACT: Final = "gate."
_ID_DIGITS: Final = 16
_REMEDY: Final = "Let `isthmus promote` judge the version again."
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@config
class VerdictTag:
    """What a version's tag says about a verdict: where it lies and, for lists and searches, what it says."""

    folder: str
    """In the version's files."""
    report_sha256: _Sha256
    """Of `gate_report.json`, hex."""
    outcome: Literal["passed", "forced", "refused"]
    champion: int | None
    """Version that it was compared with."""
    gate: str
    """Title of the gate's configuration."""
    created_at: str
    """ISO 8601, UTC."""
    key: str
    """Fingerprint of the key that signed it."""
    forced: Forced | None = None
    """Who overruled it, and why."""

    @classmethod
    def parse(cls, text: str, *, where: str) -> "VerdictTag":
        """Read a tag back.

        Raises:
            ContractError: It is not as isthmus writes it.
        """
        try:
            return TypeAdapter(cls).validate_json(text, strict=True)
        except ValidationError as error:
            raise ContractError(
                f"the tag of the verdict is damaged ({explain(error)})", where=where, remedy=_REMEDY
            ) from error

    @property
    def files(self) -> tuple[str, str]:
        """Where report and signature lie among the version's files; `folder` is a word for people."""
        folder = folder_of(self.report_sha256)
        return f"{folder}/{REPORT_FILE}", f"{folder}/{SIGNATURE_FILE}"


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report as it lies in the registry."""

    content: bytes
    """What was signed."""
    signature: str
    """Base64."""
    where: str

    @property
    def report(self) -> GateReport:
        """What it says.

        Raises:
            ContractError: It is no gate report.
        """
        return GateReport.from_bytes(self.content, where=self.where)

    def check(self, key: PublicKey) -> None:
        """Check that the key's owner signed it.

        Raises:
            ContractError: Somebody else did, or it was changed.
        """
        verify(self.content, self.signature, key, where=self.where)

    def check_named_by(self, tag: VerdictTag) -> None:
        """Check that it is the report that a tag names.

        Raises:
            ContractError: It is another one.
        """
        if hashlib.sha256(self.content).hexdigest() != tag.report_sha256:
            raise ContractError(
                "the report is not the one that the version's tag names", where=self.where, remedy=_REMEDY
            )

    def accepting(self, *, name: str, version: int, alias: str, sha256: str) -> GateReport:
        """The report, if it lets a version hold an alias.

        Args:
            name: The registered model.
            version: That holds the alias, or is to hold it.
            alias: The one.
            sha256: Of its `model.onnx`, hex.

        Raises:
            ContractError: It is no report, about something else, or the gate refused.
        """
        report = self.report
        faults = {
            f"it is about {report.name} version {report.challenger}": (report.name, report.challenger)
            != (name, version),
            f"it was given for {report.alias or 'no alias'}": report.alias != alias,
            "the gate refused this version": not report.accepted,
            "it is about another model.onnx": report.challenger_sha256 != sha256,
        }
        for problem, found in faults.items():
            if found:
                raise ContractError(problem, where=self.where, remedy=_REMEDY)
        return report


def folder_of(report_sha256: str) -> str:
    """Where a verdict's files lie among a version's: named by its report, so that no other is written there."""
    return f"{GATE_FOLDER}/{report_sha256[:_ID_DIGITS]}"


def gate_fact(alias: str) -> str:
    """What follows `TAG` in the key of the tag of the verdict for an alias.

    >>> TAG + gate_fact("champion")
    'isthmus.gate.champion'
    """
    return f"{_GATE_FACT}{alias}"
