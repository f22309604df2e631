"""A version before the gate: fetched, judged against the one that holds the alias, and all of it written down."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from isthmus import __version__
from isthmus.artifact import Manifest, sha256_of
from isthmus.errors import ContractError
from isthmus.gate_report import Forced, GateReport, Outcome, RuleResult
from isthmus.signing import SigningKey
from isthmus.training.export import MANIFEST_FILE, ONNX_FILE, read_manifest
from isthmus.training.gate.config import GateConfig, gate_sha256
from isthmus.training.gate.evidence import Evidence, Judgement
from isthmus.training.gate.judge import judge
from isthmus.training.mlflow_store import Connection
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.registry_versions import CHAMPION, RegisteredVersion, find_version, transferring
from isthmus.training.verdicts import EVIDENCE_FILE, evidence_bytes, verdict_tags, write_verdict
from isthmus.training.version_files import DOMAIN_GAP_FILE, PAGE_FILE

if TYPE_CHECKING:
    from isthmus.training.report import DomainGap

SOURCE_ONLY: Final = "source_only"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class JudgedVersion:
    """What the gate said about a version, before anything was written."""

    candidate: RegisteredVersion
    challenger: OnnxModel | None
    """None where it could not be opened."""
    champion: OnnxModel | None
    """None where there is none to compare with, or it could not be opened."""
    judgement: Judgement | None
    """None where the challenger could not be opened."""
    report: GateReport

    def forced(self, forced: Forced) -> "JudgedVersion":
        """The same, with the name of the person who promotes it against the gate."""
        report = replace(self.report, forced=forced)
        judgement = None if self.judgement is None else replace(self.judgement, report=report)
        return replace(self, judgement=judgement, report=report)


def judge_version(
    store: Connection,
    candidate: RegisteredVersion,
    incumbent: int | None,
    gate: GateConfig,
    scratch: Path,
    *,
    alias: str,
    on_progress: OnProgress | None = None,
) -> JudgedVersion:
    """Fetch a version and the one that it is compared with, and ask the gate.

    Where the latter cannot be opened, all that compares with it is missing, and so refuses: floors alone would let a
    damaged file weaken the gate.

    Args:
        store: Where both are.
        candidate: Wants to be promoted.
        incumbent: Version to compare with; None where nothing holds the alias.
        gate: Rules and data.
        scratch: An empty folder, to be kept for as long as the models are used.
        alias: The verdict is to count for it.
        on_progress: See `gate.judge`.
    """
    try:
        challenger = fetch_model(store, candidate, scratch)
    except ContractError as error:
        return JudgedVersion(candidate, None, None, None, _broken(candidate, incumbent, gate, alias, error))
    champion, note = None, ""
    missing: tuple[RuleResult, ...] = ()
    if incumbent is not None:
        try:
            champion = fetch_model(store, find_version(store, candidate.name, incumbent), scratch)
        except ContractError as error:
            missing, note = (_no_champion(incumbent, alias, error),), f"version {incumbent}, which cannot be opened"
    judgement = judge(
        challenger,
        champion,
        gate,
        name=candidate.name,
        versions=(candidate.version, incumbent),
        alias=alias,
        note=note,
        on_progress=on_progress,
    )
    report = replace(
        judgement.report,
        evidence_sha256=hashlib.sha256(evidence_bytes(judgement)).hexdigest(),
        results=(*judgement.report.results, *missing),
    )
    return JudgedVersion(candidate, challenger, champion, replace(judgement, report=report), report)


def fetch_model(store: Connection, version: RegisteredVersion, scratch: Path) -> OnnxModel:
    """Download a version's graph and open it.

    Raises:
        ContractError: It is not what its manifest, or the manifest what the registry says; or it breaks the contract.
    """
    folder = scratch / str(version.version)
    with transferring(store, f"version {version.version}"):
        manifest = read_manifest(store.download(version.name, version.version, MANIFEST_FILE, folder))
        onnx_file = store.download(version.name, version.version, ONNX_FILE, folder)
    remedy = "Register the export again."
    if manifest.sha256 != version.sha256:
        problem = "manifest.json names another model.onnx than was registered"
        raise ContractError(problem, where=version.uri, remedy=remedy)
    problem = "model.onnx is not the file that manifest.json describes"
    if sha256_of(onnx_file) != manifest.sha256:  # before anything opens it
        raise ContractError(problem, where=version.uri, remedy=remedy)
    model = OnnxModel(onnx_file)
    if Manifest.of(onnx_file, model.card) != manifest:
        raise ContractError(problem, where=version.uri, remedy=remedy)
    return model


def write_files(store: Connection, judged: JudgedVersion, gate: GateConfig, key: SigningKey, folder: Path) -> None:
    """Write everything that is kept of a verdict: see `verdicts`.

    Args:
        store: Where the version is.
        judged: What the gate said.
        gate: Its rules and data.
        key: Signs the report.
        folder: Empty; laid out as a version's files are.
    """
    own = write_verdict(folder, judged.report, judged.judgement, gate, key)
    if judged.judgement is None or judged.challenger is None:
        return
    from isthmus.training.report import draw_worst_frames, model_card_markdown, write_report
    from isthmus.training.report.model_card import MODEL_CARD_FILE

    judgement, challenger, champion = judged.judgement, judged.challenger, judged.champion
    page = write_report(
        own,
        judgement,
        card=challenger.card,
        champion_card=None if champion is None else champion.card,
        frames=draw_worst_frames(judgement, gate, challenger, champion),
        lineage=_lineage(store, judged.candidate, judged.report, key),
        source_only=_source_only_evidence(store, judged.candidate, folder.parent),
        domain_gap=_domain_gap(store, judged.candidate, folder.parent),
    )
    shutil.copyfile(page, folder / PAGE_FILE)
    (folder / MODEL_CARD_FILE).write_text(model_card_markdown(challenger.card, judgement), encoding="utf-8")


def _broken(
    candidate: RegisteredVersion, incumbent: int | None, gate: GateConfig, alias: str, error: ContractError
) -> GateReport:
    """The verdict on a version that cannot be opened: nothing else can be asked."""
    result = RuleResult(
        rule="contract",
        outcome=Outcome.FAILED,
        measured=error.problem,
        required="a whole, servable model",
        hint="Register the export again. If a file changed in the registry, find out who can write there.",
    )
    return GateReport(
        name=candidate.name,
        challenger=candidate.version,
        alias=alias,
        champion=incumbent,
        challenger_sha256="",
        champion_sha256=None,
        label_space="",
        gate=gate.title,
        gate_sha256=gate_sha256(gate),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        isthmus_version=__version__,
        targets=(),
        results=(result,),
    )


def _no_champion(incumbent: int, alias: str, error: ContractError) -> RuleResult:
    """The answer of all rules that compare with the alias's holder, where that cannot be opened."""
    back = "Go back to a whole version with `isthmus rollback`, or p" if alias == CHAMPION else "P"
    return RuleResult(
        rule=f"comparison with the {alias}",
        outcome=Outcome.MISSING,
        measured=f"version {incumbent} cannot be opened: {error.problem}",
        required="both models on the same frames",
        hint=f"{back}romote with --force and a reason.",
    )


