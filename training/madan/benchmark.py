"""What a step of MADAN costs in time and memory, plain and with each way of saving it."""

import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import torch
from rich.table import Table
from torch import Tensor

from isthmus.configuration import config
from isthmus.datasets.sample import Batch
from isthmus.errors import ConfigurationError, TrainingError
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig
from isthmus.training.madan.method import Madan
from isthmus.training.optim import AdamWConfig, ScheduledOptimiser, parameter_groups
from isthmus.training.runtime import Precision, Runtime, choose_device
from isthmus.training.schedules import ScheduleConfig
from isthmus.training.segmenters import NUM_CLASSES, SegmenterConfig, build_segmenter

_WARM_UP_STEPS: Final = 2
_MEBIBYTE: Final = 1 << 20
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
"""See proc(5)."""
VARIANTS: Final[Mapping[str, tuple[bool, bool, Precision]]] = {
    "plain": (False, False, "fp32"),
    "per source": (True, False, "fp32"),
    "per source, checkpointed": (True, True, "fp32"),
    "per source, checkpointed, bf16": (True, True, "bf16"),
}
"""Backward pass a source, checkpointing of residual units, and precision, by name."""


@config
class StepBenchmarkConfig:
    """What is measured; the size of everything decides the figures."""

    size_hw: tuple[int, int] = (256, 512)
    """Height and width of all frames."""
    batch_size: int = 1
    """Frames a source."""
    steps: int = 3
    """Timed steps a figure, after two that are not."""
    generator: GeneratorConfig = GeneratorConfig()
    """Of all translators."""
    discriminator: PatchDiscriminatorConfig = PatchDiscriminatorConfig()
    """Of all image discriminators."""
    segmenter: SegmenterConfig = SegmenterConfig(decoder="fpn", encoder="resnet18", weights="none")
    """F, F_A and all F_i."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""

    def __post_init__(self) -> None:
        if min(self.size_hw) < 32 or min(self.batch_size, self.steps) < 1:
            raise ValueError("size_hw must be 32 and up, batch_size and steps above 0")


@dataclass(frozen=True, slots=True)
class StepCost:
    """One row: a whole step with all parts of MADAN."""

    variant: str
    """A key of `VARIANTS`."""
    num_sources: int
    seconds_per_step: float
    images_per_second: float
    """Source and target frames."""
    peak_mib: float
    """Most memory in use beyond networks and frames: what is kept for the backward pass, gradients, moments. On a GPU
    the allocator's, on a CPU the resident set of a process of its own."""

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def step_table(costs: Sequence[StepCost], title: str) -> Table:
    """One line a row, with time and memory relative to the first."""
    table = Table("variant", "sources", "s/step", "images/s", "peak MiB", "time", "memory", title=title)
    for cost in costs:
        time_ratio = cost.seconds_per_step / costs[0].seconds_per_step
        memory_ratio = cost.peak_mib / max(costs[0].peak_mib, 1e-9)
        table.add_row(
            cost.variant,
            str(cost.num_sources),
            f"{cost.seconds_per_step:.2f}",
            f"{cost.images_per_second:.2f}",
            f"{cost.peak_mib:.0f}",
            f"x {time_ratio:.2f}",
            f"x {memory_ratio:.2f}",
        )
    return table


def measure_steps(config: StepBenchmarkConfig, rows: Sequence[tuple[str, int]]) -> Iterator[StepCost]:
    """Measure rows one after the other, each in a fresh process, so that none inherits another's memory.

    Args:
        config: Sizes.
        rows: A variant and a number of sources each.

    Yields:
        A row as soon as it is measured.

    Raises:
        ConfigurationError: No such variant, or a number of sources below 1.
        TrainingError: A process died: there is not enough memory.
    """
    for variant, num_sources in rows:
        if variant not in VARIANTS or num_sources < 1:
            raise ConfigurationError(
                f"cannot measure {variant!r} with {num_sources} sources",
                remedy=f"Choose from {', '.join(VARIANTS)}, with one source and more.",
            )
    context = multiprocessing.get_context("spawn")
    for variant, num_sources in rows:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_measure, args=(config, variant, num_sources, theirs))
        process.start()
        theirs.close()
        try:
            cost = ours.recv()
        except EOFError as error:
            process.join()
            raise TrainingError(
                f"measuring {variant!r} with {num_sources} sources ended with exit code {process.exitcode}",
                remedy="Take smaller frames or generators: memory has run out.",
            ) from error
        process.join()
        yield StepCost(**json.loads(cost))


