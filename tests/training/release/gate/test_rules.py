from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.label_space import CAMVID11, CITYSCAPES19, IDDLITE7
from isthmus.gate_report import Outcome
from isthmus.training.gate.config import (
    FramesConfig,
    GateConfig,
    RobustnessConfig,
    TargetConfig,
    UnlabelledConfig,
)
from isthmus.training.gate.rules import model_rules
from isthmus.training.gate.target_rules import DRIVABLE, OBSTACLES, group_of, own_class, target_rules, unlabelled_rules

DATA = DatasetConfig(dataset="camvid", root=Path("/data"), split="val")


def target(**rules) -> TargetConfig:
    return TargetConfig(
        **{"data": DATA, "max_frames": 2, "min_miou": 0.0, "max_miou_drop": 0.0, "min_frames": 2, **rules}
    )


def unlabelled(**rules) -> UnlabelledConfig:
    return UnlabelledConfig(data=DATA, max_frames=2, **rules)


def gate(**rules) -> GateConfig:
    return GateConfig(title="test", min_golden_agreement=0.999, targets=(target(),), **rules)


def answer(rules, name: str, challenger, champion=None):
    (rule,) = (rule for rule in rules if rule.name == name)
    return rule.ask("camvid/val", challenger, champion)


def test_only_what_is_written_is_asked():
    assert [rule.name for rule in target_rules(target(), against=None)] == ["mIoU floor"]
    assert [rule.name for rule in target_rules(target(), against="champion")] == [
        "mIoU floor",
        "mIoU against the champion",
    ]
    against = target(max_class_iou_drop={"person": 0.1})
    assert len(target_rules(against, against=None)) == 1
    assert [rule.name for rule in model_rules(gate(), against="champion")] == ["golden frame"]


@pytest.mark.parametrize(("limit", "outcome"), [(0.6, Outcome.PASSED), (0.7, Outcome.FAILED)])
def test_floor_of_miou(gate_examples, limit: float, outcome: Outcome):
    rules = target_rules(target(min_miou=limit), against=None)
    result = answer(rules, "mIoU floor", gate_examples.labelled_target(0.8))  # IoU 0.8 / 1.2
    assert (result.outcome, result.measured, result.limit) == (outcome, "66.67 %", limit)
    assert result.value == pytest.approx(2 / 3)
    assert bool(result.hint) == (outcome is Outcome.FAILED)


def test_floor_without_truth_is_missing(gate_examples):
    result = answer(target_rules(target(), against=None), "mIoU floor", gate_examples.unlabelled_target(0.8))
    assert (result.outcome, result.value) == (Outcome.MISSING, None)
    assert result.hint == "mIoU floor could not be measured: these frames have no labelled pixel"


@pytest.mark.parametrize(
    ("ours", "theirs", "drop", "outcome"),
    [
        (0.8, 0.7, 0.0, Outcome.PASSED),
        (0.8, 0.8, 0.0, Outcome.PASSED),
        (0.7, 0.8, 0.0, Outcome.FAILED),
        (0.7, 0.8, 0.2, Outcome.PASSED),  # 0.7 / 1.3 lies 0.128 below 0.8 / 1.2
    ],
)
def test_against_the_champion(gate_examples, ours: float, theirs: float, drop: float, outcome: Outcome):
    rules = target_rules(target(max_miou_drop=drop), against="champion")
    result = answer(
        rules, "mIoU against the champion", gate_examples.labelled_target(ours), gate_examples.labelled_target(theirs)
    )
    assert result.outcome is outcome
    # Both frames are the same, so that the interval is the difference.
    assert result.value == pytest.approx(ours / (2 - ours) - theirs / (2 - theirs))


def test_better_by_luck_on_few_frames_is_not_enough(gate_examples):
    champion = gate_examples.labelled_target(0.7)
    better, worse = gate_examples.labelled_target(0.9), gate_examples.labelled_target(0.6)
    mixed = replace(
        better,
        frame_confusions=(better.frame_confusions[0], worse.frame_confusions[0]),
        confusion=tuple(map(tuple, (better.frame_counts()[0] + worse.frame_counts()[0]).tolist())),
    )
    result = answer(target_rules(target(), against="champion"), "mIoU against the champion", mixed, champion)
    assert result.outcome is Outcome.FAILED
    assert "95% interval" in result.measured
    assert "(+" in result.measured  # the difference itself is above 0


