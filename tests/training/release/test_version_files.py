"""What a version carries of its run, and what becomes of its card in metrics and tags."""

import json
from pathlib import Path

import pytest
import yaml

from isthmus.artifact import CardDataset
from isthmus.configuration import config_hash
from isthmus.errors import CheckpointError, ConfigurationError, DataMissingError
from isthmus.training import report
from isthmus.training.export import ExportResult
from isthmus.training.version_files import attach_run, evaluation_metrics, judged_dataset

CONFIG = {"name": "tiny", "loop": {"steps": 7}}


@pytest.fixture
def run(tmp_path: Path, exported: ExportResult, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with two checkpoints and pictures of three steps."""
    for step in (4, 7):
        _checkpoint(tmp_path / "run", step)
    for step in (0, 7, 9):
        folder = tmp_path / "run" / "pictures" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "target.png").write_bytes(str(step).encode())
    (tmp_path / "run" / "curves.png").write_bytes(b"curves")

    def absent(*_: object, **__: object) -> None:
        raise DataMissingError("no such folder", where="/data/gta5")

    monkeypatch.setattr(report, "checkpoint_domain_gap", absent)
    return tmp_path / "run"


def _checkpoint(run: Path, step: int) -> None:
    from isthmus.training.checkpoint import CheckpointInfo, CheckpointStore

    info = CheckpointInfo(
        name="tiny",
        method="source_only",
        step=step,
        config=CONFIG,
        config_hash=config_hash(CONFIG),
        source_train_ids=(0,),
        datasets=(),
        evaluations=(),
        best_step=None,
        best_miou=None,
        git_commit="abc",
        lock_hash="0" * 64,
        versions={},
    )
    CheckpointStore(run, 5).save(info, {}, {})


def test_configuration_and_pictures_of_the_step_are_attached(run: Path, exported: ExportResult, tmp_path: Path):
    card = exported.export.card.model_copy(update={"config_hash": config_hash(CONFIG)})  # step 7
    said: list[str] = []
    (tmp_path / "into").mkdir()
    attach_run(run, card, tmp_path / "into", said.append)
    assert yaml.safe_load((tmp_path / "into" / "config.yaml").read_text()) == CONFIG
    assert (tmp_path / "into" / "pictures" / "target.png").read_bytes() == b"7"
    assert (tmp_path / "into" / "pictures" / "curves.png").read_bytes() == b"curves"
    assert said == ["the report will show no domain gap: /data/gta5: no such folder"]
    assert not (tmp_path / "into" / "domain_gap.json").exists()


def test_another_run_than_the_exports_is_refused(run: Path, exported: ExportResult, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="configured otherwise"):
        attach_run(run, exported.export.card, tmp_path, print)
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        attach_run(tmp_path / "none", exported.export.card, tmp_path, print)


def test_metrics_name_target_and_class_and_leave_out_what_is_unknown(exported: ExportResult):
    (item,) = exported.export.card.evaluations
    metrics = evaluation_metrics(item)
    assert metrics["registered.cityscapes/val.miou"] == 0.5
    assert metrics["registered.cityscapes/val.pixel_accuracy"] == 0.75
    assert metrics["registered.cityscapes/val.iou.traffic light"] == 0.5
    assert "registered.cityscapes/val.iou.train" not in metrics
    assert len(metrics) == 3 + 18


def test_the_data_set_of_an_evaluation_is_found_on_the_card(exported: ExportResult):
    card = exported.export.card
    (item,) = card.evaluations
    assert judged_dataset(card, item) is None
    source = CardDataset(role="source", dataset="cityscapes", split="val", num_frames=3, digest="a" * 64)
    judged = CardDataset(role="evaluation", dataset="cityscapes", split="val", num_frames=3, digest="b" * 64)
    assert judged_dataset(card.model_copy(update={"datasets": (source, judged)}), item) == judged


def test_a_domain_gap_is_stored_where_the_frames_are_at_hand(
    run: Path, exported: ExportResult, tmp_path: Path, monkeypatch
):
    gap = report.DomainGap(explained=(0.5, 0.25), domains=())
    monkeypatch.setattr(report, "checkpoint_domain_gap", lambda *_, **__: gap)
    card = exported.export.card.model_copy(update={"config_hash": config_hash(CONFIG)})
    (tmp_path / "into").mkdir()
    attach_run(run, card, tmp_path / "into", print)
    assert report.DomainGap.from_tree(json.loads((tmp_path / "into" / "domain_gap.json").read_text())) == gap
