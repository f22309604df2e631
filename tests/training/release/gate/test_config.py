import hashlib
from pathlib import Path

import pytest
import yaml

from isthmus.configuration import load_config, parse_config
from isthmus.errors import ConfigurationError
from isthmus.training.gate.config import GateConfig, gate_sha256, gate_yaml

LEAST = """
title: least
min_golden_agreement: 0.999
targets:
  - data: { dataset: camvid, root: /data, split: val }
    max_frames: 5
    min_miou: 0.2
    max_miou_drop: 0.0
"""
UNLABELLED = """
title: unlabelled
min_golden_agreement: 0.999
source: { data: { dataset: gta5, root: /data, split: all, part: holdout }, max_frames: 5 }
unlabelled:
  - { data: { dataset: cityscapes, root: /data, split: train }, max_frames: 5, min_estimated_miou: 0.3 }
"""


def test_rules_that_are_not_written_do_not_exist():
    (target,) = parse_config(LEAST, GateConfig).all_targets
    assert target.min_class_iou is target.max_ece is target.robustness is None
    assert target.title == "camvid/val"
    assert (target.interval_level, target.min_frames) == (0.95, 10)


def test_slices_are_patterns_of_names():
    (target,) = parse_config(LEAST, GateConfig, ["targets.0.frames=night/*"]).targets
    assert target.matches("night/a.png")
    assert not target.matches("day/a.png")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("min_golden_agreement=99.9", "min_golden_agreement is 99.9: write a share between 0 and 1"),
        ("max_size_mb=0", "max_size_mb is 0"),
        ("max_size_ratio=-1", "max_size_ratio is -1"),
        ("latency={max_ratio: 0}", "max_ratio is 0"),
        ("latency={max_ratio: 1.5, calls: 1}", "calls is 1: a median needs at least 5"),
        ("latency={max_p95_ms: 0}", "max_p95_ms is 0"),
        ("latency={calls: 5}", "latency has no rule: write max_ratio, max_median_ms, max_p95_ms"),
        ("targets.0.max_frames=0", "max_frames is 0"),
        ("targets.0.min_miou=25", "min_miou is 25"),
        ("targets.0.max_miou_drop=-0.1", "max_miou_drop is -0.1"),
        ("targets.0.interval_level=95", "interval_level is 95"),
        ("targets.0.min_frames=1", "min_frames is 1: an interval needs at least 2"),
        ("targets.0.resamples=10", "resamples is 10"),
        ("targets.0.min_class_iou={persn: 0.2}", "min_class_iou names persn: choose from road, sidewalk"),
        ("targets.0.max_class_iou_drop={person: 2}", "max_class_iou_drop of person is 2"),
        ("targets.0.max_ece=1.5", "max_ece is 1.5"),
        ("targets.0.robustness={max_frames: 2, min_retained: {}}", "min_retained names nothing"),
        ("targets.0.robustness={max_frames: 2, min_retained: {snow: 0.5}}", "names snow: choose from noise, blur"),
        ("targets.0.robustness={max_frames: 2, severities: [4], min_retained: {fog: 0.5}}", r"severities are \[4\]"),
        ("targets.0.robustness={max_frames: 2, severities: [1, 1], min_retained: {fog: 0.5}}", "each once"),
        ("targets.0.data={dataset: shards, root: /data, split: all}", None),
        ("targets.0.colour=red", "colour: unknown key"),
        ("targets=[]", "no target"),
    ],
)
def test_impossible_rules_are_refused(override: str, message: str | None):
    if message is None:
        assert parse_config(LEAST, GateConfig, [override])
        with pytest.raises(ConfigurationError, match="leave it out for shards"):
            parse_config(LEAST, GateConfig, [override, "targets.0.frames=a*"])
        return
    with pytest.raises(ConfigurationError, match=message):
        parse_config(LEAST, GateConfig, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source=null", "rules about cityscapes/train need labelled source frames: write `source`"),
        ("unlabelled.0.min_estimated_miou=null", "cityscapes/train has no rule"),
        ("unlabelled.0.max_class_share_shift=2", "max_class_share_shift is 2"),
        ("unlabelled.0.min_class_entropy=3", "write nats from 0 to 2.94"),
        ("unlabelled.0.estimator=guess", "estimator"),
        (
            "targets=[{max_frames: 1, min_miou: 0, max_miou_drop: 0, "
            "data: {dataset: cityscapes, root: /, split: train}}]",
            "cityscapes/train is there twice: give each data set a `name`",
        ),
    ],
)
def test_impossible_label_free_rules_are_refused(override: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        parse_config(UNLABELLED, GateConfig, [override])


def test_styles_are_looked_at_only_where_a_rule_asks():
    (target,) = parse_config(UNLABELLED, GateConfig).unlabelled
    assert not target.needs_styles
    for override in ("estimator=style agreement", "min_agreement_across_styles=0.5"):
        (target,) = parse_config(UNLABELLED, GateConfig, [f"unlabelled.0.{override}"]).unlabelled
        assert target.needs_styles


def test_rules_are_the_same_wherever_their_data_lies():
    gate = parse_config(UNLABELLED, GateConfig)
    elsewhere = parse_config(UNLABELLED.replace("/data", "/mnt/elsewhere/data"), GateConfig)
    assert gate_yaml(elsewhere) == gate_yaml(gate)
    assert gate_sha256(elsewhere) == gate_sha256(gate) == hashlib.sha256(gate_yaml(gate).encode()).hexdigest()
    assert "/data" not in gate_yaml(gate)
    written = yaml.safe_load(gate_yaml(gate))
    assert written["unlabelled"][0]["estimator"] == "difference of confidences"  # defaults are written out
    assert written["source"]["data"]["part"] == "holdout"
    assert gate.source.data.root == Path("/data")


@pytest.mark.parametrize(
    "override", ["unlabelled.0.min_estimated_miou=0.2", "source.data.part=fit", "source.max_frames=6"]
)
def test_other_rules_have_another_hash(override: str):
    assert gate_sha256(parse_config(UNLABELLED, GateConfig, [override])) != gate_sha256(
        parse_config(UNLABELLED, GateConfig)
    )


def test_every_shipped_gate_loads(repository: Path, monkeypatch: pytest.MonkeyPatch):
    for variable in ("DATA", "STREET", "SOURCE", "DEMO"):
        monkeypatch.setenv(variable, f"/{variable.lower()}")
    gates = {path.stem: load_config(path, GateConfig) for path in sorted((repository / "configs/gate").glob("*.yaml"))}
    assert list(gates) == ["default", "demo"]
    assert all(gate.title == name for name, gate in gates.items())
    assert gates["default"].targets[0].data.root == Path("/data")
