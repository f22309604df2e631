"""Whole runs: what they leave, how they are refused, and that a killed one goes on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from isthmus.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    NotRegisteredError,
    RegistryError,
)
from isthmus.training.checkpoint import read_info, read_state, read_weights
from isthmus.training.history import read_history
from isthmus.training.run import train
from isthmus.training.tracking import tracked_run_id
from isthmus.training.trained import evaluate_checkpoint, load_segmenter

LAST = Path("checkpoints") / "step-00000008"
TRAIN = """
import sys
import time
from io import StringIO
from pathlib import Path
import torch
torch.set_num_threads(1)
from isthmus.configuration import load_config
from isthmus.training.config import TrainingConfig
from isthmus.training.run import train
train(load_config(Path(sys.argv[1]), TrainingConfig), Path(sys.argv[2]), tracking="none", device="cpu")
"""


def equal(one, other) -> bool:
    """Whether two trees of containers, tensors and values are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def numbers(output: Path) -> list[dict]:
    """The history without the speed."""
    return [{key: row[key] for key in row if key != "images_per_second"} for row in read_history(output)]


@pytest.fixture
def copied(tiny_run, tmp_path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(tiny_run.output, tmp_path / "copy"))


def test_layout_and_history(tiny_run):
    names = {path.name for path in tiny_run.output.iterdir()}
    assert names == {
        "ancestry.json",
        "config.yaml",
        "history.jsonl",
        "curves.png",
        "checkpoints",
        "pictures",
        "mlflow_run.json",
    }
    rows = list(read_history(tiny_run.output))
    assert [row["step"] for row in rows if row["kind"] == "train"] == [2, 4, 6, 8]
    judged = [(row["step"], row["role"]) for row in rows if row["kind"] == "evaluation"]
    assert judged == [(step, role) for step in (0, 4, 8) for role in ("validation", "evaluation")]
    assert (tiny_run.output / "pictures" / "step-00000008" / "batch.png").is_file()


def test_checkpoint_describes_the_run(tiny_run):
    info = read_info(tiny_run.output / LAST)
    assert info.step == 8
    assert [(card.role, card.dataset, card.num_frames) for card in info.datasets] == [
        ("source", "gta5", 18),
        ("source", "synthia", 6),
        ("validation", "gta5", 2),
        ("evaluation", "camvid", 4),
    ]
    assert [(card.role, card.title) for card in info.evaluations] == [
        ("validation", "gta5/all:holdout"),
        ("evaluation", "camvid/val"),
    ]
    assert len(info.source_train_ids) == 16  # SYNTHIA's
    _, *scores = [row["miou"] for row in read_history(tiny_run.output, "evaluation") if row["role"] == "validation"]
    assert info.best_miou == max(scores)
    assert info.best_step == (4, 8)[scores.index(max(scores))]


