"""Whole runs from shards: resumed bit for bit, judged like files, refused where the order would change."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from isthmus.configuration import parse_config, to_yaml
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.shards.packing import pack_dataset
from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.build import build_streams, describe_datasets
from isthmus.training.checkpoint import read_info, read_state, read_weights
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.evaluation import EvaluationConfig, evaluate
from isthmus.training.frequencies import class_frequencies
from isthmus.training.history import read_history
from isthmus.training.run import train
from isthmus.training.runtime import Runtime
from isthmus.training.trained import evaluate_checkpoint

SHORT = (
    "loop.steps=5",
    "loop.evaluate_every=5",
    "loop.checkpoint_every=2",
    "loop.log_every=1",
    "schedule.warmup_steps=1",
)


@pytest.fixture(scope="module")
def packed(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data sets, packed."""
    root = tmp_path_factory.mktemp("packed")
    for name, split, part in (("gta5", "all", "fit"), ("gta5", "all", "holdout"), ("synthia", "all", None)):
        pack_dataset(
            DatasetConfig(dataset=name, root=tiny_data / name, split=split, part=part), root / name, frames_per_shard=4
        )
    pack_dataset(DatasetConfig(dataset="camvid", root=tiny_data / "camvid", split="val"), root / "camvid")
    return root


@pytest.fixture(scope="module")
def shards_config(packed, repository) -> Callable[..., TrainingConfig]:
    """Loads tiny.yaml with all of its data sets as shards, short, and with overrides."""
    text = (repository / "configs" / "source_only" / "tiny.yaml").read_text()
    for name in ("gta5", "synthia", "camvid"):
        text = text.replace(f"dataset: {name}, ", "dataset: shards, ")
        text = text.replace(f'"${{TINY:-data/tiny}}/{name}"', f'"${{PACKED:-{packed}}}/{name}"')
    for part in ("fit", "holdout"):
        text = text.replace(f"split: all, part: {part}", f"split: all-{part}")
    return lambda *overrides: parse_config(text, TrainingConfig, (*SHORT, *overrides))


