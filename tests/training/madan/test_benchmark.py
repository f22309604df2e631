"""The cost of a step is measured in processes of their own."""

import pytest

from isthmus.errors import ConfigurationError
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.benchmark import MadanBenchmarkConfig, measure_madan

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


@pytest.mark.parametrize("row", [("magic", 2), ("plain", 0)])
def test_what_cannot_be_measured_is_refused(row: tuple[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="cannot measure"):
        next(measure_madan(SMALL, [row]))
