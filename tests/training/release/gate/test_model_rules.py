"""Rules about the model alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.artifact import CardDataset
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.gate_report import Outcome
from isthmus.training.gate.config import GateConfig, LatencyConfig, TargetConfig
from isthmus.training.gate.rules import evaluation_rule, label_space_rule, model_rules, unseen_rule

DATA = DatasetConfig(dataset="camvid", root=Path("/data"), split="val")


def gate(**rules) -> GateConfig:
    target = TargetConfig(data=DATA, max_frames=2, min_miou=0.0, max_miou_drop=0.0)
    return GateConfig(title="test", min_golden_agreement=0.999, targets=(target,), **rules)


def answer(rules, name: str, challenger, champion=None):
    (rule,) = (rule for rule in rules if rule.name == name)
    return rule.ask("", challenger, champion)


def test_size_and_speed(gate_examples):
    challenger = gate_examples.example_evidence(version=3, sha256="3" * 64, right=0.8)  # 21 MB, 21 ms
    champion = replace(
        gate_examples.example_evidence(version=2, sha256="2" * 64, right=0.8), size_bytes=14_000_000
    )  # 20 ms
    rules = model_rules(
        gate(max_size_mb=20.0, max_size_ratio=1.4, latency=LatencyConfig(max_ratio=1.1)), against="champion"
    )
    assert answer(rules, "size", challenger, champion).measured == "21.0 MB"
    assert answer(rules, "size", challenger, champion).outcome is Outcome.FAILED
    assert answer(rules, "size against the champion", challenger, champion).value == pytest.approx(1.5)
    assert answer(rules, "latency against the champion", challenger, champion).value == pytest.approx(1.05)
    untimed = replace(challenger, latency=None, golden_agreement=None)
    assert answer(rules, "latency against the champion", untimed, champion).outcome is Outcome.MISSING
    assert answer(rules, "golden frame", untimed).outcome is Outcome.MISSING
    alone = model_rules(gate(max_size_ratio=1.4, latency=LatencyConfig(max_ratio=1.1)), against=None)
    assert [rule.name for rule in alone] == ["golden frame"]


def test_time_has_limits_of_its_own(gate_examples):
    first = gate_examples.example_evidence(version=3, sha256="3" * 64, right=0.8)  # median 21 ms, p95 25 ms
    rules = model_rules(gate(latency=LatencyConfig(max_median_ms=20.0, max_p95_ms=25.0)), against=None)
    median = answer(rules, "median latency", first)
    assert (median.outcome, median.measured, median.required) == (Outcome.FAILED, "21.0 ms", "at most 20.0 ms")
    assert answer(rules, "p95 latency", first).outcome is Outcome.PASSED
    assert answer(rules, "p95 latency", replace(first, latency=None)).outcome is Outcome.MISSING
    both = model_rules(gate(latency=LatencyConfig(max_median_ms=20.0)), against="champion")
    assert [rule.name for rule in both] == ["golden frame", "median latency"]


def test_what_the_card_says(exported):
    card = exported.export.card
    other = card.model_copy(update={"label_space": card.label_space.model_copy(update={"id_hash": "0" * 12})})
    assert label_space_rule(card, None).outcome is Outcome.PASSED
    assert label_space_rule(other, None).outcome is Outcome.FAILED
    assert label_space_rule(card, other).outcome is Outcome.FAILED
    assert evaluation_rule(card).outcome is Outcome.PASSED
    assert evaluation_rule(card.model_copy(update={"evaluations": ()})).outcome is Outcome.MISSING


def test_swapped_classes_are_seen_behind_the_right_hash(exported):
    card = exported.export.card
    first, second, *others = card.label_space.classes
    space = card.label_space.model_copy(update={"classes": (second, first, *others)})
    result = label_space_rule(card.model_copy(update={"label_space": space}), card)
    assert result.outcome is Outcome.FAILED
    assert result.measured == f"{CITYSCAPES19.id_hash}, but its classes have other names"


def of_set(split: str, digest: str = "a", dataset: str = "gta5", role: str = "source") -> CardDataset:
    return CardDataset(role=role, dataset=dataset, split=split, num_frames=1, digest=digest * 64)


@pytest.mark.parametrize(
    ("trained", "judged", "outcome"),
    [
        (of_set("all:fit"), of_set("all:fit"), Outcome.FAILED),
        (of_set("all", "b"), of_set("all"), Outcome.MISSING),  # the same split elsewhere, or another limit of it
        (of_set("all", "b"), of_set("all:holdout"), Outcome.MISSING),
        (of_set("all:holdout", "b"), of_set("all"), Outcome.MISSING),
        (of_set("all:fit", "b"), of_set("all:holdout"), Outcome.PASSED),
        (of_set("all-fit", "b"), of_set("all:holdout"), Outcome.PASSED),  # trained from shards
        (of_set("all-fit", "b"), of_set("all:fit"), Outcome.MISSING),
        (of_set("train", "b"), of_set("val"), Outcome.PASSED),
        (of_set("train", "b"), of_set("all:holdout"), Outcome.MISSING),
        (of_set("all:fit", "b"), of_set("val"), Outcome.MISSING),
        (of_set("all", "b", dataset="synthia"), of_set("all"), Outcome.PASSED),
        (of_set("all", role="target"), of_set("all"), Outcome.PASSED),  # adapted to, without labels
        (of_set("all", role="inherited"), of_set("all"), Outcome.FAILED),  # by the run that it began with
        (of_set("all", role="validation"), of_set("all"), Outcome.PASSED),
    ],
)
def test_frames_that_may_have_trained_it_prove_nothing(
    exported, trained: CardDataset, judged: CardDataset, outcome: Outcome
):
    card = exported.export.card.model_copy(update={"datasets": (of_set("all", "c", dataset="idd"), trained)})
    result = unseen_rule(card, "x", judged)
    assert result.outcome is outcome
    assert bool(result.hint) == (f"trained on gta5/{trained.split}" in result.measured) == (outcome != Outcome.PASSED)


def test_frames_that_cannot_be_read_are_not_called_unseen(exported):
    result = unseen_rule(exported.export.card, "x", None, "no such folder")
    assert (result.outcome, result.measured) == (Outcome.MISSING, "not measured")
    assert result.hint.endswith("no such folder")
