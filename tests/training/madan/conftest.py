"""A whole MADAN run of configs/madan/tiny.yaml on fakes, made once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from isthmus.configuration import load_config
from isthmus.datasets.fakes import write_fakes
from isthmus.training.config import TrainingConfig
from isthmus.training.run import train

TINY = Path(__file__).resolve().parents[3] / "configs" / "madan" / "tiny.yaml"


@pytest.fixture(scope="session")
def madan_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CamVid's layout with unlabelled training frames."""
    root = tmp_path_factory.mktemp("target")
    write_fakes("camvid", root, "train", num_frames=4, size_hw=(60, 80), seed=9)
    return root


@pytest.fixture
def madan_config(tiny_data: Path, madan_target: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainingConfig]:
    """Loads tiny.yaml with overrides."""
    monkeypatch.setenv("TINY", str(tiny_data))
    target = f"target={{dataset: camvid, root: {madan_target}, split: train}}"
    return lambda *overrides: load_config(TINY, TrainingConfig, [target, *overrides])


@pytest.fixture(scope="session")
def madan_run(tiny_data: Path, madan_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, uninterrupted run."""
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("madan") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINY", str(tiny_data))
        target = f"target={{dataset: camvid, root: {madan_target}, split: train}}"
        train(load_config(TINY, TrainingConfig, [target]), output, tracking="none", device="cpu")
    return output
