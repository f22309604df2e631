"""What a step of domain randomization costs in time and memory against source-only training, as K grows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch

from isthmus.errors import ConfigurationError
from isthmus.training.randomization.config import ConsistencyConfig, RandomizationConfig
from isthmus.training.randomization.method import Randomization
from isthmus.training.randomization.styles.config import StylesConfig, StyleWeightsConfig
from isthmus.training.randomization.styles.stylist import build_stylist
from isthmus.training.runtime import Precision, Runtime
from isthmus.training.source_only.method import SourceOnly
from isthmus.training.step_benchmark import (
    TOTAL_STEPS,
    Prepared,
    Row,
    StepBenchmarkConfig,
    StepCost,
    alone,
    measure_rows,
    placed_segmenter,
    random_batch,
)

SOURCE_ONLY: Final = "source-only"
"""What all else is compared with; one view."""
WHOLE: Final = "styles, PCD, PCI"
"""All of the method, all views and crops of a frame in one batch."""
DIVIDED: Final = "styles, PCD, PCI, one a pass"
"""The same with `views_per_pass: 1`."""


class _Variant(NamedTuple):
    weight_pcd: float
    weight_pci: float
    views_per_pass: int | None
    precision: Precision


VARIANTS: Final[Mapping[str, _Variant]] = {
    SOURCE_ONLY: _Variant(0.0, 0.0, None, "fp32"),
    "styles": _Variant(0.0, 0.0, None, "fp32"),
    "styles, PCD": _Variant(0.1, 0.0, None, "fp32"),
    WHOLE: _Variant(0.1, 0.1, None, "fp32"),
    DIVIDED: _Variant(0.1, 0.1, 1, "fp32"),
    "styles, PCD, PCI, bf16": _Variant(0.1, 0.1, None, "bf16"),
}
"""What plays, how many views and crops of a frame go through at once, and precision, by name."""


def measure_randomization(config: StepBenchmarkConfig, rows: Sequence[tuple[str, int]]) -> Iterator[StepCost]:
    """Measure whole steps with one source.

    Styles are noise on amplitude spectra, K - 1 domains of them; making them is part of a step. A trained generator's
    forward pass costs more, and comes on top for each view.

    Args:
        config: Sizes.
        rows: A key of `VARIANTS` and K, the views of each frame, 1 for source-only and 2 and up for all else.

    Yields:
        A row as soon as it is measured; see `measure_rows`.

    Raises:
        ConfigurationError: No such variant, or a number of views that it cannot have.
        TrainingError: A process died.
    """
    for variant, num_views in rows:
        if variant not in VARIANTS or (num_views != 1 if variant == SOURCE_ONLY else num_views < 2):
            raise ConfigurationError(
                f"cannot measure {variant!r} with {num_views} views",
                remedy=f"Choose {SOURCE_ONLY} with one view, or {', '.join(list(VARIANTS)[1:])} with two and more.",
            )
    wanted = [
        Row(
            method="source_only" if variant == SOURCE_ONLY else "randomization",
            variant=variant,
            num_sources=1,
            num_views=num_views,
            prepare=partial(_prepare, config, variant, num_views),
        )
        for variant, num_views in rows
    ]
    yield from measure_rows(config, wanted)


def _prepare(config: StepBenchmarkConfig, variant: str, num_views: int, device: torch.device) -> Prepared:
    runtime = alone(device, VARIANTS[variant].precision)
    torch.manual_seed(0)
    sources = [random_batch(config, device, labelled=True)]
    if variant == SOURCE_ONLY:
        return Prepared(SourceOnly(*placed_segmenter(config, runtime), None, runtime), sources, None)
    return Prepared(_build(config, VARIANTS[variant], num_views, runtime), sources, None)


def _build(config: StepBenchmarkConfig, variant: _Variant, num_views: int, runtime: Runtime) -> Randomization:
    method = RandomizationConfig(
        name="randomization",
        styles=StylesConfig(views=num_views, domains=num_views - 1, weights=StyleWeightsConfig(amplitude=1.0)),
        consistency=ConsistencyConfig(weight_pcd=variant.weight_pcd, weight_pci=variant.weight_pci, ramp=0.0),
        views_per_pass=variant.views_per_pass,
    )
    return Randomization(
        method,
        *placed_segmenter(config, runtime),
        build_stylist(method.styles, seed=0, device=runtime.device),
        class_weights=None,
        runtime=runtime,
        total_steps=TOTAL_STEPS,
        seed=0,
    )
