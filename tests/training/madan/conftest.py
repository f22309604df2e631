"""A whole MADAN run of configs/madan/tiny.yaml on fakes, made once; and the method alone, on very small networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.configuration import load_config
from isthmus.datasets.fakes import write_fakes
from isthmus.training.config import TrainingConfig
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig, WeightsConfig
from isthmus.training.madan.method import Madan
from isthmus.training.madan.stages import Stage, stage_at
from isthmus.training.optim import AdamWConfig, ScheduledOptimiser, parameter_groups
from isthmus.training.pretrained import IMAGENET
from isthmus.training.run import train
from isthmus.training.runtime import Runtime
from isthmus.training.schedules import ScheduleConfig
from isthmus.training.segmenters import NUM_CLASSES, Segmenter

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
STEPS = 10
ALL_AT_ONCE = StagesConfig(generators_from=0, sad_from=0, ccd_from=0, task_from=0, features_from=0, ramp=0)
TINY = Path(__file__).resolve().parents[3] / "configs" / "madan" / "tiny.yaml"


class _SmallNetwork(nn.Module):
    """Two convolutions and a normalisation layer."""

    feature_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Conv2d(8, NUM_CLASSES, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(image)
        return features, self.classifier(features)


def _config_of(**changes: Any) -> MadanConfig:
    values: dict[str, Any] = {
        "name": "madan",
        "generator": GeneratorConfig(width=4, blocks=1),
        "discriminator": PatchDiscriminatorConfig(width=4, layers=2),
        "stages": ALL_AT_ONCE,
        "weights": WeightsConfig(score=0.1, category=0.1),
        "pool_size": 2,
        "category_grid_hw": (2, 2),
    }
    return MadanConfig(**{**values, **changes})


def _madan_of(config: MadanConfig, num_sources: int, runtime: Runtime) -> Madan:
    """The same weights for the same configuration."""
    torch.manual_seed(0)
    segmenter, *sources = (Segmenter(_SmallNetwork(), IMAGENET) for _ in range(num_sources + 1))
    optimiser = AdamWConfig(optimiser="adamw", learning_rate=1e-3)

    def build(one: Segmenter) -> ScheduledOptimiser:
        groups = parameter_groups(one, one.encoder, optimiser)
        return ScheduledOptimiser(groups, optimiser, ScheduleConfig(warmup_steps=0), STEPS)

    return Madan(
        config,
        segmenter,
        sources,
        (build(segmenter), {i: build(one) for i, one in enumerate(sources)}),
        class_weights=None,
        runtime=runtime,
        total_steps=STEPS,
        seed=5,
    )


def _batches_of(step: int, num_sources: int = 2) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The same frames for the same step."""
    generator = torch.Generator().manual_seed(step)

    def image() -> Tensor:
        return torch.rand(2, 3, 32, 32, generator=generator)

    sources = [
        {
            "image": image(),
            "mask": torch.randint(0, NUM_CLASSES, (2, 32, 32), generator=generator),
            "names": ("a", "b"),
        }
        for _ in range(num_sources)
    ]
    return sources, {"image": image(), "names": ("c", "d")}


def _step_of(method: Madan, step: int, num_sources: int = 2) -> dict[str, float]:
    """One step's losses."""
    sources, target = _batches_of(step, num_sources)
    torch.manual_seed(step)  # dropout of the feature discriminators
    return {name: float(loss) for name, loss in method.train_step(step, sources, target).losses.items()}


def _weights_of(method: Madan) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.clone()
        for name, network in method.networks.items()
        for key, value in network.state_dict().items()
    }


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


@pytest.fixture
def build() -> Callable[..., Madan]:
    """Makes a method of very small networks, each time with the same weights, all parts in it from the first step."""
    return lambda num_sources=2, runtime=CPU, **changes: _madan_of(_config_of(**changes), num_sources, runtime)


@pytest.fixture
def first_stage() -> Callable[[int], Stage]:
    """The stage of the first step, by the number of sources."""
    return lambda num_sources: stage_at(_config_of(), 0, STEPS, num_sources)


@pytest.fixture
def batches_of() -> Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Makes the frames of a step, the same for the same step."""
    return _batches_of


@pytest.fixture
def step_of() -> Callable[..., dict[str, float]]:
    """Does one step and gives its losses."""
    return _step_of


@pytest.fixture
def weights_of() -> Callable[[Madan], dict[str, Tensor]]:
    """Copies all weights and buffers, by `network/key`."""
    return _weights_of
