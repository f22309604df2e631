"""All that a registry knows about one version."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from isthmus.artifact import ModelCard
from isthmus.configuration import flatten
from isthmus.errors import ContractError
from isthmus.gate_report import GateReport
from isthmus.signing import PublicKey
from isthmus.training.export import CARD_FILE
from isthmus.training.mlflow_store import Connection, connect
from isthmus.training.moves import Move, moves_of
from isthmus.training.registry_versions import RegisteredVersion, find_version, transferring
from isthmus.training.verdicts import accepted_report, judged_for, read_verdict, refusal_tags
from isthmus.training.version_files import CONFIG_FILE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said about a version for one alias."""

    alias: str
    report: GateReport | None
    """None where it cannot be read."""
    standing: str
    """Whether it lets the version hold the alias, for people: `passed; signed by key …`, or why it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails:
    """One version with its card, configuration and verdicts."""

    version: RegisteredVersion
    card: ModelCard
    config: Mapping[str, Any]
    """Flattened with dots; empty where no run was named when it was registered."""
    verdicts: tuple[Verdict, ...]
    """One an alias that the gate was asked for, by name."""
    refusals: tuple[Verdict, ...]
    """Of aliases that it was refused for and holds, or a rollback would let it hold, by an accepted verdict."""


def describe(
    name: str, version: int | str, *, key: PublicKey | None = None, tracking_uri: str | None = None
) -> tuple[VersionDetails, tuple[Move, ...]]:
    """One version, and the log of its model.

    Args:
        name: The registered model.
        version: A number or an alias.
        key: Whose signature counts; without it, none is checked.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.

    Raises:
        ContractError: Its model card cannot be read.
        NotRegisteredError: No such model, version or alias.
        RegistryError: The registry cannot be reached.
    """
    with connect(tracking_uri) as store:
        return details_of(store, name, version, key), moves_of(store, name)


def details_of(store: Connection, name: str, version: int | str, key: PublicKey | None) -> VersionDetails:
    """One version, by way of an open connection; arguments and errors as of `describe`."""
    found = find_version(store, name, version)
    with (
        transferring(store, f"version {found.version}"),
        tempfile.TemporaryDirectory(prefix="isthmus-show-") as scratch,
    ):
        folder = Path(scratch)
        path = store.download(name, found.version, CARD_FILE, folder)
        card = ModelCard.from_json(path.read_text(encoding="utf-8"), where=found.uri)
        verdicts = tuple(_verdict(store, found, alias, folder, key) for alias in judged_for(found.facts))
        return VersionDetails(
            version=found,
            card=card,
            config=_config(store, found, folder),
            verdicts=verdicts,
            refusals=_refusals(store, found, folder, key),
        )


def _verdict(store: Connection, version: RegisteredVersion, alias: str, folder: Path, key: PublicKey | None) -> Verdict:
    report = None
    try:
        report = read_verdict(store, version, alias, folder).report
        report = accepted_report(store, version, alias, key, folder)
    except ContractError as error:
        return Verdict(alias, report, f"NOT GOOD: {error.problem}")
    signed = "signature not checked: no public key was named" if key is None else f"signed by key {key.fingerprint}"
    outcome = "passed" if report.forced is None else f"FORCED by {report.forced.by}"
    return Verdict(alias, report, f"{outcome}; {signed}")


def _refusals(
    store: Connection, version: RegisteredVersion, folder: Path, key: PublicKey | None
) -> tuple[Verdict, ...]:
    try:
        tags = refusal_tags(version.facts, version.uri)
    except ContractError as error:
        return (Verdict("any alias", None, f"NOT GOOD: {error.problem}"),)
    return tuple(_refusal(store, version, alias, folder, key) for alias in tags)


def _refusal(store: Connection, version: RegisteredVersion, alias: str, folder: Path, key: PublicKey | None) -> Verdict:
    report = None
    try:
        signed = read_verdict(store, version, alias, folder, kept_aside=True)
        report = signed.report
        if key is not None:
            signed.check(key)
    except ContractError as error:
        return Verdict(alias, report, f"NOT GOOD: {error.problem}")
    rules = ", ".join(dict.fromkeys(result.rule for result in report.refusals))
    return Verdict(alias, report, f"{report.created_at}, by gate {report.gate}: {rules}")


def _config(store: Connection, version: RegisteredVersion, folder: Path) -> dict[str, Any]:
    try:
        text = store.download(version.name, version.version, CONFIG_FILE, folder).read_text(encoding="utf-8")
    except ContractError:  # no such file: no run was named
        return {}
    return dict(flatten(yaml.safe_load(text)))
