"""Judging: models and a gate in, a verdict and the evidence behind it out."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from isthmus import __version__
from isthmus.artifact import CardDataset, ModelCard, sha256_of
from isthmus.gate_report import GateReport, JudgedTarget, Outcome, RuleResult
from isthmus.training.gate.config import FramesConfig, GateConfig, TargetConfig, UnlabelledConfig, gate_sha256
from isthmus.training.gate.evidence import Evidence, Judgement
from isthmus.training.gate.measuring import OpenFrames
from isthmus.training.gate.rules import evaluation_rule, label_space_rule, model_rules, unseen_rule
from isthmus.training.gate.survey import Survey, golden_agreement, survey
from isthmus.training.gate.target_rules import TargetRule, target_rules, unlabelled_rules
from isthmus.training.onnx_model import OnnxModel


def judge(
    challenger: OnnxModel,
    champion: OnnxModel | None,
    gate: GateConfig,
    *,
    name: str,
    versions: tuple[int, int | None],
    alias: str = "",
    note: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Judgement:
    """Ask every rule about a challenger.

    Without a champion the rules that compare with one do not exist and the floors alone decide. A model with another
    label space is asked nothing about frames. Frames that cannot be read make every rule about them missing.

    Args:
        challenger: The model that wants to serve.
        champion: The model that serves, if any.
        gate: Rules and data.
        name: The registered model, for the report.
        versions: Registry versions of both, for the report.
        alias: What the verdict is to count for, and what the rules call the champion; that word where it is empty.
        note: Stands in the report.
        on_progress: Called after each frame with the number done and the number in all, for a progress bar.
    """
    models = [challenger] if champion is None else [challenger, champion]
    holder = alias or "champion"
    same_classes = label_space_rule(challenger.card, None if champion is None else champion.card, against=holder)
    comparable = same_classes.outcome is Outcome.PASSED
    found = survey(models, gate, on_progress) if comparable else Survey()
    ours = _evidence(challenger, versions[0], found, 0)
    theirs = None if champion is None else _evidence(champion, versions[1] or 0, found, 1)
    results = [same_classes, evaluation_rule(challenger.card)]
    against = None if champion is None else holder
    results += _on_model(gate, ours, theirs, against=against if comparable else None)
    if comparable:
        results += _on_frames(gate, challenger.card, found, ours, theirs, against=against)
    report = GateReport(
        name=name,
        challenger=versions[0],
        alias=alias,
        champion=versions[1],
        challenger_sha256=ours.sha256,
        champion_sha256=None if theirs is None else theirs.sha256,
        label_space=ours.label_space,
        gate=gate.title,
        gate_sha256=gate_sha256(gate),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        isthmus_version=__version__,
        targets=tuple(_judged(config, found) for config in gate.all_targets) if comparable else (),
        results=tuple(results),
        note=note,
    )
    return Judgement(report=report, challenger=ours, champion=theirs)


def _evidence(model: OnnxModel, version: int, found: Survey, number: int) -> Evidence:
    return Evidence(
        name=model.card.name,
        version=version,
        sha256=sha256_of(model.path),
        method=model.card.method,
        step=model.card.step,
        label_space=model.card.label_space.id_hash,
        size_bytes=model.path.stat().st_size,
        golden_agreement=golden_agreement(model),
        latency=None if found.latency is None else found.latency[number],
        targets=found.evidence(number),
    )


def _judged(config: TargetConfig | UnlabelledConfig, found: Survey) -> JudgedTarget:
    frames = found.opened.get(config.title) if config.title in found.targets else None
    return JudgedTarget(
        title=config.title,
        digest="" if frames is None else frames.digest,
        num_frames=0 if frames is None else len(frames.indices),
        labelled=isinstance(config, TargetConfig),
    )


def _on_model(
    gate: GateConfig, ours: Evidence, theirs: Evidence | None, *, against: str | None
) -> Iterator[RuleResult]:
    for rule in model_rules(gate, against=against):
        yield rule.ask("", ours, theirs)


def _on_frames(
    gate: GateConfig,
    card: ModelCard,
    found: Survey,
    ours: Evidence,
    theirs: Evidence | None,
    *,
    against: str | None,
) -> Iterator[RuleResult]:
    if gate.source is not None:
        opened = None if found.source_unreadable else found.source
        yield _unseen(card, gate.source, opened, found.source_unreadable)
    for config in gate.all_targets:
        title = config.title
        yield _unseen(card, config, found.opened.get(title), found.unreadable.get(title, ""))
        rules = (
            target_rules(config, against=against)
            if isinstance(config, TargetConfig)
            else unlabelled_rules(config, against=against)
        )
        yield from _asked(rules, title, found, ours, theirs)


def _unseen(card: ModelCard, config: FramesConfig, opened: OpenFrames | None, unreadable: str) -> RuleResult:
    if opened is None:
        return unseen_rule(card, config.title, None, unreadable)
    dataset = opened.dataset
    frames = CardDataset(
        role="evaluation",
        dataset=dataset.dataset_name,
        split=config.data.split_and_part,
        num_frames=len(dataset),
        digest=opened.digest,
    )
    return unseen_rule(card, config.title, frames)


def _asked(
    rules: list[TargetRule], title: str, found: Survey, ours: Evidence, theirs: Evidence | None
) -> Iterator[RuleResult]:
    seen = ours.on(title)
    for rule in rules:
        if seen is None:
            yield rule.missing(title, found.unreadable[title])
        else:
            yield rule.ask(title, seen, None if theirs is None else theirs.on(title))
