"""The gate's verdicts where everyone can read them: files beside a version that never change, and tags that name them.

In the folder of the version's logged model, where MLflow's page shows them:

    gate/ID/gate_report.json   `gate.GateReport`, canonical JSON; ID are the first 16 hex digits of its SHA-256
    gate/ID/gate_report.sig    its Ed25519 signature, 64 bytes in base64 (`signing`)
    gate/ID/evidence.json      what was measured; the report holds its SHA-256
    gate/ID/gate.yaml          the rules that were asked; the report holds its SHA-256
    gate/ID/report.html        the same for people
    report.html, MODEL_CARD.md copies for people of the last time the gate was asked, not signed

The tag `isthmus.gate.ALIAS`, written after the files and in one call, is the `VerdictTag` that counts for that alias. A
refusal does not take it from a version that holds the alias, or is `previous` of it, by an accepted verdict: it then
stands in `isthmus.gate.ALIAS.refused`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from isthmus.configuration import to_tree
from isthmus.errors import ContractError, NotRegisteredError
from isthmus.gate_report import GateReport, canonical_json
from isthmus.signing import PublicKey, SigningKey
from isthmus.training.gate.config import GateConfig, gate_yaml
from isthmus.training.gate.evidence import Judgement
from isthmus.training.mlflow_store import Connection
from isthmus.training.moves import unmoved
from isthmus.training.registry_versions import CHAMPION, PREVIOUS, RegisteredVersion, aliases_of, transferring
from isthmus.verdict import REPORT_FILE, SIGNATURE_FILE, TAG, SignedReport, VerdictTag, folder_of, gate_fact

EVIDENCE_FILE: Final = "evidence.json"
RULES_FILE: Final = "gate.yaml"
_GATE_FACT: Final = "gate."
_REFUSED: Final = ".refused"


def verdict_folder(report: GateReport) -> str:
    """Where a report's files lie among a version's: named by its content, so that no other verdict is written there."""
    return folder_of(hashlib.sha256(report.to_bytes()).hexdigest())


def evidence_bytes(judgement: Judgement) -> bytes:
    """What `evidence.json` holds."""
    return canonical_json(judgement.evidence_tree())


def write_verdict(
    folder: Path, report: GateReport, judgement: Judgement | None, gate: GateConfig, key: SigningKey
) -> Path:
    """Write report, signature, rules and evidence as they are logged.

    Args:
        folder: Of the version's files; the verdict's own is made in it.
        report: The verdict.
        judgement: What it rests on; None where a model could not be opened.
        gate: Its rules.
        key: Signs.

    Returns:
        The verdict's own folder.
    """
    own = folder / verdict_folder(report)
    own.mkdir(parents=True)
    content = report.to_bytes()
    (own / REPORT_FILE).write_bytes(content)
    (own / SIGNATURE_FILE).write_text(key.sign(content) + "\n", encoding="ascii")
    (own / RULES_FILE).write_text(gate_yaml(gate), encoding="utf-8")
    if judgement is not None:
        (own / EVIDENCE_FILE).write_bytes(evidence_bytes(judgement))
    return own


def log_verdict(store: Connection, report: GateReport, folder: Path, key: PublicKey) -> None:
    """Store what lies in `folder` beside the version, then let the tag of the report's alias name it.

    Raises:
        NotRegisteredError: The version holds no place for files: something else than isthmus made it.
        RegistryError: The files did not get through; the tag is as it was.
    """
    name, version = report.name, report.challenger
    with transferring(store, "the verdict"):
        store.client.log_model_artifacts(_place(store, name, version), str(folder))
    if report.accepted:
        set_tag(store, report, key)
        return
    # Nobody may move the alias to this version between the look at who holds it and the tag that refuses it.
    with unmoved(store, name, report.alias, version):
        set_tag(store, report, key, kept_aside=_must_stay(store, report))


def set_tag(store: Connection, report: GateReport, key: PublicKey, *, kept_aside: bool = False) -> None:
    """Let the tag of a report's alias name it, or the tag beside that."""
    digest = hashlib.sha256(report.to_bytes()).hexdigest()
    tag = VerdictTag(
        folder=folder_of(digest),
        report_sha256=digest,
        outcome="passed" if report.passed else "refused" if report.forced is None else "forced",
        champion=report.champion,
        gate=report.gate,
        created_at=report.created_at,
        key=key.fingerprint,
        forced=report.forced,
    )
    fact = gate_fact(report.alias) + (_REFUSED if kept_aside else "")
    store.client.set_model_version_tag(
        report.name, str(report.challenger), TAG + fact, json.dumps(to_tree(tag), ensure_ascii=False)
    )