@pytest.mark.parametrize(("min_frames", "outcome"), [(2, Outcome.PASSED), (3, Outcome.MISSING)])
def test_few_frames_prove_nothing(gate_examples, min_frames: int, outcome: Outcome):
    rules = target_rules(target(min_frames=min_frames), against="champion")
    challenger, champion = gate_examples.labelled_target(0.8), gate_examples.labelled_target(0.7)
    result = answer(rules, "mIoU against the champion", challenger, champion)
    assert result.outcome is outcome
    assert ("needs 3 labelled frames (min_frames) and has 2" in result.hint) is (outcome is Outcome.MISSING)


def test_frames_without_truth_do_not_count(gate_examples):
    challenger = gate_examples.labelled_target(0.8)
    half = replace(challenger, frame_confusions=(challenger.frame_confusions[0], ()))
    result = answer(target_rules(target(), against="champion"), "mIoU against the champion", half, half)
    assert result.outcome is Outcome.MISSING
    assert "needs 2 labelled frames (min_frames) and has 1" in result.hint


def test_classes_have_floors_of_their_own(gate_examples):
    rules = target_rules(target(min_class_iou={"person": 0.6, "train": 0.7, "pavement": 0.6}), against=None)
    challenger = gate_examples.labelled_target(0.8)
    assert answer(rules, "IoU floor of person", challenger).outcome is Outcome.PASSED  # CamVid's pedestrian
    assert answer(rules, "IoU floor of train", challenger).outcome is Outcome.FAILED  # a part of CamVid's car
    assert answer(rules, "IoU floor of pavement", challenger).outcome is Outcome.PASSED
    absent = replace(challenger, confusion=tuple((0,) * 12 for _ in range(11)))
    result = answer(rules, "IoU floor of person", absent)
    assert result.outcome is Outcome.MISSING
    assert "no pixel of person in the truth" in result.hint
    elsewhere = replace(challenger, label_space="iddlite7", class_names=IDDLITE7.names)
    assert "iddlite7 has no class pavement" in answer(rules, "IoU floor of pavement", elsewhere).hint


def test_one_worse_class_is_seen_behind_a_better_mean(gate_examples):
    champion, challenger = gate_examples.labelled_target(0.7), gate_examples.labelled_target(0.9)
    counts = np.array(challenger.confusion)
    person = CAMVID11.names.index("pedestrian")
    counts[person] = 0
    counts[person, 3] = 2000
    worse = replace(challenger, confusion=tuple(map(tuple, counts.tolist())))
    rules = target_rules(target(max_class_iou_drop={"person": 0.02, "road": 0.1}), against="champion")
    result = answer(rules, "IoU of person against the champion", worse, champion)
    assert (result.outcome, result.limit) == (Outcome.FAILED, -0.02)
    assert result.value == pytest.approx(-0.7 / 1.3)
    assert answer(rules, "mIoU against the champion", worse, champion).outcome is Outcome.PASSED


def test_obstacles_and_road_must_not_be_exchanged(gate_examples):
    challenger = gate_examples.labelled_target(0.8)
    counts = np.zeros((11, 12), int)
    road, car, sky = (CAMVID11.names.index(name) for name in ("road", "car", "sky"))
    counts[road, [road, car, sky]] = 80, 15, 5
    counts[car, [car, road, sky]] = 90, 8, 2
    confused = replace(challenger, confusion=tuple(map(tuple, counts.tolist())))
    rules = target_rules(target(max_obstacles_as_drivable=0.05, max_drivable_as_obstacles=0.2), against=None)
    missed, seen = (
        answer(rules, name, confused) for name in ("obstacles taken for the road", "road taken for obstacles")
    )
    assert (missed.outcome, missed.value, missed.measured) == (Outcome.FAILED, 0.08, "8.00 %")
    assert (seen.outcome, seen.value) == (Outcome.PASSED, 0.15)
    nothing = replace(challenger, confusion=tuple((0,) * 12 for _ in range(11)))
    assert answer(rules, "road taken for obstacles", nothing).outcome is Outcome.MISSING


