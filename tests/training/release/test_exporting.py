from pathlib import Path

import pytest

from isthmus.configuration import config_hash, load_config, to_tree
from isthmus.training.checkpoint import CheckpointInfo
from isthmus.training.config import TrainingConfig
from isthmus.training.exporting import _evaluated_frames, card_facts, default_network_size, export_run


def load(repository: Path, *overrides: str) -> TrainingConfig:
    return load_config(repository / "configs" / "source_only" / "tiny.yaml", TrainingConfig, overrides)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("evaluation.resolution_hw=[64, 96]", (64, 96)),
        ("evaluation.resolution_hw=[240, 320]", (256, 320)),  # CamVid's half size: 240 is no multiple of 32
        ("evaluation.resolution_hw=null", (32, 64)),  # what training resizes to
    ],
)
def test_network_size_follows_the_run(repository: Path, override: str, expected: tuple[int, int]):
    assert default_network_size(load(repository, override)) == expected


def test_real_frames_are_compared_and_another_size_is_said(tiny_run, tmp_path):
    said = []
    result = export_run(tiny_run.output, tmp_path / "export", network_size_hw=(64, 64), say=said.append)
    assert said == ["the network will see 64x64; the run was evaluated at 32x64, its scores are for that"]
    assert [case.size_hw for case in result.parity if case.batch == 1].count((60, 80)) == 3  # CamVid's


def test_frames_that_are_not_here_are_said(tiny_config):
    said = []
    config = tiny_config("evaluated_on=[{dataset: camvid, root: /nowhere, split: val}]")
    assert _evaluated_frames(config, said.append) == []
    assert "not on frames of camvid/val" in said[0]


def test_card_tells_what_the_checkpoint_knows(repository: Path):
    config = load(repository)
    info = CheckpointInfo(
        name=config.name,
        method=config.method.name,
        step=8,
        config=to_tree(config),
        config_hash=config_hash(config),
        source_train_ids=(0, 10),
        datasets=(),
        evaluations=(),
        best_step=4,
        best_miou=0.25,
        git_commit="abc",
        lock_hash="def",
        versions={},
    )
    facts = card_facts(info, config)
    assert (facts.name, facts.method, facts.step) == ("source-only-tiny", "source_only", 8)
    assert (facts.decoder, facts.encoder) == ("fpn", "timm-tf_efficientnet_lite0")
    assert (facts.git_commit, facts.lock_hash, facts.config_hash) == ("abc", "def", config_hash(config))
    assert card_facts(info, config, "street").name == "street"