def _measure(config: StepBenchmarkConfig, variant: str, num_sources: int, answer: Connection) -> None:
    """One row, in a process of its own."""
    per_source, checkpointing, precision = VARIANTS[variant]
    device = choose_device(config.device)
    runtime = Runtime(world=World(), device=device, precision=precision, channels_last=False, compile=False)
    method = _build(config, num_sources, runtime, per_source=per_source, checkpointing=checkpointing)
    sources, target = _frames(config, num_sources, device)
    seconds = []
    held = _memory_mib(device)
    for step in range(_WARM_UP_STEPS + config.steps):
        _wait(device)
        begin = time.perf_counter()
        method.train_step(step, sources, target)
        _wait(device)
        seconds.append(time.perf_counter() - begin)
    mean = sum(seconds[_WARM_UP_STEPS:]) / config.steps
    cost = StepCost(
        variant=variant,
        num_sources=num_sources,
        seconds_per_step=mean,
        images_per_second=(num_sources + 1) * config.batch_size / mean,
        peak_mib=_peak_mib(device) - held,
    )
    answer.send(json.dumps(cost.to_tree()))


def _build(
    config: StepBenchmarkConfig, num_sources: int, runtime: Runtime, *, per_source: bool, checkpointing: bool
) -> Madan:
    torch.manual_seed(0)
    segmenters = [build_segmenter(config.segmenter) for _ in range(num_sources + 1)]
    optimiser = AdamWConfig(optimiser="adamw", learning_rate=1e-4)
    optimisers = []
    for one in segmenters:
        runtime.place(one)
        groups = parameter_groups(one, one.encoder, optimiser)
        optimisers.append(ScheduledOptimiser(groups, optimiser, ScheduleConfig(warmup_steps=0), 1000))
    begun = StagesConfig(generators_from=0, sad_from=0, ccd_from=0, task_from=0, features_from=0, ramp=0)
    method = MadanConfig(
        name="madan",
        generator=config.generator,
        discriminator=config.discriminator,
        stages=begun,
        per_source_backward=per_source,
        checkpointing=checkpointing,
    )
    segmenter, *sources = segmenters
    return Madan(
        method,
        segmenter,
        sources,
        (optimisers[0], dict(enumerate(optimisers[1:]))),
        class_weights=None,
        runtime=runtime,
        total_steps=1000,
        seed=0,
    )


def _frames(config: StepBenchmarkConfig, num_sources: int, device: torch.device) -> tuple[list[Batch], Batch]:
    """Random frames: what they show costs nothing."""
    shape = (config.batch_size, *config.size_hw)
    names = [str(number) for number in range(config.batch_size)]

    def image() -> Tensor:
        return torch.rand(config.batch_size, 3, *config.size_hw).to(device)

    sources = [
        cast(Batch, {"image": image(), "mask": torch.randint(0, NUM_CLASSES, shape).to(device), "names": names})
        for _ in range(num_sources)
    ]
    return sources, cast(Batch, {"image": image(), "names": names})


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory_mib(device: torch.device) -> float:
    """What is in use now; the peak counts from here on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / _MEBIBYTE
    _CLEAR.write_text(_RESET_PEAK)
    return _resident_mib("VmRSS")


def _peak_mib(device: torch.device) -> float:
    """The most that was in use."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MEBIBYTE
    return _resident_mib("VmHWM")


def _resident_mib(field: str) -> float:
    """Resident set of this process; `getrusage` would begin with the peak of the process that started it."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024
