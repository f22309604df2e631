"""Small networks and frames on which a step of the method can be followed by hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from isthmus.configuration import load_config, to_tree
from isthmus.training.checkpoint import CheckpointInfo, CheckpointStore
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig, ResnetGenerator
from isthmus.training.optim import AdamWConfig, ScheduledOptimiser, parameter_groups
from isthmus.training.pretrained import IMAGENET
from isthmus.training.randomization.config import ConsistencyConfig, RandomizationConfig
from isthmus.training.randomization.method import Randomization
from isthmus.training.randomization.styles.config import StylesConfig, StyleWeightsConfig
from isthmus.training.randomization.styles.stylist import build_stylist
from isthmus.training.runtime import Runtime
from isthmus.training.schedules import ScheduleConfig
from isthmus.training.segmenters import NUM_CLASSES, Segmenter

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
STEPS = 10
CONFIGS = Path(__file__).resolve().parents[3] / "configs"


class SmallEncoder(nn.Module):
    """Two stages, with or without a normalisation layer that looks at the batch."""

    def __init__(self, *, normalised: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        layer = nn.BatchNorm2d(8) if normalised else nn.Identity()
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), layer, nn.ReLU())

    def forward(self, image: Tensor) -> list[Tensor]:
        first = self.first(image)
        return [first, self.second(first)]


class SmallNetwork(nn.Module):
    """An encoder of two stages and a classifier on the last, with dropout between them."""

    feature_channels = 8

    def __init__(self, *, normalised: bool, dropout: float) -> None:
        super().__init__()
        self.encoder = SmallEncoder(normalised=normalised)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(8, NUM_CLASSES, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(image)[-1]
        return features, self.classifier(self.dropout(features))


def small_segmenter(*, normalised: bool = True, dropout: float = 0.0) -> Segmenter:
    """The same weights each time."""
    torch.manual_seed(0)
    return Segmenter(SmallNetwork(normalised=normalised, dropout=dropout), IMAGENET)


def optimiser_of(segmenter: Segmenter) -> ScheduledOptimiser:
    config = AdamWConfig(optimiser="adamw", learning_rate=1e-3)
    groups = parameter_groups(segmenter, segmenter.encoder, config)
    return ScheduledOptimiser(groups, config, ScheduleConfig(warmup_steps=0), STEPS)


def config_of(
    views: int = 3,
    views_per_pass: int | None = None,
    running_statistics: Literal["views", "frames"] = "views",
    **consistency: Any,
) -> RandomizationConfig:
    styles = StylesConfig(views=views, domains=4, weights=StyleWeightsConfig(amplitude=1.0))
    options = {"ramp": 0.0, "levels": (1, 2, 4), **consistency}
    return RandomizationConfig(
        name="randomization",
        styles=styles,
        consistency=ConsistencyConfig(**options),
        views_per_pass=views_per_pass,
        running_statistics=running_statistics,
    )


Build = Callable[..., Randomization]


@pytest.fixture
def build() -> Build:
    """A method on small networks; the same configuration gives the same weights."""

    def method_of(
        *,
        segmenter: Segmenter | None = None,
        class_weights: Tensor | None = None,
        runtime: Runtime = CPU,
        **options: Any,
    ) -> Randomization:
        config = config_of(**options)
        segmenter = small_segmenter() if segmenter is None else segmenter
        stylist = build_stylist(config.styles, seed=5, device=CPU.device)
        return Randomization(
            config,
            segmenter,
            optimiser_of(segmenter),
            stylist,
            class_weights=class_weights,
            runtime=runtime,
            total_steps=STEPS,
            seed=5,
        )

    return method_of


def batches_of(step: int, num_sources: int = 2, size_hw: tuple[int, int] = (32, 64)) -> list[dict[str, Any]]:
    """The same frames for the same step: blocks of colour with a label each, a stripe ignored."""
    generator = torch.Generator().manual_seed(step)
    height, width = size_hw
    sources = []
    for _ in range(num_sources):
        image = torch.rand(2, 3, height // 8, width // 8, generator=generator)
        mask = torch.randint(0, NUM_CLASSES, (2, height // 8, width // 8), generator=generator)
        mask = mask.repeat_interleave(8, 1).repeat_interleave(8, 2)
        mask[:, :3] = 255
        image = image.repeat_interleave(8, 2).repeat_interleave(8, 3)
        sources.append({"image": image, "mask": mask, "names": ["a", "b"]})
    return sources


@pytest.fixture
def small() -> Segmenter:
    """A segmenter of two stages."""
    return small_segmenter()


@pytest.fixture
def unnormalised() -> Callable[..., Segmenter]:
    """Makes segmenters whose frames do not see each other."""
    return partial(small_segmenter, normalised=False)


@pytest.fixture
def frames() -> Callable[..., list[dict[str, Any]]]:
    """Gives each step's batches."""
    return batches_of


@pytest.fixture
def optimiser() -> Callable[[Segmenter], ScheduledOptimiser]:
    """Makes the optimiser that `build` uses."""
    return optimiser_of


@pytest.fixture
def save_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint of configs/madan/tiny.yaml whose generators make everything 0.7 bright or residual."""

    def save(name: str = "run", *, step: int = 8, residual: bool = False, method: str = "madan") -> Path:
        config = load_config(CONFIGS / method / "tiny.yaml", TrainingConfig)
        tree = to_tree(config)
        networks = {}
        if method == "madan":
            tree["method"]["generator"] |= {"residual": residual}
            for source in range(2):
                generator = ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=residual))
                if not residual:
                    nn.init.zeros_(generator.head.weight)
                    nn.init.constant_(generator.head.bias, float(np.arctanh(2 * (0.7 + 0.1 * source) - 1)))
                networks[f"generator_to_target_{source}"] = generator.state_dict()
        info = CheckpointInfo(
            name=config.name,
            method=method,
            step=step,
            config=tree,
            config_hash="0",
            source_train_ids=(0,),
            datasets=(),
            evaluations=(),
            best_step=None,
            best_miou=None,
            git_commit="0",
            lock_hash="0",
            versions={},
        )
        CheckpointStore(tmp_path / name, 1).save(info, networks, {})
        return tmp_path / name

    return save
