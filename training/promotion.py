"""Moving aliases: a challenger becomes the champion through the gate, and back again.

    challenger   the newest registered version that is not the champion
    champion     the version that serves
    previous     the version that served before it

Two promotions at once cannot lose one: the verdict counts only against the version it was measured against. If
another promotion was faster, on this machine or on another, the challenger is judged again, against the new champion.
Each move is written down before it is made (`moves`), so that one that was broken off can be ended.

A version that holds an alias without a verdict that counts for it, because somebody set the alias by hand, is judged
like any other, against the version that the log names before it.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.errors import ConfigurationError, GateRefusedError, NotRegisteredError, RegistryError
from isthmus.gate_report import Forced, GateReport
from isthmus.signing import PublicKey, SigningKey, signing_key
from isthmus.training.gate.config import GateConfig
from isthmus.training.gate.presence import NOTHING_WRITTEN, check_data_is_here
from isthmus.training.mlflow_store import Connection, connect, first_line, store_lock
from isthmus.training.moves import Move, claim, end, ending, moves_of, new_move, record, who
from isthmus.training.registry_versions import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    RegisteredVersion,
    aliases_of,
    check_alias,
    find_version,
    transferring,
)
from isthmus.training.standing import doubt_about, warning_about
from isthmus.training.verdicts import log_verdict, set_tag
from isthmus.training.version_judging import JudgedVersion, OnProgress, judge_version, write_files

REASON_LENGTH: Final = (10, 1000)
"""Shortest and longest reason to overrule a gate, in characters: long enough to say something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionOutcome:
    """What a promotion did."""

    name: str
    version: int
    """Holds the alias now."""
    alias: str
    previous: int | None
    """Held it before; None for a first promotion, or if it held the alias already."""
    report: GateReport | None
    """Why it passed, or who forced it; None if it held the alias by a verdict that counts and nothing was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOutcome:
    """What a rollback did."""

    name: str
    version: int
    """Champion again."""
    previous: int
    """Was the champion and is now `previous`."""
    warning: str = ""
    """Why the gate does not speak for the champion; empty where it does."""


def promote(
    name: str,
    version: int | str = CHALLENGER,
    *,
    gate: GateConfig,
    to: str = CHAMPION,
    force: str | None = None,
    key: Path | None = None,
    tracking_uri: str | None = None,
    on_progress: OnProgress | None = None,
    as_written: Mapping[str, str] = NOTHING_WRITTEN,
    width: int | None = None,
) -> PromotionOutcome:
    """Judge a version and, if it passes, point `to` to it and `previous` to what it pointed to before.

    A first promotion has nothing to be compared with: floor rules alone decide, and the report says so. The verdict is
    signed and stored with the version whatever it is.

    Args:
        name: The registered model.
        version: A number or an alias.
        gate: Rules and data.
        to: The alias to move, `champion` or one of your own (for example `staging`, which keeps no `previous`).
        force: Promote it even if it does not pass, for this reason, which is written into report, tag and log.
        key: See `signing.signing_key`.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.
        on_progress: See `gate.judge`.
        as_written: See `gate.presence.check_data_is_here`.
        width: Of the table in the message of a refusal, see `GateReport.to_text`.

    Raises:
        ConfigurationError: `to` is no alias or one that this module moves by itself, the reason says nothing, or there
            is no key to sign with.
        DataMissingError: A data set of the gate is not on this machine; then nothing was judged or written.
        GateRefusedError: A rule did not pass; the message holds the table, and no alias has moved.
        NotRegisteredError: No such model, version or alias.
        RegistryError: The registry cannot be reached.
    """
    check_alias(to)
    if to in {CHALLENGER, PREVIOUS}:
        raise ConfigurationError(f"{to!r} cannot be promoted to", remedy="It follows from registering and promoting.")
    reason = None if force is None else _checked_reason(force)
    signer = signing_key(key)
    with connect(tracking_uri) as store:
        candidate = find_version(store, name, version)
        while True:
            incumbent = aliases_of(store, name).get(to)
            held = incumbent == candidate.version
            if held and not doubt_about(store, candidate, to, signer.public):
                return _outcome(candidate, to, None, None)
            check_data_is_here(gate, as_written)
            try:
                report = _judged_and_logged(
                    store,
                    candidate,
                    _before(store, candidate, to) if held else incumbent,
                    to=to,
                    gate=gate,
                    signer=signer,
                    reason=reason,
                    on_progress=on_progress,
                )
            except Exception:
                if aliases_of(store, name).get(to) == incumbent:
                    raise
                continue  # the one to compare with was deleted or replaced meanwhile
            if not report.accepted:
                raise _refusal(store, report, width)
            if held:
                record(store, name, _meant(report, report.champion))
                return _outcome(candidate, to, None, report)
            if _move(store, report, incumbent, signer.public):
                return _outcome(candidate, to, incumbent, report)


def rollback(name: str, *, key: PublicKey | None = None, tracking_uri: str | None = None) -> RollbackOutcome:
    """Exchange `champion` and `previous`; done twice, nothing has changed.

    The gate is not asked. Where the new champion has no verdict that counts, or a forced one, the outcome says so.

    Args:
        name: The registered model.
        key: Whose verdicts count; without it, no signature is checked.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.

    Raises:
        NotRegisteredError: No such model, or nothing served before.
        RegistryError: The registry cannot be reached, or somebody else moved the champion.
    """
    with connect(tracking_uri) as store:
        with store_lock(store.uri):
            champion, previous = _exchanged(store, name)
        try:
            warning = warning_about(store, find_version(store, name, champion), key)
        except Exception as error:  # whatever else is broken: the aliases have moved
            warning = f"its verdict cannot be read ({first_line(error, store.uri)})"
    return RollbackOutcome(name=name, version=champion, previous=previous, warning=warning)


def _exchanged(store: Connection, name: str) -> tuple[int, int]:
    """Exchange both aliases, or end an exchange that was broken off; gives what they point to then."""
    aliases = aliases_of(store, name)
    champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
    if champion is not None and champion == previous:  # a move was broken off between its two aliases
        made = next((move for move in moves_of(store, name) if _made(move, CHAMPION, champion)), None)
        previous = None if made is None else made.before
        if made is not None and made.action == "rollback" and made.state != "done" and previous is not None:
            store.client.set_registered_model_alias(name, PREVIOUS, str(previous))
            end(store, name, made)
            return champion, previous
    if champion is None or previous is None:
        raise NotRegisteredError(
            f"{name!r} has no previous champion to go back to",
            where=store.place,
            remedy="There is one after the second promotion, unless its version was deleted.",
        )
    move = claim(store, name, new_move("rollback", CHAMPION, previous, champion))
    if move is None:
        raise RegistryError(
            f"somebody else moved the champion of {name!r}", where=store.place, remedy="Look, and run it again."
        )
    with ending(store, name, move):
        store.client.set_registered_model_alias(name, CHAMPION, str(previous))
        store.client.set_registered_model_alias(name, PREVIOUS, str(champion))
    return previous, champion


def _made(move: Move, alias: str, version: int) -> bool:
    return (move.alias, move.version) == (alias, version) and move.action != "refuse"


def _before(store: Connection, holder: RegisteredVersion, alias: str) -> int | None:
    """The version that the log names before the one that holds an alias, however that came by it."""
    last = next((move for move in moves_of(store, holder.name) if move.alias == alias and move.state == "done"), None)
    if last is None:
        return None
    version = last.before if last.version == holder.version else last.version
    there = {int(item.version) for item in store.client.search_model_versions(f"name='{holder.name}'")}
    return version if version in there else None


def _judged_and_logged(
    store: Connection,
    candidate: RegisteredVersion,
    incumbent: int | None,
    *,
    to: str,
    gate: GateConfig,
    signer: SigningKey,
    reason: str | None,
    on_progress: OnProgress | None,
) -> GateReport:
    """Ask the gate, and store what it says with the version before anybody acts on it."""
    with (
        transferring(store, "a model or its verdict"),
        tempfile.TemporaryDirectory(prefix="isthmus-gate-") as scratch,
    ):
        models, files = Path(scratch) / "models", Path(scratch) / "files"
        files.mkdir()
        judged = judge_version(store, candidate, incumbent, gate, models, alias=to, on_progress=on_progress)
        if reason is not None and _may_be_forced(judged):
            judged = judged.forced(Forced(by=who(), reason=reason))
        write_files(store, judged, gate, signer, files)
        log_verdict(store, judged.report, files, signer.public)
    return judged.report


def _may_be_forced(judged: JudgedVersion) -> bool:
    """A person may overrule rules, but a model that cannot be opened cannot serve whatever they say."""
    return not judged.report.passed and judged.judgement is not None


def _move(store: Connection, report: GateReport, incumbent: int | None, key: PublicKey) -> bool:
    """Move the aliases, unless the one that is meant no longer points where it did when the version was judged."""
    client, name, to, version = store.client, report.name, report.alias, report.challenger
    with store_lock(store.uri):
        client.get_model_version(name, str(version))  # deleted meanwhile? Then before anything has changed
        claimed = claim(store, name, _meant(report, incumbent))
        if claimed is None:
            return False
        aliases = aliases_of(store, name)
        with ending(store, name, claimed):
            set_tag(store, report, key)  # again: another who judged it meanwhile may have set theirs
            if to == CHAMPION and incumbent is not None:
                # First: a crash between the two leaves the old champion serving.
                client.set_registered_model_alias(name, PREVIOUS, str(incumbent))
            client.set_registered_model_alias(name, to, str(version))
            if to == CHAMPION and aliases.get(CHALLENGER) == version:
                client.delete_registered_model_alias(name, CHALLENGER)
    return True


def _meant(report: GateReport, before: int | None) -> Move:
    """The move that an accepted verdict allows."""
    reason = "" if report.forced is None else report.forced.reason
    return new_move("force" if reason else "promote", report.alias, report.challenger, before, reason=reason)


def _checked_reason(text: str) -> str:
    shortest, longest = REASON_LENGTH
    reason = " ".join(text.split())
    if not shortest <= len(reason) <= longest:
        raise ConfigurationError(
            f"the reason to overrule the gate has {len(reason)} characters, it needs {shortest} to {longest}",
            where="force",
            remedy="Say why in a sentence: it is what others will read when the model misbehaves.",
        )
    return reason


def _refusal(store: Connection, report: GateReport, width: int | None) -> GateRefusedError:
    said = report.to_text(width)
    start = " " if width is None else "\n"
    return GateRefusedError(
        f"{report.name!r} did not pass the gate:{start}{said}\nNo alias has moved.", where=store.place
    )


def _outcome(
    candidate: RegisteredVersion, to: str, previous: int | None, report: GateReport | None
) -> PromotionOutcome:
    return PromotionOutcome(name=candidate.name, version=candidate.version, alias=to, previous=previous, report=report)
