"""Small, whole judgements for tests that need one and no model: of the report page, of signatures, of promotion.

The challenger's numbers follow from its two confusion matrices, so that pages drawn from them agree with themselves.
Tests reach this module through the fixture `gate_examples`.
"""

from dataclasses import replace

import numpy as np

from isthmus.datasets.label_space import CAMVID11, CITYSCAPES19
from isthmus.gate_report import GateReport, JudgedTarget, Outcome, RuleResult
from isthmus.training.gate.evidence import (
    Estimate,
    Evidence,
    FrameScore,
    Judgement,
    Latency,
    Reliability,
    ReliabilityBin,
    Robustness,
    TargetEvidence,
)

LABELLED, UNLABELLED = "camvid/val", "street"
NUM_FRAMES = 2


def example_judgement(*, passed: bool = True, with_champion: bool = True) -> Judgement:
    """Two targets, one of them without labels; not passed: one rule failed, one is missing."""
    challenger = example_evidence(version=3, sha256="3" * 64, right=0.8 if passed else 0.5)
    champion = example_evidence(version=2, sha256="2" * 64, right=0.7) if with_champion else None
    return Judgement(
        report=example_report(passed=passed, with_champion=with_champion), challenger=challenger, champion=champion
    )


def example_report(*, passed: bool = True, with_champion: bool = True) -> GateReport:
    """Of `example_judgement`."""
    space = CITYSCAPES19.id_hash
    good = RuleResult(rule="label space", outcome=Outcome.PASSED, measured=space, required=f"ours {space}")
    floor = RuleResult(
        rule="mIoU floor",
        target=LABELLED,
        outcome=Outcome.PASSED,
        measured="80.00 %",
        required="at least 60.00 %",
        value=0.8,
        limit=0.6,
    )
    if not passed:
        floor = replace(
            floor, outcome=Outcome.FAILED, measured="50.00 %", value=0.5, hint="Train on, or look at the worst frames."
        )
    unlabelled = RuleResult(
        rule="estimated mIoU",
        target=UNLABELLED,
        outcome=Outcome.PASSED if passed else Outcome.MISSING,
        measured="61.00 %" if passed else "not measured",
        required="at least 40.00 %",
        value=0.61 if passed else None,
        limit=0.4,
        hint="" if passed else "Name source frames to fit on.",
    )
    return GateReport(
        name="street-segmenter",
        challenger=3,
        champion=2 if with_champion else None,
        challenger_sha256="3" * 64,
        champion_sha256="2" * 64 if with_champion else None,
        label_space=space,
        gate="example",
        gate_sha256="a" * 64,
        created_at="2026-01-02T03:04:05+00:00",
        isthmus_version="0.1.0",
        targets=(
            JudgedTarget(title=LABELLED, digest="b" * 64, num_frames=NUM_FRAMES, labelled=True),
            JudgedTarget(title=UNLABELLED, digest="c" * 64, num_frames=NUM_FRAMES, labelled=False),
        ),
        results=(good, floor, unlabelled),
    )


def example_evidence(*, version: int, sha256: str, right: float) -> Evidence:
    """One model; `right` is the share of pixels that it labels right, in [0, 1]."""
    return Evidence(
        name="street-segmenter",
        version=version,
        sha256=sha256,
        method="madan",
        step=1000,
        label_space=CITYSCAPES19.id_hash,
        size_bytes=21_000_000,
        golden_agreement=1.0,
        latency=Latency(median_ms=18.0 + version, p95_ms=25.0, frame_hw=(64, 96), calls=20),
        targets=(labelled_target(right), unlabelled_target(right)),
    )


def labelled_target(right: float) -> TargetEvidence:
    """Of each class 1000 pixels a frame, `right` of them labelled right and the others as the next class."""
    classes = CAMVID11.num_classes
    hits = round(1000 * right)
    frame = np.zeros((classes, classes + 1), np.int64)
    for true in range(classes):
        frame[true, true] = hits
        frame[true, (true + 1) % classes] = 1000 - hits
    iou = hits / (2000 - hits)
    entries = tuple((int(t), int(p), int(frame[t, p])) for t, p in np.argwhere(frame))
    return TargetEvidence(
        **_common(LABELLED, right),
        labelled=True,
        frame_confusions=(entries,) * NUM_FRAMES,
        confusion=tuple(tuple(row) for row in (NUM_FRAMES * frame).tolist()),
        miou=iou,
        iou_per_class=dict.fromkeys(CAMVID11.names, iou),
        pixel_accuracy=right,
        reliability=Reliability(
            bins=(
                ReliabilityBin(confidence=0.45, accuracy=max(0.0, right - 0.3), share=0.2),
                ReliabilityBin(confidence=0.95, accuracy=right, share=0.8),
            ),
            ece=0.2 * abs(0.45 - max(0.0, right - 0.3)) + 0.8 * abs(0.95 - right),
        ),
        robustness=Robustness(
            frame_indices=(0, 4),
            clean_miou=iou,
            severities=(1, 2, 3),
            miou=dict.fromkeys(("noise", "blur", "fog", "brightness", "jpeg"), (0.9 * iou, 0.75 * iou, 0.5 * iou)),
        ),
        worst_frames=(
            FrameScore(index=4, name="val/b.png", miou=iou - 0.05, other_miou=0.5),
            FrameScore(index=0, name="val/a.png", miou=iou + 0.05, other_miou=0.6),
        ),
    )


def unlabelled_target(right: float) -> TargetEvidence:
    """Nothing that needs truth."""
    return TargetEvidence(**_common(UNLABELLED, right), labelled=False)


def _common(title: str, right: float) -> dict:
    shares = dict.fromkeys(CITYSCAPES19.names, 1 / 19)
    return {
        "title": title,
        "digest": ("b" if title == LABELLED else "c") * 64,
        "label_space": CAMVID11.name,
        "class_names": CAMVID11.names,
        "frame_indices": (0, 4),
        "class_shares": shares,
        "source_class_shares": shares,
        "class_entropy": float(np.log(19)),
        "mean_confidence": 0.85,
        "estimates": {
            "thresholded confidence": Estimate(miou=0.7 * right, accuracy=right),
            "difference of confidences": Estimate(miou=0.65 * right, accuracy=right),
        },
        "agreement_with_other": 0.9,
        "agreement_across_styles": 0.95,
    }
