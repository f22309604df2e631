"""What the benchmark of a step builds."""

import pytest
import torch

from isthmus.errors import ConfigurationError
from isthmus.training.randomization.benchmark import (
    DIVIDED,
    SOURCE_ONLY,
    VARIANTS,
    WHOLE,
    _prepare,
    measure_randomization,
)
from isthmus.training.randomization.method import Randomization
from isthmus.training.step_benchmark import StepBenchmarkConfig

SMALL = StepBenchmarkConfig(size_hw=(32, 32), batch_size=2, steps=1, device="cpu")
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("variant", "views", "losses", "passes"),
    [
        (SOURCE_ONLY, 1, {"total"}, 1),
        ("styles", 3, {"segmentation", "total"}, 1),
        (WHOLE, 3, {"segmentation", "pcd", "pci", "total"}, 1),
        (DIVIDED, 2, {"segmentation", "pcd", "pci", "total"}, 2 + 4),  # two views for the targets, then crops too
    ],
)
def test_each_variant_makes_the_steps_that_it_names(variant: str, views: int, losses: set[str], passes: int) -> None:
    method, sources, target = _prepare(SMALL, variant, views, CPU)
    assert isinstance(method, Randomization) == (variant != SOURCE_ONLY)
    assert target is None
    batches: list[int] = []
    method.segmenter.encoder.register_forward_hook(lambda _module, given, _out: batches.append(len(given[0])))
    assert set(method.train_step(0, sources, target).losses) == losses
    assert len(batches) == passes
    assert batches[0] == 2 * {SOURCE_ONLY: 1, "styles": 3, WHOLE: 3 + 2, DIVIDED: 1}[variant]


@pytest.mark.parametrize("row", [("magic", 3), (SOURCE_ONLY, 3), (WHOLE, 1)])
def test_what_cannot_be_measured_is_refused(row: tuple[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="cannot measure"):
        next(measure_randomization(SMALL, [row]))


def test_source_only_comes_first() -> None:
    assert next(iter(VARIANTS)) == SOURCE_ONLY