def test_killed_and_resumed_equals_uninterrupted(tiny_run, tiny_config, tmp_path):
    output = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", TRAIN, str(tiny_run.output / "config.yaml"), str(output)],
        env={**os.environ, "TINY": str(tiny_run.data), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    half_way = output / "checkpoints" / "step-00000002"
    deadline = time.monotonic() + 120
    while not half_way.is_dir():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the run never wrote its checkpoint"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not (output / LAST).exists()

    outcome = train(tiny_config(), output, resume=True, tracking="none", device="cpu")

    assert outcome.steps == 8
    assert equal(read_weights(output / LAST, "segmenter"), read_weights(tiny_run.output / LAST, "segmenter"))
    assert equal(read_state(output / LAST), read_state(tiny_run.output / LAST))
    assert numbers(output) == numbers(tiny_run.output)


def test_a_damaged_last_checkpoint_falls_back_and_ends_the_same(tiny_run, tiny_config, copied):
    (copied / LAST / "segmenter.safetensors").write_bytes(b"")
    console = Console(record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    train(tiny_config(), copied, resume=True, tracking="none", device="cpu", console=console)
    said = console.export_text()
    assert "damaged checkpoint passed over" in said
    assert "step-00000006" in said
    assert equal(read_weights(copied / LAST, "segmenter"), read_weights(tiny_run.output / LAST, "segmenter"))
    assert numbers(copied) == numbers(tiny_run.output)
    console.file.close()


def test_resuming_a_finished_run_changes_nothing(tiny_config, copied):
    before = (copied / "history.jsonl").read_bytes()
    outcome = train(tiny_config(), copied, resume=True, tracking="none", device="cpu")
    assert outcome.evaluations == ()
    assert (copied / "history.jsonl").read_bytes() == before


def test_an_untracked_run_has_no_mlflow_run(tmp_path):
    with pytest.raises(NotRegisteredError, match="was not tracked"):
        tracked_run_id(tmp_path)


def test_a_folder_with_something_in_it_is_refused(tiny_config, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"not empty.*--resume"):
        train(tiny_config(), tmp_path, tracking="none", device="cpu")


def test_a_changed_configuration_is_refused_by_key(tiny_config, copied):
    changed = tiny_config("optimiser.learning_rate=0.5", "loop.steps=16", "loop.keep_last=9")
    with pytest.raises(ConfigurationError, match="configured otherwise") as caught:
        train(changed, copied, resume=True, tracking="none", device="cpu")
    assert "loop.steps (was 8, is 16)" in str(caught.value)
    assert "optimiser.learning_rate (was 0.001, is 0.5)" in str(caught.value)
    assert "keep_last" not in str(caught.value)


def test_many_changed_keys_are_counted(tiny_config, copied):
    changed = [
        f"augmentation.{key}=0.11" for key in ("brightness", "contrast", "saturation", "hue", "horizontal_flip_p")
    ]
    with pytest.raises(ConfigurationError, match="configured otherwise") as caught:
        train(tiny_config(*changed, "loop.steps=16", "seed=9"), copied, resume=True, tracking="none", device="cpu")
    assert str(caught.value).count("(was ") == 5
    assert ", and 2 more. Resume with the same configuration" in str(caught.value)


def test_another_method_is_all_that_is_said(tiny_config, copied):
    randomization = (
        "method={name: randomization, class_weights: enet, styles: {views: 3, domains: 4, weights: {amplitude: 1.0}}}"
    )
    with pytest.raises(ConfigurationError) as caught:
        train(tiny_config(randomization), copied, resume=True, tracking="none", device="cpu")
    assert caught.value.problem == (
        "the run in this folder is of method source_only, this configuration of randomization"
    )


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_to_resume_is_said(tiny_config, tmp_path, exists):
    output = tmp_path / "output"
    if exists:
        output.mkdir()
    console = Console(record=True, file=StringIO(), width=300)
    few = ("loop.steps=1", "schedule.warmup_steps=0", "validation=null", "evaluated_on=[]")
    train(tiny_config(*few), output, resume=True, tracking="none", device="cpu", console=console)
    assert f"nothing to resume in {output}: starting from step 0" in console.export_text()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sources.1.root=/nowhere", "sources.1: /nowhere"),
        ("validation.root=/nowhere", "validation: /nowhere"),
        ("evaluated_on.0.root=/nowhere", "evaluated_on.0: /nowhere"),
        (
            "evaluated_on=[{dataset: camvid, root: /nowhere, split: val, name: street}]",
            "evaluated_on.0 (street): /nowhere",
        ),
    ],
)
def test_a_data_set_that_cannot_be_read_is_named_by_its_key(tiny_config, tmp_path, override, said):
    with pytest.raises(DataError) as caught:
        train(tiny_config(override), tmp_path / "output", tracking="none", device="cpu")
    assert str(caught.value).startswith(said)


def test_changed_data_are_refused(tiny_run, tiny_config, tmp_path, monkeypatch):
    data = Path(shutil.copytree(tiny_run.data, tmp_path / "data"))
    output = tmp_path / "output"
    monkeypatch.setenv("TINY", str(data))
    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig

    path = tiny_run.output.parents[0] / "moved.yaml"
    text = (tiny_run.output / "config.yaml").read_text().replace(str(tiny_run.data), str(data))
    path.write_text(text.replace("steps: 8", "steps: 1").replace("warmup_steps: 2", "warmup_steps: 0"))
    config = load_config(path, TrainingConfig)
    train(config, output, tracking="none", device="cpu")
    label = sorted((data / "synthia" / "GT" / "LABELS").iterdir())[0]
    label.write_bytes(label.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="data sets changed since it was written: synthia"):
        train(config, output, resume=True, tracking="none", device="cpu")


def test_moved_data_are_said_and_other_code_too(tiny_run, copied, tmp_path, monkeypatch):
    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig

    moved = Path(shutil.copytree(tiny_run.data, tmp_path / "moved"))
    path = tmp_path / "moved.yaml"
    path.write_text((tiny_run.output / "config.yaml").read_text().replace(str(tiny_run.data), str(moved)))
    monkeypatch.setattr("isthmus.training.reproducibility.git_commit", lambda: "abcdef")
    monkeypatch.setattr("isthmus.training.reproducibility.lock_hash", lambda: "abcdef")
    console = Console(record=True, file=StringIO(), width=300)
    train(load_config(path, TrainingConfig), copied, resume=True, tracking="none", device="cpu", console=console)
    said = console.export_text()
    assert "data have moved: sources.0.root (was" in said
    assert "this is abcdef" in said
    assert "locked packages differ" in said