def judged_for(facts: Mapping[str, str]) -> list[str]:
    """Aliases that a version was judged for, by name; `facts` are a `RegisteredVersion`'s."""
    names = (fact for fact in facts if fact.startswith(_GATE_FACT) and not fact.endswith(_REFUSED))
    return sorted(fact.removeprefix(_GATE_FACT) for fact in names)


def verdict_tags(facts: Mapping[str, str], where: str) -> dict[str, VerdictTag]:
    """The tags that count, by alias.

    Args:
        facts: Of a `RegisteredVersion`.
        where: The version, for errors.

    Raises:
        ContractError: One is not as isthmus writes it.
    """
    return {alias: VerdictTag.parse(facts[gate_fact(alias)], where=where) for alias in judged_for(facts)}


def refusal_tags(facts: Mapping[str, str], where: str) -> dict[str, VerdictTag]:
    """Refusals that did not take an accepted verdict's place, by alias; arguments and errors as of `verdict_tags`."""
    aliases = sorted(
        fact.removeprefix(_GATE_FACT).removesuffix(_REFUSED)
        for fact in facts
        if fact.startswith(_GATE_FACT) and fact.endswith(_REFUSED)
    )
    return {alias: VerdictTag.parse(facts[gate_fact(alias) + _REFUSED], where=where) for alias in aliases}


def read_verdict(
    store: Connection, version: RegisteredVersion, alias: str, into: Path, *, kept_aside: bool = False
) -> SignedReport:
    """Fetch the report on a version that counts for an alias, and its signature.

    Args:
        store: Where the version is.
        version: As the registry describes it now.
        alias: That the version was judged for.
        into: A folder for the files.
        kept_aside: The refusal instead that did not take its place, see `refusal_tags`.

    Raises:
        ContractError: Tag and files do not belong together, or a file is missing.
        NotRegisteredError: The gate was never asked about it for this alias.
    """
    fact = gate_fact(alias) + (_REFUSED if kept_aside else "")
    if fact not in version.facts:
        problem = f"no gate has judged this version for {alias}"
        raise NotRegisteredError(problem, where=version.uri, remedy="Run `isthmus promote`.")
    tag = VerdictTag.parse(version.facts[fact], where=version.uri)
    folder = into / folder_of(tag.report_sha256)
    with transferring(store, "the verdict"):
        content, signature = (
            store.download(version.name, version.version, file, folder).read_bytes() for file in tag.files
        )
    signed = SignedReport(content, signature.decode("ascii", errors="replace"), f"{version.uri}/{tag.files[0]}")
    signed.check_named_by(tag)
    return signed


def accepted_report(
    store: Connection, version: RegisteredVersion, alias: str, key: PublicKey | None, into: Path
) -> GateReport:
    """The verdict that lets a version hold an alias: signed, about this file, for this alias, accepted.

    Args:
        store: Where the version is.
        version: As the registry describes it now.
        alias: That it holds, or is to hold.
        key: Whose signature counts; None checks all but the signature.
        into: A folder for the files.

    Raises:
        ContractError: There is a verdict, but it does not let it.
        NotRegisteredError: The gate was never asked about it for this alias.
    """
    signed = read_verdict(store, version, alias, into)
    if key is not None:
        _check_signer(version, alias, key)
        signed.check(key)
    return signed.accepting(name=version.name, version=version.version, alias=alias, sha256=version.sha256)


def _check_signer(version: RegisteredVersion, alias: str, key: PublicKey) -> None:
    """Tell another person's key from a changed report: the tag names who signed, the signature proves it."""
    signer = VerdictTag.parse(version.facts[gate_fact(alias)], where=version.uri).key
    if signer != key.fingerprint:
        raise ContractError(
            f"key {signer} signed it, and the one to check with is {key.fingerprint}",
            where=version.uri,
            remedy="Name the public half of that key if you trust it, or judge the version again with yours.",
        )


def _must_stay(store: Connection, report: GateReport) -> bool:
    """Whether an accepted verdict lies with a version that serves by it, or that a rollback would let serve again."""
    aliases = aliases_of(store, report.name)
    holders = {aliases.get(report.alias), aliases.get(PREVIOUS) if report.alias == CHAMPION else None}
    tags = store.client.get_model_version(report.name, str(report.challenger)).tags
    text = tags.get(TAG + gate_fact(report.alias))
    if report.challenger not in holders or text is None:
        return False
    try:
        return VerdictTag.parse(text, where=report.name).outcome != "refused"
    except ContractError:
        return False


def _place(store: Connection, name: str, version: int) -> str:
    """Id of the logged model that holds a version's files."""
    model_id = str(store.client.get_model_version(name, str(version)).source).removeprefix("models:/")
    if not model_id.startswith("m-"):
        raise NotRegisteredError(
            "this version has no logged model to keep a verdict with",
            where=f"models:/{name}/{version}",
            remedy="Register it with `isthmus register`.",
        )
    return model_id
