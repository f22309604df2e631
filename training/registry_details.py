"""All that a registry knows about one version, and what sets two of them apart."""

import json
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
from isthmus.training.verdicts import accepted_report, judged_for, read_verdict
from isthmus.training.version_files import CONFIG_FILE, evaluation_title


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


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which two versions differ."""

    what: str
    first: str
    second: str


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
        return _details(store, name, version, key), moves_of(store, name)


def diff(name: str, first: int | str, second: int | str, *, tracking_uri: str | None = None) -> tuple[Difference, ...]:
    """In what two versions of a model differ: facts, data sets, scores, configuration; raises as `describe` does."""
    with connect(tracking_uri) as store:
        sides = [_comparable(_details(store, name, version, None)) for version in (first, second)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    rows = (Difference(key, sides[0].get(key, "–"), sides[1].get(key, "–")) for key in keys)
    return tuple(row for row in rows if row.first != row.second)


def _details(store: Connection, name: str, version: int | str, key: PublicKey | None) -> VersionDetails:
    found = find_version(store, name, version)
    with (
        transferring(store, f"version {found.version}"),
        tempfile.TemporaryDirectory(prefix="isthmus-show-") as scratch,
    ):
        folder = Path(scratch)
        path = store.download(name, found.version, CARD_FILE, folder)
        card = ModelCard.from_json(path.read_text(encoding="utf-8"), where=found.uri)
        verdicts = tuple(_verdict(store, found, alias, folder, key) for alias in judged_for(found.facts))
        return VersionDetails(version=found, card=card, config=_config(store, found, folder), verdicts=verdicts)


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


def _config(store: Connection, version: RegisteredVersion, folder: Path) -> dict[str, Any]:
    try:
        text = store.download(version.name, version.version, CONFIG_FILE, folder).read_text(encoding="utf-8")
    except ContractError:  # no such file: no run was named
        return {}
    return dict(flatten(yaml.safe_load(text)))


def _comparable(details: VersionDetails) -> dict[str, str]:
    """Everything worth comparing by name, in the order in which it is shown."""
    version, card = details.version, details.card
    rows = {"version": str(version.version), "aliases": ", ".join(version.aliases), "sha256": version.sha256[:12]}
    rows |= {key: str(getattr(card, key)) for key in ("name", "method", "decoder", "encoder", "step", "git_commit")}
    rows["network_size_hw"] = "x".join(map(str, card.network_size_hw))
    rows["label_space"] = card.label_space.id_hash
    rows["lock_hash"] = card.lock_hash[:12]
    for one in card.datasets:
        rows[f"{one.role} {one.dataset}/{one.split}"] = f"{one.num_frames} frames, {one.digest[:12]}"
    for item in card.evaluations:
        title = evaluation_title(item)
        scores = {"mIoU": item.miou, "pixel accuracy": item.pixel_accuracy, **item.iou_per_class}
        rows |= {f"{title} {score} %": _percent(value) for score, value in scores.items()}
    rows |= {f"gate for {one.alias}": _verdict_words(one) for one in details.verdicts}
    rows |= {f"config {key}": json.dumps(value) for key, value in details.config.items()}
    return rows


def _verdict_words(verdict: Verdict) -> str:
    report = verdict.report
    if report is None:
        return verdict.standing
    if report.passed:
        return "passed"
    refused = ", ".join(dict.fromkeys(result.rule for result in report.refusals))
    return f"refused ({refused})" if report.forced is None else f"forced ({refused})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