@pytest.fixture(scope="module")
def whole(shards_config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of an uninterrupted run."""
    output = tmp_path_factory.mktemp("whole") / "output"
    torch.set_num_threads(1)
    train(shards_config(), output, tracking="none", device="cpu")
    return output


def last(output: Path) -> Path:
    return output / "checkpoints" / "step-00000005"


def numbers(output: Path) -> list[dict]:
    return [{key: row[key] for key in row if key != "images_per_second"} for row in read_history(output)]


def test_a_resumed_run_equals_the_uninterrupted_one(shards_config, whole, tmp_path):
    resumed = Path(shutil.copytree(whole, tmp_path / "resumed"))
    shutil.rmtree(last(resumed))  # as a kill between the checkpoints of steps 4 and 5 leaves it
    shutil.rmtree(resumed / "checkpoints" / "step-00000004")
    train(shards_config("loop.num_workers=2"), resumed, resume=True, tracking="none", device="cpu")
    ours, theirs = read_weights(last(resumed), "segmenter"), read_weights(last(whole), "segmenter")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert numbers(resumed) == numbers(whole)
    info = read_info(last(whole))
    assert [(card.role, card.dataset, card.split, card.num_frames) for card in info.datasets] == [
        ("source", "gta5", "all-fit", 18),
        ("source", "synthia", "all", 6),
        ("validation", "gta5", "all-holdout", 2),
        ("evaluation", "camvid", "val", 4),
    ]
    assert len(info.source_train_ids) == 16


def test_the_model_card_knows_the_frames_in_either_form(shards_config, tiny_config):
    assert [card.digest for card in describe_datasets(shards_config())] == [
        card.digest for card in describe_datasets(tiny_config())
    ]


def test_other_shards_of_the_same_frames_are_refused(shards_config, whole, packed, tiny_data, tmp_path, monkeypatch):
    again = Path(shutil.copytree(packed, tmp_path / "again"))
    shutil.rmtree(again / "synthia")
    synthia = DatasetConfig(dataset="synthia", root=tiny_data / "synthia", split="all")
    pack_dataset(synthia, again / "synthia", frames_per_shard=2)
    monkeypatch.setenv("PACKED", str(again))
    with pytest.raises(CheckpointError, match="packed otherwise since it was written: 6 frames in shards"):
        train(shards_config(), whole, resume=True, tracking="none", device="cpu")


def test_checkpoints_from_before_shards_still_resume(shards_config, whole, tmp_path, monkeypatch):
    def older(checkpoint: Path) -> dict:
        state = read_state(checkpoint)
        assert state.pop("draw_keys")[1].startswith("6 frames in shards ")
        return state

    monkeypatch.setattr("isthmus.training.run.read_state", older)
    output = Path(shutil.copytree(whole, tmp_path / "old"))
    assert train(shards_config(), output, resume=True, tracking="none", device="cpu").steps == 5


WORKER = """
import json
import os
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from isthmus.configuration import load_config
from isthmus.training import run
from isthmus.training.config import TrainingConfig

output, names = Path(sys.argv[2]), []
build_streams = run.build_streams
def remembering(*arguments):
    (gta5, synthia), target = build_streams(*arguments)
    def passing():
        for batch in gta5:
            names.extend(batch["names"])
            yield batch
    return [passing(), synthia], target
run.build_streams = remembering
run.train(load_config(Path(sys.argv[1]), TrainingConfig), output, tracking="none", device="cpu")
(output.parent / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(names))
"""


def test_two_processes_share_the_shards(shards_config, tmp_path):
    script, config, output = tmp_path / "worker.py", tmp_path / "config.yaml", tmp_path / "output"
    script.write_text(WORKER)
    steps = ("loop.steps=8", "loop.evaluate_every=8", "loop.checkpoint_every=8", "loop.batch_size=1")
    config.write_text(to_yaml(shards_config(*steps, "validation=null", "evaluated_on=[]")))
    command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(config), str(output)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert [len(names) for names in seen] == [8, 8]
    assert len({*seen[0], *seen[1]}) == 16  # each of 16 lanes gave one of the 18 frames
    assert read_info(output / "checkpoints" / "step-00000008").step == 8


class Always(torch.nn.Module):
    """Predicts one class."""

    def forward(self, image):
        logits = torch.zeros(len(image), 19, *image.shape[2:])
        logits[:, 2] = 1
        return logits


def test_evaluation_scores_shards_like_files(packed, tiny_data):
    files = build_dataset(DatasetConfig(dataset="camvid", root=tiny_data / "camvid", split="val"))
    shards = build_dataset(DatasetConfig(dataset="shards", root=packed / "camvid", split="val"))
    config = EvaluationConfig(resolution_hw=(30, 40), batch_size=3)
    of_files, of_shards = (evaluate(Always(), one, config, shared_train_ids=range(19)) for one in (files, shards))
    assert (of_shards.confusion == of_files.confusion).all()
    assert of_shards.dataset == "camvid"
    assert torch.equal(class_frequencies([files]), class_frequencies([shards]))
    parts = [evaluate(Always(), shards, config, shared_train_ids=(), world=Alone(rank)).confusion for rank in (0, 1)]
    assert (parts[0] + parts[1] == of_files.confusion).all()


class Alone(World):
    """One of two processes that does not wait for the other."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank=rank, size=2)

    def sum(self, tensor):
        return tensor


def test_a_checkpoint_is_judged_on_shards(whole, packed):
    config = DatasetConfig(dataset="shards", root=packed / "gta5", split="all-holdout", name="held-out")
    (result,) = evaluate_checkpoint(whole, datasets=[config], device="cpu")
    assert (result.title, result.num_frames) == ("held-out", 2)


def test_an_unlabelled_target_streams_beside_files(packed, tiny_config):
    config = tiny_config()
    sources = [build_dataset(source) for source in config.sources]
    target = build_dataset(DatasetConfig(dataset="shards", root=packed / "camvid", split="val"), labelled=False)
    runtime = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
    _, stream = build_streams(config, sources, target, runtime, step=3)
    batch = next(stream)
    assert set(batch) == {"image", "names"}
    assert batch["image"].shape == (2, 3, 32, 64)


def test_workers_that_cannot_share_the_lanes_are_refused_before_anything_else(shards_config, tiny_config):
    with pytest.raises(ConfigurationError, match=r"loop\.num_workers is 3: shards are read by 0, 1, 2, 4 or 8"):
        shards_config("loop.num_workers=3")
    assert tiny_config("loop.num_workers=3")
