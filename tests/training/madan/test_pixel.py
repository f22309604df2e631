"""Generators and discriminators of images by themselves: what has a graph, and what half precision does."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig, WeightsConfig
from isthmus.training.madan.pixel import Frames, PixelAdaptation
from isthmus.training.madan.semantics import Semantics
from isthmus.training.madan.stages import stage_at
from isthmus.training.runtime import Runtime

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
WEIGHTS = WeightsConfig(semantic=0.0, sad=0.0, ccd=0.0)


def config_of(**weights: Any) -> MadanConfig:
    return MadanConfig(
        name="madan",
        generator=GeneratorConfig(width=4, blocks=1),
        discriminator=PatchDiscriminatorConfig(width=4, layers=2),
        stages=StagesConfig(generators_from=0, sad_from=0, ccd_from=0, task_from=0, features_from=0, ramp=0),
        weights=replace(WEIGHTS, **weights),
    )


def step_of(pixel: PixelAdaptation, config: MadanConfig) -> None:
    """One step of all generators on two sources."""
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    frames = Frames([image, 1 - image], [torch.zeros(2, 32, 32, dtype=torch.long)] * 2, image.flip(3))
    semantics = Semantics([nn.Identity(), nn.Identity()], nn.Identity(), decay=0.9)  # type: ignore[arg-type, list-item]
    pixel.update_generators(frames, stage_at(config, 0, 10, 2), semantics)


@pytest.mark.parametrize("cycle", [0.0, 10.0])
def test_what_pictures_alone_use_has_no_graph(cycle: float) -> None:
    config = config_of(cycle=cycle)
    pixel = PixelAdaptation(config, 2, CPU, seed=0, network_seed=0)
    seen: list[bool] = []
    for generator in pixel.to_source:
        generator.register_forward_hook(lambda _network, _given, image: seen.append(image.requires_grad))
    step_of(pixel, config)
    assert seen == 2 * [True, cycle > 0]  # the target on its way to a source; the adapted frame on its way back


def test_without_a_cycle_generators_learn_in_half_precision_too() -> None:
    config = config_of(cycle=0.0)
    pixel = PixelAdaptation(config, 2, replace(CPU, precision="bf16"), seed=0, network_seed=0)
    step_of(pixel, config)
    for generator in (*pixel.to_target, *pixel.to_source):
        assert all(parameter.grad is not None for parameter in generator.parameters())
