"""Rules about frames: of a target with labels, and of one without."""

from collections.abc import Collection
from functools import partial
from typing import Final

import numpy as np

from isthmus.datasets.label_space import CITYSCAPES19, LABEL_SPACES, TRAIN_ID, LabelSpace
from isthmus.training.gate.bootstrap import iou_per_class, paired_bootstrap
from isthmus.training.gate.config import TargetConfig, UnlabelledConfig
from isthmus.training.gate.evidence import TargetEvidence
from isthmus.training.gate.label_free import Estimator
from isthmus.training.gate.rule import Find, Finding, Rule, percent, points

TargetRule = Rule[TargetEvidence]

DRIVABLE: Final = frozenset({"road"})
"""Where a vehicle may go; sidewalk and terrain are no obstacles, and no place to drive either."""
OBSTACLES: Final = frozenset(
    {"building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"}
    | {"person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"}
)
"""What a vehicle must not hit: everything but the ground and the sky."""

_NO_TRUTH: Final = "these frames have no labelled pixel"
_NO_SOURCE: Final = "there were no source frames to fit on"
_TRAIN_ON: Final = "Look at the worst frames and the confusion matrix in the report, and train on."


def target_rules(config: TargetConfig, *, against: str | None) -> list[TargetRule]:
    """Rules about labelled frames.

    Args:
        config: Their numbers.
        against: Alias of the model that the challenger is compared with; without one, no rule compares.
    """
    rules = [
        TargetRule(
            name="mIoU floor",
            limit=config.min_miou,
            required=f"at least {percent(config.min_miou)}",
            find=_miou,
            hint=_TRAIN_ON,
        )
    ]
    if against is not None:
        rules.append(_against_champion(config, against))
    rules += [_class_floor(name, limit) for name, limit in (config.min_class_iou or {}).items()]
    if against is not None:
        rules += [_class_drop(name, limit, against) for name, limit in (config.max_class_iou_drop or {}).items()]
    confusions = (
        ("obstacles taken for the road", config.max_obstacles_as_drivable, OBSTACLES, DRIVABLE),
        ("road taken for obstacles", config.max_drivable_as_obstacles, DRIVABLE, OBSTACLES),
    )
    for name, limit, true, predicted in confusions:
        if limit is not None:
            rules.append(_ceiling(name, limit, partial(_confused, true=true, predicted=predicted), _TRAIN_ON))
    if config.max_ece is not None:
        hint = "Confidence says too much or too little: see the reliability diagram."
        rules.append(_ceiling("calibration error", config.max_ece, _ece, hint))
    if config.robustness is not None:
        for kind, least in config.robustness.min_retained.items():
            hint = f"Train with {kind} among the augmentations, or lower what is asked with a reason."
            rules.append(_floor(f"robustness to {kind}", least, partial(_retained, kind=kind), hint))
    return rules


def unlabelled_rules(config: UnlabelledConfig, *, against: str | None) -> list[TargetRule]:
    """Rules about frames without labels; arguments as of `target_rules`."""
    rules: list[TargetRule] = []
    estimated = partial(_estimated, estimator=config.estimator)
    shift = "Label a few of these frames and look at them: an estimate is no measurement."
    if config.min_estimated_miou is not None:
        rules.append(_floor("estimated mIoU floor", config.min_estimated_miou, estimated, shift))
    if against is not None and config.max_estimated_miou_drop is not None:
        rules.append(_estimate_drop(config.estimator, config.max_estimated_miou_drop, shift, against))
    if against is not None and config.min_agreement_with_champion is not None:
        hint = "Look at frames where the two differ; a much better model may need --force."
        rules.append(_floor(f"agreement with the {against}", config.min_agreement_with_champion, _agreement, hint))
    if config.min_agreement_across_styles is not None:
        hint = "Predictions hang on colours: train with more colour variation or style randomisation."
        rules.append(_floor("agreement across styles", config.min_agreement_across_styles, _style_agreement, hint))
    if config.max_class_share_shift is not None:
        rules.append(_ceiling("shift of class shares", config.max_class_share_shift, _share_shift, shift))
    if config.min_class_entropy is not None:
        rules.append(
            TargetRule(
                name="entropy of class shares",
                limit=config.min_class_entropy,
                required=f"at least {config.min_class_entropy:.2f} nats",
                find=lambda challenger, _: Finding(challenger.class_entropy, f"{challenger.class_entropy:.2f} nats"),
                hint="Predictions collapse to few classes on these frames.",
            )
        )
    return rules


def own_class(space: LabelSpace, name: str) -> int | None:
    """Own id of a class by the space's name for it, or by Cityscapes' name for a part of it; None if it has none."""
    if name in space.names:
        return space.names.index(name)
    own = space.own_id_of_train_id[TRAIN_ID[name]] if name in TRAIN_ID else space.num_classes
    return own if own < space.num_classes else None


def group_of(space: LabelSpace, names: Collection[str]) -> list[int]:
    """Own ids of the classes all of whose parts are in a group of Cityscapes classes."""
    parts: dict[int, list[str]] = {}
    for train_id, own in enumerate(space.own_id_of_train_id):
        parts.setdefault(own, []).append(CITYSCAPES19.names[train_id])
    return sorted(own for own, inside in parts.items() if own < space.num_classes and set(inside) <= set(names))


def _floor(name: str, limit: float, find: Find[TargetEvidence], hint: str) -> TargetRule:
    return TargetRule(name=name, limit=limit, required=f"at least {percent(limit)}", find=find, hint=hint)


def _ceiling(name: str, limit: float, find: Find[TargetEvidence], hint: str) -> TargetRule:
    return TargetRule(
        name=name, limit=limit, at_least=False, required=f"at most {percent(limit)}", find=find, hint=hint
    )


