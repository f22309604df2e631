"""Rules about the model alone: what it is, and whether its file is what training made."""

from collections.abc import Sequence
from functools import partial
from typing import Final, get_args

from isthmus.artifact import INHERITED_ROLE, CardDataset, ModelCard
from isthmus.datasets.base import Part
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.gate_report import Outcome, RuleResult
from isthmus.training.gate.config import GateConfig, LatencyConfig
from isthmus.training.gate.evidence import Evidence
from isthmus.training.gate.rule import Find, Finding, Rule, percent
from isthmus.training.version_files import evaluation_title

ModelRule = Rule[Evidence]
_MEGABYTE: Final = 1e6
_PARTS: Final[tuple[str, ...]] = get_args(Part)
_ALL: Final = "all"
"""The split that holds the frames of its reader's other splits."""


def label_space_rule(challenger: ModelCard, champion: ModelCard | None, *, against: str = "champion") -> RuleResult:
    """The challenger's classes must be ours and the champion's: scores over other classes cannot be compared."""
    spaces = {"ours": CITYSCAPES19.id_hash}
    if champion is not None:
        spaces[f"{against}'s"] = champion.label_space.id_hash
    own = challenger.label_space.id_hash
    named = tuple(one.name for one in challenger.label_space.classes) == CITYSCAPES19.names
    kept = named and all(space == own for space in spaces.values())
    return RuleResult(
        rule="label space",
        outcome=Outcome.PASSED if kept else Outcome.FAILED,
        measured=own if named or own != CITYSCAPES19.id_hash else f"{own}, but its classes have other names",
        required=", ".join(f"{owner} {space}" for owner, space in spaces.items()),
        hint=""
        if kept
        else "Its ids mean other classes, so nothing else was asked: train on the 19 Cityscapes classes.",
    )


def evaluation_rule(challenger: ModelCard) -> RuleResult:
    """The run must have judged exactly these weights; its figures are not trusted here, but their absence tells."""
    judged = [evaluation_title(item) for item in challenger.evaluations]
    return RuleResult(
        rule="evaluation",
        outcome=Outcome.PASSED if judged else Outcome.MISSING,
        measured=", ".join(judged) or "none on its card",
        required="the run evaluated these weights",
        hint=""
        if judged
        else "Export a checkpoint that its run evaluated: the best one, or the last of a finished run.",
    )


def unseen_rule(challenger: ModelCard, title: str, frames: CardDataset | None, unreadable: str = "") -> RuleResult:
    """Frames that trained the challenger prove nothing; frames that it saw without their labels may be judged on.

    A source with the same digest is the same set, which fails. One of the same reader and split (or of its split `all`)
    may share frames with it unless one is `fit` and the other `holdout`, and nobody can tell from the card: then the
    answer is missing.

    Args:
        challenger: Its card.
        title: Of the frames.
        frames: The data set that they are from; None where it cannot be read.
        unreadable: Why.
    """
    sources = [one for one in challenger.datasets if one.role in {"source", INHERITED_ROLE}]
    outcome, measured, hint = Outcome.PASSED, "no source of the challenger", ""
    if frames is None:
        outcome, measured, hint = Outcome.MISSING, "not measured", f"unseen frames could not be measured: {unreadable}"
    elif same := [one for one in sources if one.digest == frames.digest]:
        outcome, measured = Outcome.FAILED, f"trained on {_sets(same)}"
        hint = "Name a held-out part or another split in the gate's configuration."
    elif alike := [one for one in sources if _may_overlap(one, frames)]:
        outcome, measured = Outcome.MISSING, f"trained on {_sets(alike)}, which may hold some of them"
        hint = "Train on `part: fit` and judge on `part: holdout`, or judge on another split."
    return RuleResult(
        rule="unseen frames",
        target=title,
        outcome=outcome,
        measured=measured,
        required="frames that did not train the challenger",
        hint=hint,
    )


def _sets(datasets: Sequence[CardDataset]) -> str:
    return ", ".join(f"{one.dataset}/{one.split}" for one in datasets)


