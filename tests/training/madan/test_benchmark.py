"""The cost of a step is measured in processes of their own."""

import pytest
import torch

from isthmus.errors import ConfigurationError
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.benchmark import MadanBenchmarkConfig, _prepare, measure_madan

SMALL = MadanBenchmarkConfig(
    size_hw=(32, 32),
    steps=1,
    generator=GeneratorConfig(width=4, blocks=1),
    discriminator=PatchDiscriminatorConfig(width=4, layers=2),
    device="cpu",
)


def test_a_row_is_measured() -> None:
    (cost,) = measure_madan(SMALL, [("per source, checkpointed, bf16", 2)])
    assert (cost.method, cost.num_views) == ("madan", 1)
    assert (cost.variant, cost.num_sources) == ("per source, checkpointed, bf16", 2)
    assert cost.seconds_per_step > 0
    assert cost.images_per_second == pytest.approx(3 / cost.seconds_per_step)
    assert cost.peak_mib > 0


@pytest.mark.parametrize("num_sources", [1, 2, 3, 4])
def test_every_part_plays(num_sources: int) -> None:
    method, sources, target = _prepare(SMALL, "per source", num_sources, torch.device("cpu"))
    losses = set(method.train_step(0, sources, target).losses)
    always = {"gan_to_target", "gan_to_source", "cycle", "semantic", "task", "source", "feature", "score", "category"}
    assert losses >= always | {"self_training"}
    assert {"sad", "ccd"} <= losses or num_sources == 1
    assert method._pixel._config.scales == (1.0, 0.6)
    assert SMALL.parts.endswith("self-training; generators at scale 1.0 and 0.6")


@pytest.mark.parametrize("row", [("magic", 2), ("plain", 0)])
def test_what_cannot_be_measured_is_refused(row: tuple[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="cannot measure"):
        next(measure_madan(SMALL, [row]))