def _miou(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
    return _NO_TRUTH if challenger.miou is None else Finding(challenger.miou, percent(challenger.miou))


def _against_champion(config: TargetConfig, against: str) -> TargetRule:
    def find(challenger: TargetEvidence, champion: TargetEvidence | None) -> Finding | str:
        ours, theirs = challenger.frame_counts(), None if champion is None else champion.frame_counts()
        if ours is None or theirs is None or challenger.miou is None:
            return _NO_TRUTH
        frames = int(ours.any((1, 2)).sum())
        if frames < config.min_frames:
            return f"it needs {config.min_frames} labelled frames (min_frames) and has {frames}: judge on more of them"
        interval = paired_bootstrap(ours, theirs, level=config.interval_level, resamples=config.resamples)
        shown = (
            f"{percent(challenger.miou)} ({points(interval.difference)} points, {config.interval_level:.0%} interval "
        )
        return Finding(interval.low, f"{shown}{points(interval.low)} to {points(interval.high)} points)")

    return TargetRule(
        name=f"mIoU against the {against}",
        limit=-config.max_miou_drop,
        required=f"interval from {points(-config.max_miou_drop)} points on",
        find=find,
        hint="It is worse, or better by less than these frames can tell: look at the classes, or judge on more frames.",
    )


def _class_floor(name: str, limit: float) -> TargetRule:
    def find(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
        iou = _class_iou(challenger, name)
        return iou if isinstance(iou, str) else Finding(iou, percent(iou))

    return _floor(f"IoU floor of {name}", limit, find, f"It misses {name}, or sees it where there is none. {_TRAIN_ON}")


def _class_drop(name: str, limit: float, against: str) -> TargetRule:
    def find(challenger: TargetEvidence, champion: TargetEvidence | None) -> Finding | str:
        assert champion is not None
        ours, theirs = _class_iou(challenger, name), _class_iou(champion, name)
        if isinstance(ours, str) or isinstance(theirs, str):
            return str(ours)
        return Finding(ours - theirs, f"{percent(ours)} ({points(ours - theirs)} points)")

    return TargetRule(
        name=f"IoU of {name} against the {against}",
        limit=-limit,
        required=f"{points(-limit)} points or better",
        find=find,
        hint=f"It is worse on {name} than the {against}, whatever it gained elsewhere.",
    )


def _class_iou(evidence: TargetEvidence, name: str) -> float | str:
    space = LABEL_SPACES[evidence.label_space]
    own = own_class(space, name)
    if own is None:
        return f"{space.name} has no class {name}"
    counts = np.array(evidence.confusion)
    if not counts[own].any():
        return f"no pixel of {name} in the truth of these frames"
    return float(iou_per_class(counts)[own])


def _confused(
    challenger: TargetEvidence,
    _champion: TargetEvidence | None,
    *,
    true: Collection[str],
    predicted: Collection[str],
) -> Finding | str:
    space = LABEL_SPACES[challenger.label_space]
    counts = np.array(challenger.confusion)
    rows, columns = group_of(space, true), group_of(space, predicted)
    total = int(counts[rows].sum())
    if not total or not columns:
        return f"{space.name} has no such classes, or these frames show none"
    share = int(counts[np.ix_(rows, columns)].sum()) / total
    return Finding(share, percent(share))


def _ece(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
    if challenger.reliability is None:
        return _NO_TRUTH
    return Finding(challenger.reliability.ece, percent(challenger.reliability.ece))


def _retained(challenger: TargetEvidence, _champion: TargetEvidence | None, *, kind: str) -> Finding | str:
    robustness = challenger.robustness
    assert robustness is not None
    if robustness.clean_miou == 0:
        return "its mIoU on the same frames as they are is 0"
    share = float(np.mean(robustness.miou[kind])) / robustness.clean_miou
    return Finding(share, f"{percent(share)} of {percent(robustness.clean_miou)} mIoU")


def _estimated(challenger: TargetEvidence, _champion: TargetEvidence | None, *, estimator: Estimator) -> Finding | str:
    estimate = challenger.estimates.get(estimator)
    if estimate is None or estimate.miou is None:
        return _NO_SOURCE
    return Finding(estimate.miou, f"{percent(estimate.miou)} by {estimator}")


def _estimate_drop(estimator: Estimator, limit: float, hint: str, against: str) -> TargetRule:
    def find(challenger: TargetEvidence, champion: TargetEvidence | None) -> Finding | str:
        assert champion is not None
        ours, theirs = (_estimated(one, None, estimator=estimator) for one in (challenger, champion))
        if isinstance(ours, str) or isinstance(theirs, str):
            return _NO_SOURCE
        difference = ours.value - theirs.value
        return Finding(difference, f"{percent(ours.value)} by {estimator} ({points(difference)} points)")

    return TargetRule(
        name=f"estimated mIoU against the {against}",
        limit=-limit,
        required=f"{points(-limit)} points or better",
        find=find,
        hint=hint,
    )


def _agreement(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
    share = challenger.agreement_with_other
    return "there was no other model to compare with" if share is None else Finding(share, percent(share))


def _style_agreement(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
    share = challenger.agreement_across_styles
    return "these frames were not looked at in other colours" if share is None else Finding(share, percent(share))


def _share_shift(challenger: TargetEvidence, _champion: TargetEvidence | None) -> Finding | str:
    """Total variation: half the sum of absolute differences of shares."""
    source = challenger.source_class_shares
    if source is None:
        return _NO_SOURCE
    shift = sum(abs(share - source[name]) for name, share in challenger.class_shares.items()) / 2
    return Finding(shift, percent(shift))