def _may_overlap(one: CardDataset, other: CardDataset) -> bool:
    if one.dataset != other.dataset:
        return False
    (split, part), (other_split, other_part) = _split_and_part(one.split), _split_and_part(other.split)
    if split == other_split:
        return {part, other_part} != set(_PARTS)
    return _ALL in (split, other_split)


def _split_and_part(text: str) -> tuple[str, str | None]:
    """`all:fit`, and `all-fit` of shards, as `("all", "fit")`."""
    for part in _PARTS:
        if text.endswith((f":{part}", f"-{part}")):
            return text[: -len(part) - 1], part
    return text, None


def model_rules(gate: GateConfig, *, against: str | None) -> Sequence[ModelRule]:
    """Rules with a number about the model alone; arguments as of `target_rules.target_rules`."""
    rules = [
        ModelRule(
            name="golden frame",
            limit=gate.min_golden_agreement,
            required=f"at least {percent(gate.min_golden_agreement, 3)}",
            find=_golden,
            hint="This runtime does not compute what was exported: export it again, or repair onnxruntime here.",
        )
    ]
    smaller = "Use a smaller encoder or decoder, or raise the limit with a reason."
    if gate.max_size_mb is not None:
        rules.append(
            ModelRule(
                name="size",
                limit=gate.max_size_mb,
                at_least=False,
                required=f"at most {gate.max_size_mb:.1f} MB",
                find=lambda model, _: _megabytes(model),
                hint=smaller,
            )
        )
    if against is not None and gate.max_size_ratio is not None:
        rules.append(_ratio(f"size against the {against}", gate.max_size_ratio, _size_ratio, smaller))
    if gate.latency is not None:
        hint = f"{smaller} Timings of a busy machine vary: judge again when it is idle."
        rules += _latency_rules(gate.latency, hint)
        if against is not None and gate.latency.max_ratio is not None:
            rules.append(_ratio(f"latency against the {against}", gate.latency.max_ratio, _latency_ratio, hint))
    return rules


def _golden(challenger: Evidence, _champion: Evidence | None) -> Finding | str:
    share = challenger.golden_agreement
    return "the golden frame on the card cannot be read" if share is None else Finding(share, percent(share, 3))


def _ratio(name: str, limit: float, find: Find[Evidence], hint: str) -> ModelRule:
    return ModelRule(
        name=name, limit=limit, at_least=False, required=f"at most {limit:.2f} times", find=find, hint=hint
    )


def _latency_rules(config: LatencyConfig, hint: str) -> list[ModelRule]:
    limits = {"median latency": ("median_ms", config.max_median_ms), "p95 latency": ("p95_ms", config.max_p95_ms)}
    return [
        ModelRule(
            name=name,
            limit=limit,
            at_least=False,
            required=f"at most {limit:.1f} ms",
            find=partial(_milliseconds, measure=measure),
            hint=hint,
        )
        for name, (measure, limit) in limits.items()
        if limit is not None
    ]


def _milliseconds(model: Evidence, _champion: Evidence | None, *, measure: str) -> Finding | str:
    if model.latency is None:
        return "no call was timed"
    value: float = getattr(model.latency, measure)
    return Finding(value, f"{value:.1f} ms")


def _megabytes(model: Evidence) -> Finding:
    size = model.size_bytes / _MEGABYTE
    return Finding(size, f"{size:.1f} MB")


def _size_ratio(challenger: Evidence, champion: Evidence | None) -> Finding | str:
    assert champion is not None
    ratio = challenger.size_bytes / champion.size_bytes
    return Finding(ratio, f"{ratio:.2f} times ({_megabytes(challenger).shown})")


def _latency_ratio(challenger: Evidence, champion: Evidence | None) -> Finding | str:
    assert champion is not None
    if challenger.latency is None or champion.latency is None:
        return "no call was timed"
    ours, theirs = challenger.latency.median_ms, champion.latency.median_ms
    return Finding(ours / theirs, f"{ours / theirs:.2f} times ({ours:.1f} ms against {theirs:.1f} ms)")