def test_groups_hold_classes_that_lie_inside_them():
    def named(space, group):
        return [space.names[own] for own in group_of(space, group)]

    assert named(CITYSCAPES19, DRIVABLE) == named(CAMVID11, DRIVABLE) == ["road"]
    ground_and_sky = {"road", "sidewalk", "terrain", "sky"}
    assert named(CITYSCAPES19, OBSTACLES) == [name for name in CITYSCAPES19.names if name not in ground_and_sky]
    # Terrain is a part of its trees.
    assert named(CAMVID11, OBSTACLES) == [
        name for name in CAMVID11.names if name not in {"road", "pavement", "tree", "sky"}
    ]
    assert named(IDDLITE7, OBSTACLES) == ["living thing", "vehicle", "roadside object", "far object"]
    assert own_class(CAMVID11, "person") == own_class(CAMVID11, "pedestrian") == 9
    assert own_class(IDDLITE7, "pedestrian") is None


def test_calibration_and_robustness(gate_examples):
    challenger = gate_examples.labelled_target(0.8)  # ECE 0.2 · 0.05 + 0.8 · 0.15 = 0.13; retained 0.717
    robustness = RobustnessConfig(max_frames=2, min_retained={"fog": 0.7, "blur": 0.75})
    rules = target_rules(target(max_ece=0.1, robustness=robustness), against=None)
    assert answer(rules, "calibration error", challenger).outcome is Outcome.FAILED
    fog = answer(rules, "robustness to fog", challenger)
    assert (fog.outcome, fog.measured) == (Outcome.PASSED, "71.67 % of 66.67 % mIoU")
    assert answer(rules, "robustness to blur", challenger).outcome is Outcome.FAILED
    blind = replace(challenger, robustness=replace(challenger.robustness, clean_miou=0.0), reliability=None)
    assert answer(rules, "robustness to fog", blind).outcome is Outcome.MISSING
    assert answer(rules, "calibration error", blind).outcome is Outcome.MISSING


@pytest.mark.parametrize(
    ("rule", "name", "value"),
    [
        ({"min_estimated_miou": 0.53}, "estimated mIoU floor", 0.52),
        ({"min_estimated_miou": 0.5, "estimator": "thresholded confidence"}, "estimated mIoU floor", 0.56),
        ({"max_estimated_miou_drop": 0.0}, "estimated mIoU against the champion", 0.065),
        ({"min_agreement_with_champion": 0.95}, "agreement with the champion", 0.9),
        ({"min_agreement_across_styles": 0.9}, "agreement across styles", 0.95),
        ({"max_class_share_shift": 0.1}, "shift of class shares", 0.0),
        ({"min_class_entropy": 2.9}, "entropy of class shares", np.log(19)),
    ],
)
def test_label_free_rules(gate_examples, rule: dict, name: str, value: float):
    challenger, champion = gate_examples.unlabelled_target(0.8), gate_examples.unlabelled_target(0.7)
    (asked,) = unlabelled_rules(unlabelled(**rule), against="champion")
    result = asked.ask("street", challenger, champion)
    assert asked.name == name
    assert result.value == pytest.approx(value)
    kept = result.value >= result.limit if asked.at_least else result.value <= result.limit
    assert result.outcome is (Outcome.PASSED if kept else Outcome.FAILED)
    bare = replace(
        challenger, estimates={}, source_class_shares=None, agreement_with_other=None, agreement_across_styles=None
    )
    if name != "entropy of class shares":
        assert asked.ask("street", bare, bare).outcome is Outcome.MISSING


def test_shares_that_moved_count_half_their_distance(gate_examples):
    shares = dict.fromkeys(CITYSCAPES19.names, 0.0)
    challenger = replace(
        gate_examples.unlabelled_target(0.8),
        class_shares={**shares, "road": 0.5, "sky": 0.5},
        source_class_shares={**shares, "road": 0.8, "car": 0.2},
    )
    (rule,) = unlabelled_rules(unlabelled(max_class_share_shift=0.4), against=None)
    assert rule.ask("street", challenger, None).value == pytest.approx(0.5)


def test_source_frames_are_frames_too():
    with pytest.raises(ValueError, match="max_frames is 0"):
        FramesConfig(data=DATA, max_frames=0)