def test_a_start_that_fails_leaves_the_folder_usable(tiny_config, tmp_path):
    output = tmp_path / "output"
    with pytest.raises(DataError):
        train(tiny_config("validation.root=/nowhere"), output, tracking="none", device="cpu")
    train(tiny_config("loop.steps=1", "schedule.warmup_steps=0"), output, tracking="none", device="cpu")
    assert (output / "config.yaml").is_file()


def test_an_output_that_is_a_file_is_one_error(tiny_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="the output is no folder"):
        train(tiny_config(), tmp_path / "file", tracking="none", device="cpu")


def test_load_segmenter_gives_the_best_weights(tiny_run):
    segmenter, info = load_segmenter(tiny_run.output)
    assert info.step == info.best_step
    assert not segmenter.training
    weights = read_weights(tiny_run.output / "checkpoints" / f"step-{info.step:08d}", "segmenter")
    assert equal(dict(segmenter.state_dict()), weights)


def test_evaluating_the_last_checkpoint_gives_the_score_of_training(tiny_run, tmp_path, capsys):
    (result,) = evaluate_checkpoint(
        tiny_run.output / LAST, output=tmp_path, num_pictures=2, device="cpu", console=Console(width=100)
    )
    last = list(read_history(tiny_run.output, "evaluation"))[-1]
    assert result.scores.miou == last["miou"]
    assert json.loads((tmp_path / "evaluation.json").read_text())["results"] == [result.to_tree()]
    assert (tmp_path / "0-camvid-val-confusion.png").is_file()
    assert len(list((tmp_path / "0-camvid-val").iterdir())) == 2
    shown = capsys.readouterr().out
    assert "pavement" in shown
    assert "network at 32x64, whole" in shown


def test_files_of_a_named_set_carry_its_name(tiny_run, tiny_config, tmp_path):
    camvid = replace(tiny_config().evaluated_on[0], name="town")
    held_out = tiny_config().validation
    evaluate_checkpoint(
        tiny_run.output / LAST, datasets=[camvid, held_out], output=tmp_path, num_pictures=1, device="cpu"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0-town",
        "0-town-confusion.png",
        "1-gta5-all-holdout",
        "1-gta5-all-holdout-confusion.png",
        "evaluation.json",
    ]


def test_mlflow_has_params_curves_inputs_and_pictures(tiny_run):
    from isthmus.training.mlflow_store import connect

    noted = json.loads((tiny_run.output / "mlflow_run.json").read_text())
    assert tracked_run_id(tiny_run.output, noted["uri"]) == noted["run_id"]
    with connect(noted["uri"]) as connection:
        run = connection.client.get_run(noted["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.params["optimiser.learning_rate"] == "0.001"
        assert run.data.tags["mlflow.source.git.commit"]
        assert any(tag.startswith("isthmus.digest.1.source.synthia") for tag in run.data.tags)
        losses = connection.client.get_metric_history(noted["run_id"], "loss.total")
        assert [point.step for point in losses] == [2, 4, 6, 8]
        assert "validation.gta5/all:holdout.miou" in run.data.metrics
        inputs = {entry.dataset.name for entry in run.inputs.dataset_inputs}
        assert inputs == {"gta5-all:fit", "synthia-all", "gta5-all:holdout", "camvid-val"}
        files = {file.path for file in connection.client.list_artifacts(noted["run_id"])}
        assert {"config.yaml", "curves.png", "pictures"} <= files


def test_a_resumed_run_goes_on_with_its_mlflow_run(tiny_config, tiny_run, copied, monkeypatch):
    noted = json.loads((copied / "mlflow_run.json").read_text())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", noted["uri"])
    shutil.rmtree(copied / LAST)
    train(tiny_config(), copied, resume=True, tracking="mlflow", device="cpu")
    assert json.loads((copied / "mlflow_run.json").read_text()) == noted
    from isthmus.training.mlflow_store import connect

    with connect(noted["uri"]) as connection:
        losses = connection.client.get_metric_history(noted["run_id"], "loss.total")
    assert [point.step for point in losses] == [2, 4, 6, 8]  # none twice


def test_another_store_than_that_of_the_start_is_refused_with_both_names(tiny_config, copied, tmp_path, monkeypatch):
    noted = json.loads((copied / "mlflow_run.json").read_text())
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    with pytest.raises(RegistryError) as caught:
        train(tiny_config(), copied, resume=True, tracking="mlflow", device="cpu")
    assert noted["uri"] in str(caught.value)
    assert other in str(caught.value)


def test_an_unreachable_tracking_server_is_one_error_before_training(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1"):
        train(tiny_config(), tmp_path / "output", tracking="mlflow", device="cpu")
    assert not (tmp_path / "output" / "checkpoints").exists()
