"""Tiny data, the tiny configuration, and a whole tiny run that several tests look at."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = REPOSITORY / "configs" / "source_only" / "tiny.yaml"


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that configs/source_only/tiny.yaml calls TINY."""
    from isthmus.datasets.fakes import write_fakes

    root = tmp_path_factory.mktemp("tiny")
    write_fakes("gta5", root / "gta5", "all", num_frames=20, size_hw=(48, 96), seed=0)
    write_fakes("synthia", root / "synthia", "all", num_frames=6, size_hw=(48, 96), seed=1)
    write_fakes("camvid", root / "camvid", "val", num_frames=4, size_hw=(60, 80), seed=2)
    return root


@pytest.fixture
def tiny_config(tiny_data: Path, monkeypatch: pytest.MonkeyPatch):
    """Loads tiny.yaml with overrides."""
    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig

    monkeypatch.setenv("TINY", str(tiny_data))

    def load(*overrides: str) -> TrainingConfig:
        return load_config(TINY, TrainingConfig, overrides)

    return load


@pytest.fixture
def on_two_ranks(tiny_data: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs a script with arguments in two real processes under torchrun, TINY set for both."""

    def launch(script: str, *arguments: str | Path) -> None:
        worker = tmp_path / "worker.py"
        worker.write_text(script)
        command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [*command, str(worker), *map(str, arguments)],
            env={**os.environ, "TINY": str(tiny_data), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return launch


@dataclass(frozen=True)
class TinyRun:
    """A finished, uninterrupted run of tiny.yaml."""

    output: Path
    data: Path


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """tiny.yaml, trained once a session and tracked in MLflow beside its output."""
    import torch

    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig
    from isthmus.training.run import train

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINY", str(tiny_data))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'store' / 'mlflow.db'}")
        config = load_config(TINY, TrainingConfig)
        train(config, folder / "output", tracking="mlflow", device="cpu")
    return TinyRun(output=folder / "output", data=tiny_data)
