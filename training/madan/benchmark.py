"""What a step of MADAN costs in time and memory, plain and with each way of saving it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import torch

from isthmus.configuration import config
from isthmus.errors import ConfigurationError
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig, WeightsConfig, check_scales
from isthmus.training.madan.method import Madan
from isthmus.training.runtime import Precision
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

VARIANTS: Final[Mapping[str, tuple[bool, bool, Precision]]] = {
    "plain": (False, False, "fp32"),
    "per source": (True, False, "fp32"),
    "per source, checkpointed": (True, True, "fp32"),
    "per source, checkpointed, bf16": (True, True, "bf16"),
}
"""Backward pass a source, checkpointing of residual units, and precision, by name."""


@config
class MadanBenchmarkConfig(StepBenchmarkConfig):
    """What is measured; F, F_A and all F_i are of one kind."""

    generator: GeneratorConfig = GeneratorConfig()
    """Of all translators."""
    discriminator: PatchDiscriminatorConfig = PatchDiscriminatorConfig()
    """Of all image discriminators."""
    scales: tuple[float, ...] = (1.0, 0.6)
    """Context-aware generation of MADAN+; [1.0] leaves it out, for about half of the generators' cost."""

    def __post_init__(self) -> None:
        StepBenchmarkConfig.__post_init__(self)  # `super` does not know a class with slots
        check_scales(self.scales)

    @property
    def parts(self) -> str:
        """What plays in a measured step, in words."""
        scales = " and ".join(map(str, self.scales))
        return (
            "plays: (1) to (8), (5) and (6) from two sources on; alignment of features, scores and categories; "
            f"the sources as they are; self-training; generators at scale {scales}"
        )


def measure_madan(config: MadanBenchmarkConfig, rows: Sequence[tuple[str, int]]) -> Iterator[StepCost]:
    """Measure whole steps, where all parts of MADAN and MADAN+ play.

    All weights of `WeightsConfig` are above 0, from the first step on and without a ramp: (1) to (8), of which (5) and
    (6) from two sources on; alignment of features, scores and categories; supervision on the sources as they are;
    self-training; and the scales of the configuration. Random colours and the first stage are left out.

    Args:
        config: Sizes.
        rows: A key of `VARIANTS` and a number of sources each.

    Yields:
        A row as soon as it is measured; see `measure_rows`.

    Raises:
        ConfigurationError: No such variant, or a number of sources below 1.
        TrainingError: A process died.
    """
    for variant, num_sources in rows:
        if variant not in VARIANTS or num_sources < 1:
            raise ConfigurationError(
                f"cannot measure {variant!r} with {num_sources} sources",
                remedy=f"Choose from {', '.join(VARIANTS)}, with one source and more.",
            )
    wanted = [
        Row(
            method="madan",
            variant=variant,
            num_sources=num_sources,
            prepare=partial(_prepare, config, variant, num_sources),
        )
        for variant, num_sources in rows
    ]
    yield from measure_rows(config, wanted)


def _prepare(config: MadanBenchmarkConfig, variant: str, num_sources: int, device: torch.device) -> Prepared:
    per_source, checkpointing, precision = VARIANTS[variant]
    runtime = alone(device, precision)
    torch.manual_seed(0)
    (segmenter, optimiser), *of_sources = [placed_segmenter(config, runtime) for _ in range(num_sources + 1)]
    method = MadanConfig(
        name="madan",
        generator=config.generator,
        discriminator=config.discriminator,
        stages=StagesConfig(generators_from=0, sad_from=0, ccd_from=0, task_from=0, features_from=0, ramp=0),
        weights=WeightsConfig(source=0.5, score=0.1, category=0.1, self_training=1.0),
        scales=config.scales,
        per_source_backward=per_source,
        checkpointing=checkpointing,
    )
    madan = Madan(
        method,
        segmenter,
        [one for one, _ in of_sources],
        (optimiser, dict(enumerate(own for _, own in of_sources))),
        class_weights=None,
        runtime=runtime,
        total_steps=TOTAL_STEPS,
        seed=0,
    )
    sources = [random_batch(config, device, labelled=True) for _ in range(num_sources)]
    return Prepared(madan, sources, random_batch(config, device, labelled=False))
