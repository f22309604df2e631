"""Moving aliases: a challenger becomes the champion through the gate, and back again.

    challenger   the newest registered version that is not the champion
    champion     the version that serves
    previous     the version that served before it

Two promotions at once cannot lose one: the verdict counts only against the champion it was measured against. If
another promotion was faster, the challenger is judged again, against the new champion.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.artifact import Manifest
from isthmus.errors import ConfigurationError, ContractError, GateRefusedError, NotRegisteredError
from isthmus.training.export import MANIFEST_FILE, ONNX_FILE, read_manifest
from isthmus.training.gate import Check, GateConfig, GateReport, judge
from isthmus.training.mlflow_store import Connection, connect, store_lock
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.registry import CHALLENGER, CHAMPION, PREVIOUS, RegisteredVersion, aliases_of, find_version

GATE_TAG: Final = "isthmus.gate"
"""Tag of a version: the last gate report as JSON, passed or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionOutcome:
    """What a promotion did."""

    name: str
    version: int
    """Holds the alias now."""
    alias: str
    previous: int | None
    """Held it before; None for a first promotion, or if nothing had to change."""
    report: GateReport
    """Why it passed; `report.champion` is None if there was nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOutcome:
    """What a rollback did."""

    name: str
    version: int
    """Champion again."""
    previous: int
    """Was the champion and is now `previous`."""


def promote(
    name: str,
    version: int | str = CHALLENGER,
    *,
    gate: GateConfig,
    to: str = CHAMPION,
    tracking_uri: str | None = None,
    on_frame: Callable[[int, int], None] | None = None,
) -> PromotionOutcome:
    """Judge a version and, if it passes, point `to` to it and `previous` to what it pointed to before.

    A first promotion has nothing to be compared with: floor rules alone decide, and the report says so.

    Args:
        name: The registered model.
        version: A number or an alias.
        gate: Rules and data.
        to: The alias to move, `champion` or one of your own (for example `staging`, which keeps no `previous`).
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.
        on_frame: See `gate.judge`.

    Raises:
        ConfigurationError: `to` is an alias that this module moves by itself.
        GateRefusedError: A rule failed; the message holds the table, and no alias has moved.
        NotRegisteredError: No such model, version or alias.
        RegistryError: The registry cannot be reached.
    """
    if to in {CHALLENGER, PREVIOUS}:
        raise ConfigurationError(f"{to!r} cannot be promoted to", remedy="It follows from registering and promoting.")
    with connect(tracking_uri) as store:
        candidate = find_version(store, name, version)
        while True:
            incumbent = aliases_of(store, name).get(to)
            if incumbent == candidate.version:
                return _outcome(candidate, to, None, _unchanged(candidate.version, to))
            report = _judge_versions(store, candidate, incumbent, gate, on_frame)
            store.client.set_model_version_tag(name, str(candidate.version), GATE_TAG, json.dumps(report.to_tree()))
            if not report.passed:
                raise _refusal(store, candidate, report)
            if _move(store, candidate, to, incumbent):
                return _outcome(candidate, to, incumbent, report)


def rollback(name: str, *, tracking_uri: str | None = None) -> RollbackOutcome:
    """Exchange `champion` and `previous`; done twice, nothing has changed.

    Raises:
        NotRegisteredError: No such model, or nothing served before.
        RegistryError: The registry cannot be reached.
    """
    with connect(tracking_uri) as store, store_lock(store.uri):
        aliases = aliases_of(store, name)
        if CHAMPION not in aliases or PREVIOUS not in aliases:
            raise NotRegisteredError(
                f"{name!r} has no previous champion to go back to",
                where=store.uri,
                remedy="There is one after the second promotion.",
            )
        champion, previous = aliases[CHAMPION], aliases[PREVIOUS]
        store.client.set_registered_model_alias(name, CHAMPION, str(previous))
        store.client.set_registered_model_alias(name, PREVIOUS, str(champion))
    return RollbackOutcome(name=name, version=previous, previous=champion)


def _move(store: Connection, candidate: RegisteredVersion, to: str, judged_against: int | None) -> bool:
    """Move the aliases, unless `to` no longer points where it did when the candidate was judged."""
    with store_lock(store.uri):
        aliases = aliases_of(store, candidate.name)
        if aliases.get(to) != judged_against:
            return False
        if to == CHAMPION and judged_against is not None:
            # First: a crash between the two leaves the old champion serving.
            store.client.set_registered_model_alias(candidate.name, PREVIOUS, str(judged_against))
        store.client.set_registered_model_alias(candidate.name, to, str(candidate.version))
        if to == CHAMPION and aliases.get(CHALLENGER) == candidate.version:
            store.client.delete_registered_model_alias(candidate.name, CHALLENGER)
    return True


def _judge_versions(
    store: Connection,
    candidate: RegisteredVersion,
    incumbent: int | None,
    gate: GateConfig,
    on_frame: Callable[[int, int], None] | None,
) -> GateReport:
    with tempfile.TemporaryDirectory(prefix="isthmus-gate-") as scratch:
        try:
            challenger = _fetch(store, candidate.name, candidate.version, Path(scratch))
        except ContractError as error:
            return _broken(candidate.version, incumbent, gate, error)
        champion, note = None, ""
        if incumbent is not None:
            try:
                champion = _fetch(store, candidate.name, incumbent, Path(scratch))
            except ContractError as error:  # it must not stand in the way of its successor for ever
                note = f"version {incumbent}, which cannot be opened ({error.problem}): the floors alone decide"
        versions = candidate.version, None if champion is None else incumbent
        return judge(challenger, champion, gate, versions=versions, note=note, on_frame=on_frame)


def _fetch(store: Connection, name: str, version: int, scratch: Path) -> OnnxModel:
    """Download a version and open it.

    Raises:
        ContractError: It is not what its manifest says, or breaks the contract.
    """
    folder = scratch / str(version)
    manifest = read_manifest(store.download(name, version, MANIFEST_FILE, folder))
    model = OnnxModel(store.download(name, version, ONNX_FILE, folder))
    if Manifest.of(model.path, model.card) != manifest:
        raise ContractError(
            "model.onnx is not the file that manifest.json describes",
            where=f"models:/{name}/{version}",
            remedy="Register the export again.",
        )
    return model


def _broken(challenger: int, champion: int | None, gate: GateConfig, error: ContractError) -> GateReport:
    return GateReport(
        challenger=challenger,
        champion=champion,
        dataset=gate.dataset.title,
        dataset_digest="",
        num_frames=0,
        checks=(Check("contract", passed=False, measured=error.problem, required="a whole, servable model"),),
    )


def _unchanged(version: int, to: str) -> GateReport:
    return GateReport(
        challenger=version,
        champion=version,
        dataset="nothing",
        dataset_digest="",
        num_frames=0,
        checks=(Check("place", passed=True, measured=f"version {version} is already {to}", required="nothing"),),
    )


def _refusal(store: Connection, candidate: RegisteredVersion, report: GateReport) -> GateRefusedError:
    return GateRefusedError(
        f"{candidate.name!r} did not pass the gate: {report.to_text()}\n",
        where=store.uri,
        remedy="No alias has moved.",
    )


def _outcome(candidate: RegisteredVersion, to: str, previous: int | None, report: GateReport) -> PromotionOutcome:
    return PromotionOutcome(name=candidate.name, version=candidate.version, alias=to, previous=previous, report=report)