def _lineage(store: Connection, candidate: RegisteredVersion, report: GateReport, key: SigningKey) -> Mapping[str, str]:
    facts = {
        "registered as": f"{candidate.name} version {candidate.version}",
        "judged for": report.alias,
        "registry": store.place,
        "run": candidate.run_id or "",
        "copied from": candidate.facts.get("origin", ""),
        "verdict signed by key": key.public.fingerprint,
        "forced": "" if report.forced is None else f"by {report.forced.by}: {report.forced.reason}",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _source_only_evidence(store: Connection, candidate: RegisteredVersion, scratch: Path) -> Evidence | None:
    """Evidence of the newest judged version that was trained on the sources alone, for a third bar."""
    for item in sorted(
        store.client.search_model_versions(f"name='{candidate.name}'"), key=lambda each: -int(each.version)
    ):
        if item.tags.get("isthmus.method") != SOURCE_ONLY:
            continue
        version = find_version(store, candidate.name, int(item.version))
        try:
            tags = verdict_tags(version.facts, version.uri).values()
            if not tags:
                continue
            newest = max(tags, key=lambda tag: tag.created_at)
            tree = _stored_json(store, version, f"{newest.folder}/{EVIDENCE_FILE}", scratch)
            return None if tree is None else Evidence.from_tree(tree["challenger"], where=version.uri)
        except ContractError:  # another release's, or damaged: the page goes without
            return None
    return None


def _domain_gap(store: Connection, candidate: RegisteredVersion, scratch: Path) -> "DomainGap | None":
    from isthmus.training.report import DomainGap

    tree = _stored_json(store, candidate, DOMAIN_GAP_FILE, scratch)
    try:
        return None if tree is None else DomainGap.from_tree(tree, where=candidate.uri)
    except ContractError:
        return None


def _stored_json(store: Connection, version: RegisteredVersion, file: str, scratch: Path) -> dict[str, object] | None:
    """A JSON file of a version; None where it holds none."""
    into = scratch / f"json-{version.version}"
    try:
        return dict(json.loads(store.download(version.name, version.version, file, into).read_bytes()))
    except (ContractError, ValueError):  # no such file, or no JSON: the page goes without
        return None
