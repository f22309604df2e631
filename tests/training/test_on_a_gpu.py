"""The three methods on a CUDA device, against the same runs on the CPU: `pytest -m gpu`, where there is one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import DropPath

from isthmus.configuration import load_config
from isthmus.datasets.fakes import write_fakes
from isthmus.training.checkpoint import read_weights
from isthmus.training.config import TrainingConfig
from isthmus.training.history import read_history
from isthmus.training.run import train
from isthmus.training.trained import evaluate_checkpoint

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
METHODS = ("source_only", "madan", "randomization")
TWO_STEPS = (
    *("loop.steps=2", "loop.evaluate_every=2", "loop.checkpoint_every=2", "loop.log_every=1"),
    "schedule.warmup_steps=1",
)
ALL_AT_ONCE = (
    "method.stages={generators_from: 0.0, sad_from: 0.0, ccd_from: 0.0, task_from: 0.0, features_from: 0.0, ramp: 0.0}"
)
PARTS = {
    "source_only": {"total"},
    "madan": {"gan_to_target", "cycle", "semantic", "sad", "ccd", "task", "feature", "target_discriminator"},
    "randomization": {"segmentation", "pcd", "pci"},
}

pytestmark = pytest.mark.gpu


@pytest.fixture
def tiny(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainingConfig]:
    """Loads a method's tiny.yaml with overrides, MADAN's with a target of its own."""
    monkeypatch.setenv("TINY", str(tiny_data))

    def load(method: str, *overrides: str) -> TrainingConfig:
        if method == "madan":
            if not (tmp_path / "target").exists():
                write_fakes("camvid", tmp_path / "target", "train", num_frames=4, size_hw=(60, 80), seed=9)
            overrides = (f"target={{dataset: camvid, root: {tmp_path / 'target'}, split: train}}", *overrides)
        return load_config(CONFIGS / method / "tiny.yaml", TrainingConfig, overrides)

    return load


@pytest.fixture
def comparable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TF32, nothing dropped at random, noise from the CPU: both devices compute the same but for rounding."""
    randn = torch.randn

    def from_the_cpu(*shape: Any, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        return randn(*shape, generator=torch.Generator().manual_seed(generator.initial_seed())).to(device)

    monkeypatch.setattr(torch, "randn", from_the_cpu)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.nn.Dropout2d, "forward", lambda _self, image: image)
    monkeypatch.setattr(DropPath, "forward", lambda _self, image: image)


def losses(output: Path) -> list[dict[str, float]]:
    return [row["losses"] for row in read_history(output) if row["kind"] == "train"]


@pytest.mark.parametrize("method", METHODS)
def test_first_losses_are_the_cpus(method, tiny, tmp_path, comparable):
    parts: tuple[str, ...] = ()
    if method == "madan":
        train(tiny("source_only", *TWO_STEPS), tmp_path / "start", tracking="none", device="cpu")
        parts = (ALL_AT_ONCE, f"method.start_from={tmp_path / 'start'}")
    for device in ("cpu", "cuda"):
        train(tiny(method, *TWO_STEPS, *parts), tmp_path / device, tracking="none", device=device)
    on_cpu, on_gpu = losses(tmp_path / "cpu")[0], losses(tmp_path / "cuda")[0]
    assert on_cpu.keys() == on_gpu.keys() >= PARTS[method]
    assert on_gpu == pytest.approx(on_cpu, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_and_channels_last_train_and_resume(method, tiny, tmp_path):
    config = tiny(method, "loop.precision=bf16", "loop.channels_last=true")
    made = train(config, tmp_path / "run", tracking="none", device="cuda")
    shutil.rmtree(made.last_checkpoint)
    before = len(losses(tmp_path / "run"))
    again = train(config, tmp_path / "run", resume=True, tracking="none", device="cuda")
    assert (made.steps, again.steps) == (config.loop.steps, config.loop.steps)
    assert len(losses(tmp_path / "run")) == before  # it went on in the middle: no step stands there twice
    assert all(torch.isfinite(tensor).all() for tensor in read_weights(again.last_checkpoint, "segmenter").values())


def test_a_checkpoint_scores_on_a_gpu_as_on_the_cpu(tiny, tmp_path):
    train(tiny("source_only"), tmp_path / "run", tracking="none", device="cuda")
    on_cpu, on_gpu = (evaluate_checkpoint(tmp_path / "run", device=device)[0] for device in ("cpu", "cuda"))
    assert np.abs(on_gpu.confusion - on_cpu.confusion).sum() < 0.01 * on_cpu.confusion.sum()
