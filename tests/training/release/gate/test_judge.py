"""Whole judgements of real exports: the nearest-colour segmenter of `conftest` on painted frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from isthmus.artifact import CardDataset
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.fakes import write_fakes
from isthmus.gate_report import Outcome
from isthmus.training.gate import GateConfig, judge, measuring, spread
from isthmus.training.gate.config import (
    FramesConfig,
    LatencyConfig,
    RobustnessConfig,
    TargetConfig,
    UnlabelledConfig,
    gate_sha256,
)
from isthmus.training.golden import decode_golden, encode_golden
from isthmus.training.onnx_graph import attach_card
from isthmus.training.onnx_model import OnnxModel


@pytest.fixture
def gate(data_root: Path) -> GateConfig:
    target = TargetConfig(
        data=DatasetConfig(dataset="cityscapes", root=data_root, split="val"),
        max_frames=2,
        min_miou=0.2,
        max_miou_drop=0.0,
        min_frames=2,
        max_class_iou_drop={"person": 0.02},
    )
    return GateConfig(title="test", min_golden_agreement=0.999, targets=(target,))


@pytest.fixture(scope="module")
def source_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthia")
    write_fakes("synthia", root, "all", num_frames=2, size_hw=(64, 96), seed=5)
    return root


@pytest.fixture
def whole(exported) -> OnnxModel:
    return OnnxModel(exported.export.onnx_file)


def refusals(challenger: OnnxModel, champion: OnnxModel | None, gate: GateConfig) -> dict[str, Outcome]:
    versions = 2, None if champion is None else 1
    report = judge(challenger, champion, gate, name="street", versions=versions).report
    assert report.passed is not bool(report.refusals)
    return {result.rule: result.outcome for result in report.refusals}


def shuffled(whole: OnnxModel, out: Path) -> OnnxModel:
    """The same model with its classes permuted, and a golden frame that agrees with that."""
    model = onnx.load(whole.path)
    order = np.random.default_rng(0).permutation(19)
    for item in model.graph.initializer:
        if "classifier." in item.name:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item)[order].copy(), item.name))
    onnx.save_model(model, out)
    image, _ = decode_golden(whole.card.golden)
    golden = encode_golden(image, OnnxModel(out).predict(image[None])[0][0])
    attach_card(model, whole.card.model_copy(update={"golden": golden}))
    onnx.save_model(model, out)
    return OnnxModel(out)


def test_a_better_one_passes_and_a_worse_one_does_not(whole, variant, gate):
    worse = OnnxModel(variant(blind_to=("road",)).onnx_file)
    assert refusals(whole, worse, gate) == {}
    assert refusals(worse, whole, gate) == {"mIoU against the champion": Outcome.FAILED}


def test_a_model_that_is_worse_on_persons_only_is_refused_for_that(whole, variant, gate):
    champion = OnnxModel(variant(blind_to=("road", "building")).onnx_file)
    challenger = OnnxModel(variant(blind_to=("person",)).onnx_file)
    assert refusals(challenger, champion, gate) == {"IoU of person against the champion": Outcome.FAILED}


def test_shuffled_labels_are_refused_by_their_score(whole, gate, tmp_path):
    assert refusals(shuffled(whole, tmp_path / "model.onnx"), None, gate) == {"mIoU floor": Outcome.FAILED}


def test_another_label_space_is_refused_without_a_look_at_frames(whole, variant, gate):
    space = whole.card.label_space.model_copy(update={"id_hash": "0123456789ab"})
    other = OnnxModel(variant(label_space=space).onnx_file)
    judgement = judge(other, whole, gate, name="street", versions=(2, 1))
    assert {result.rule for result in judgement.report.refusals} == {"label space"}
    assert judgement.report.targets == judgement.challenger.targets == ()


def test_a_model_that_was_never_evaluated_is_refused(variant, gate):
    assert refusals(OnnxModel(variant(evaluations=()).onnx_file), None, gate) == {"evaluation": Outcome.MISSING}


def test_a_broken_golden_frame_is_missing(whole, variant, gate):
    golden = whole.card.golden.model_copy(update={"labels_png": "bm8gcG5n"})
    broken = OnnxModel(variant(golden=golden, honest=False).onnx_file)
    assert refusals(broken, whole, gate) == {"golden frame": Outcome.MISSING}
    assert refusals(whole, broken, gate) == {}  # a champion with one does not stand in the way


def test_frames_that_trained_it_prove_nothing(whole, variant, gate):
    digest = judge(whole, None, gate, name="street", versions=(1, None)).report.targets[0].digest
    source = CardDataset(role="source", dataset="cityscapes", split="val", num_frames=3, digest=digest)
    assert refusals(OnnxModel(variant(datasets=(source,)).onnx_file), None, gate) == {"unseen frames": Outcome.FAILED}


def test_a_held_out_part_of_a_source_may_be_judged_on(whole, variant, gate):
    part = replace(gate.targets[0].data, part="fit")
    on_part = replace(gate, targets=(replace(gate.targets[0], data=part),))
    rest = CardDataset(role="source", dataset="cityscapes", split="val:holdout", num_frames=1, digest="a" * 64)
    assert refusals(OnnxModel(variant(datasets=(rest,)).onnx_file), None, on_part) == {}
    everything = rest.model_copy(update={"split": "val"})
    found = refusals(OnnxModel(variant(datasets=(everything,)).onnx_file), None, on_part)
    assert found == {"unseen frames": Outcome.MISSING}


def test_frames_without_labels_must_not_be_frames_of_a_source(whole, variant, gate, data_root):
    street = UnlabelledConfig(
        data=DatasetConfig(dataset="cityscapes", root=data_root, split="val", name="street"),
        max_frames=1,
        min_class_entropy=0.0,
    )
    alone = replace(gate, targets=(), unlabelled=(street,))
    source = CardDataset(role="source", dataset="cityscapes", split="val", num_frames=3, digest="a" * 64)
    adapted = source.model_copy(update={"role": "target"})
    assert refusals(OnnxModel(variant(datasets=(adapted,)).onnx_file), None, alone) == {}
    # With labels a set has another digest than without.
    found = refusals(OnnxModel(variant(datasets=(source,)).onnx_file), None, alone)
    assert found == {"unseen frames": Outcome.MISSING}


def test_missing_frames_make_each_of_their_rules_missing(whole, gate, tmp_path):
    nowhere = DatasetConfig(dataset="camvid", root=tmp_path / "none", split="val")
    night = replace(gate.targets[0], data=replace(gate.targets[0].data, name="night"), frames="*night*")
    wanting = replace(
        gate,
        targets=(*gate.targets, night),
        unlabelled=(UnlabelledConfig(data=nowhere, max_frames=2, min_class_entropy=0.5),),
    )
    report = judge(whole, whole, wanting, name="street", versions=(2, 1)).report
    missing = {(result.rule, result.target) for result in report.refusals}
    rules = ("unseen frames", "mIoU floor", "mIoU against the champion", "IoU of person against the champion")
    unlabelled = {(rule, "camvid/val") for rule in ("unseen frames", "entropy of class shares")}
    assert missing == {*((rule, "night") for rule in rules)} | unlabelled
    assert {result.outcome for result in report.refusals} == {Outcome.MISSING}
    assert "no frame of night matches '*night*'" in report.to_text()
    assert "no such folder, so camvid cannot be read" in report.to_text()
    assert [target.num_frames for target in report.targets] == [2, 0, 0]


def test_spoiled_frames_are_counted_among_themselves(whole, gate, data_root, monkeypatch):
    numbers = []
    monkeypatch.setattr(
        measuring, "corrupt", lambda image, _kind, _severity, *, number: numbers.append(number) or image
    )
    robustness = RobustnessConfig(max_frames=2, severities=(1,), min_retained={"brightness": 1.0})
    target = replace(gate.targets[0], max_frames=3, robustness=robustness)
    judgement = judge(whole, None, replace(gate, targets=(target,)), name="x", versions=(1, None))
    assert judgement.challenger.targets[0].robustness.frame_indices == (0, 2)  # both even in the data set
    assert numbers == [0, 1]


def test_slices_see_their_own_frames_alone(whole, gate, data_root):
    names = sorted(path.name for path in (data_root / "leftImg8bit" / "val").rglob("*.png"))
    slice_ = replace(gate.targets[0], frames=f"*{names[1]}")
    (target,) = judge(whole, None, replace(gate, targets=(slice_,)), name="x", versions=(1, None)).challenger.targets
    assert target.frame_indices == (1,)
    assert target.worst_frames[0].name.endswith(names[1])


def test_every_measurement_is_made_where_a_rule_asks(whole, variant, gate, data_root, source_root):
    worse = OnnxModel(variant(blind_to=("road",)).onnx_file)
    robustness = RobustnessConfig(max_frames=1, severities=(1, 3), min_retained={"noise": 0.0, "fog": 0.0})
    full = replace(
        gate,
        latency=LatencyConfig(max_ratio=100.0, calls=5),
        source=FramesConfig(data=DatasetConfig(dataset="synthia", root=source_root, split="all"), max_frames=2),
        targets=(replace(gate.targets[0], max_ece=1.0, robustness=robustness),),
        unlabelled=(
            UnlabelledConfig(
                data=DatasetConfig(dataset="cityscapes", root=data_root, split="val", name="street"),
                max_frames=1,
                estimator="style agreement",
                min_estimated_miou=0.0,
                min_agreement_with_champion=0.0,
                max_class_share_shift=1.0,
            ),
        ),
    )
    seen: list[tuple[int, int]] = []
    judgement = judge(whole, worse, full, name="street", versions=(2, 1), on_progress=lambda *count: seen.append(count))
    assert judgement.report.passed, judgement.report.to_text()
    assert seen == [(done, 9) for done in range(1, 10)]  # 2 of the source, 2 labelled, 4 spoiled, 1 unlabelled
    ours, theirs = judgement.challenger, judgement.champion
    labelled, street = ours.targets
    assert labelled.miou > theirs.targets[0].miou
    assert labelled.robustness.miou["noise"][0] >= labelled.robustness.miou["noise"][1]
    assert labelled.agreement_with_other == theirs.targets[0].agreement_with_other < 1
    assert labelled.worst_frames[0].other_miou < labelled.worst_frames[0].miou
    assert set(street.estimates) >= {"thresholded confidence", "style agreement"}
    assert street.miou is street.confusion is street.reliability is None
    assert sum(street.class_shares.values()) == pytest.approx(1)
    assert ours.latency.median_ms > 0
    assert theirs.latency.calls == 5


def test_what_no_rule_asks_for_is_not_measured(whole, gate):
    judgement = judge(whole, None, gate, name="street", versions=(1, None))
    (target,) = judgement.challenger.targets
    assert judgement.challenger.latency is target.robustness is target.agreement_across_styles is None
    assert target.estimates == {}
    assert target.miou == pytest.approx(np.mean([iou for iou in target.iou_per_class.values() if iou is not None]))
    assert judgement.report.gate == "test"
    assert judgement.report.gate_sha256 == gate_sha256(gate)
    assert judgement.report.challenger_sha256 == judgement.challenger.sha256


def test_source_frames_that_cannot_be_read_leave_estimates_missing(whole, gate, data_root, tmp_path):
    nowhere = FramesConfig(data=DatasetConfig(dataset="gta5", root=tmp_path / "none", split="all"), max_frames=2)
    street = UnlabelledConfig(
        data=DatasetConfig(dataset="cityscapes", root=data_root, split="val", name="street"),
        max_frames=1,
        min_estimated_miou=0.0,
    )
    found = refusals(whole, None, replace(gate, source=nowhere, unlabelled=(street,)))
    assert found == {"unseen frames": Outcome.MISSING, "estimated mIoU floor": Outcome.MISSING}


def test_frames_are_spread_over_the_data_set():
    assert spread(10, 4) == (0, 3, 6, 9)
    assert spread(3, 200) == (0, 1, 2)
    assert spread(5, 1) == (0,)
