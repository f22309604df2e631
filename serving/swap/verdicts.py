"""Whose word lets a version serve: the gate's signed verdicts, and whom this server trusts to give them.

With public keys, a version must have been accepted for the alias by one of their owners, by a report about exactly the
file that is to serve. Without any, nothing is checked, and the server says so when it starts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from isthmus.errors import ContractError, ModelRefusedError
from isthmus.gate_report import GateReport
from isthmus.serving.swap.config import SwapConfig
from isthmus.signing import PublicKey, public_key
from isthmus.verdict import SignedReport, VerdictTag

logger = logging.getLogger(__name__)


class Standing(StrEnum):
    """What speaks for a model that serves."""

    PASSED = "passed"
    """The gate."""
    FORCED = "forced"
    """A person who overruled it, and signed that."""
    NO_VERDICT = "no_verdict"
    """Nobody; the server was told not to insist."""
    UNCHECKED = "unchecked"
    """Nobody was asked: the server trusts no key."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verdict as it was found, so that it can be checked again without the registry.

    Args:
        tag: The version's tag that names it.
        content: The report's bytes.
        signature: Base64.
    """

    tag: str
    content: str
    signature: str


class VerdictPolicy:
    """Decides whether a version may serve.

    Args:
        config: Whom to trust, and whether to insist.

    Raises:
        ConfigurationError: A key cannot be read.
    """

    def __init__(self, config: SwapConfig) -> None:
        keys: Sequence[PublicKey] = [public_key(path.expanduser()) for path in config.public_keys]
        self._keys = {key.fingerprint: key for key in keys}
        self._required = config.verdict_required

    @property
    def asks(self) -> bool:
        """Whether verdicts are looked at."""
        return bool(self._keys)

    def announce(self) -> None:
        """Log what is checked, loudly where it is nothing."""
        if not self._keys:
            logger.warning(
                "VERDICTS ARE NOT CHECKED: whoever can move the alias decides what this server runs. "
                "Name the gate's public key with --trust, for example ~/.config/isthmus/gate.key.pub."
            )
            return
        logger.info("verdicts count that were signed with %s", " or ".join(self._keys))
        if not self._required:
            logger.warning("VERSIONS WITHOUT A VERDICT SERVE TOO, because of --no-require-verdict")

    def check(self, found: Evidence | None, *, name: str, version: str, alias: str, sha256: str) -> Standing:
        """Whether a version may hold an alias.

        Args:
            found: Its verdict for that alias; None where there is none.
            name: The registered model.
            version: The number.
            alias: The one.
            sha256: Of the file that is to serve, hex.

        Raises:
            ContractError: There is a verdict, but it is damaged, of another key, about something else, or a refusal.
            ModelRefusedError: There is none and this server insists on one.
        """
        where = f"models:/{name}/{version}"
        if not self._keys:
            return Standing.UNCHECKED
        if found is None:
            return self._without(where, alias)
        report = self._signed(found, where).accepting(name=name, version=int(version), alias=alias, sha256=sha256)
        if report.forced is not None:
            _warn_of_force(report, where)
            return Standing.FORCED
        return Standing.PASSED

    def _without(self, where: str, alias: str) -> Standing:
        if self._required:
            raise ModelRefusedError(
                f"no gate has judged this version for {alias}",
                where=where,
                remedy=f"Run `isthmus promote` with --version and --to {alias}; an alias set by hand needs it too.",
            )
        logger.warning("%s has no verdict for %s and serves all the same", where, alias)
        return Standing.NO_VERDICT

    def _signed(self, found: Evidence, where: str) -> SignedReport:
        tag = VerdictTag.parse(found.tag, where=where)
        signed = SignedReport(found.content.encode(), found.signature, f"{where}/{tag.files[0]}")
        signed.check_named_by(tag)
        key = self._keys.get(tag.key)
        if key is None:
            raise ContractError(
                f"key {tag.key} signed its verdict, and this server trusts {', '.join(self._keys)}",
                where=where,
                remedy="Name the public half of that key with --trust, or judge the version again with a trusted one.",
            )
        signed.check(key)
        return signed


def _warn_of_force(report: GateReport, where: str) -> None:
    assert report.forced is not None
    failed = ", ".join(result.rule for result in report.refusals)
    logger.warning(
        "%s WAS FORCED past the gate by %s: %s (did not pass: %s)",
        where,
        report.forced.by,
        report.forced.reason,
        failed or "nothing",
    )


def evidence_from(tag: str, report: Path, signature: Path) -> Evidence:
    """What was downloaded.

    Raises:
        ContractError: The report is no text.
    """
    try:
        return Evidence(tag, report.read_bytes().decode(), signature.read_bytes().decode("ascii"))
    except UnicodeDecodeError as error:
        raise ContractError("the verdict is no text", where=report.name, remedy="Judge the version again.") from error
