"""What a training step costs in time and memory: each figure comes out of a process of its own."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

import torch
from rich.table import Table
from torch import Tensor

from isthmus.configuration import config
from isthmus.datasets.sample import Batch
from isthmus.errors import IsthmusError, TrainingError
from isthmus.training.distributed import World
from isthmus.training.method import Method
from isthmus.training.optim import AdamWConfig, ScheduledOptimiser, parameter_groups
from isthmus.training.runtime import Precision, Runtime, choose_device
from isthmus.training.schedules import ScheduleConfig
from isthmus.training.segmenters import NUM_CLASSES, Segmenter, SegmenterConfig, build_segmenter

TOTAL_STEPS: Final = 1000
"""Of the run that the measured steps pretend to belong to."""
_WARM_UP_STEPS: Final = 2
_MEBIBYTE: Final = 1 << 20
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
"""See proc(5)."""


@config
class StepBenchmarkConfig:
    """What all methods' measurements share; the size of everything decides the figures."""

    size_hw: tuple[int, int] = (256, 512)
    """Height and width of all frames."""
    batch_size: int = 1
    """Frames a source."""
    steps: int = 3
    """Timed steps a figure, after two that are not."""
    segmenter: SegmenterConfig = SegmenterConfig(decoder="fpn", encoder="resnet18", weights="none")
    """Every segmenter of the method."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""

    def __post_init__(self) -> None:
        if min(self.size_hw) < 32 or min(self.batch_size, self.steps) < 1:
            raise ValueError("size_hw must be 32 and up, batch_size and steps above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One row: a whole step of a method."""

    method: str
    """Its `name`."""
    variant: str
    """How it was measured, in words."""
    num_sources: int
    num_views: int
    """Versions of each frame, itself among them."""
    seconds_per_step: float | None
    """None where memory ran out, as of the other two."""
    images_per_second: float | None
    """Source and target frames; a frame's views and crops do not count."""
    peak_mib: float | None
    """Most memory in use beyond networks and frames: what is kept for the backward pass, gradients, moments. On a GPU
    the allocator's, on a CPU the resident set of a process of its own."""

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Prepared(NamedTuple):
    """A method and what its steps are given."""

    method: Method
    sources: Sequence[Batch]
    target: Batch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What to measure. It goes to another process, so it holds configurations and functions of modules alone."""

    method: str
    variant: str
    num_sources: int
    num_views: int = 1
    prepare: Callable[[torch.device], Prepared]
    """Builds the method on a device."""

    def cost(self, seconds: float | None, images: int, peak_mib: float | None) -> StepCost:
        """The row with its figures.

        Args:
            seconds: Of a step; None where memory ran out.
            images: Frames of a step.
            peak_mib: See `StepCost`.
        """
        return StepCost(
            method=self.method,
            variant=self.variant,
            num_sources=self.num_sources,
            num_views=self.num_views,
            seconds_per_step=seconds,
            images_per_second=None if seconds is None else images / seconds,
            peak_mib=peak_mib,
        )


def step_table(costs: Sequence[StepCost], title: str, *, counted: Literal["sources", "views"], note: str = "") -> Table:
    """One line a row, with time and memory relative to the first.

    Args:
        costs: At least one.
        title: Above the table.
        counted: What varies from row to row.
        note: Below the table.
    """
    first = costs[0]
    table = Table(
        "variant", counted, "s/step", "images/s", "peak MiB", "time", "memory", title=title, caption=note or None
    )
    for cost in costs:
        table.add_row(
            cost.variant,
            str(cost.num_sources if counted == "sources" else cost.num_views),
            "out of memory" if cost.seconds_per_step is None else f"{cost.seconds_per_step:.2f}",
            "–" if cost.images_per_second is None else f"{cost.images_per_second:.2f}",
            "–" if cost.peak_mib is None else f"{cost.peak_mib:.0f}",
            _ratio(cost.seconds_per_step, first.seconds_per_step),
            _ratio(cost.peak_mib, first.peak_mib),
        )
    return table


def _ratio(value: float | None, first: float | None) -> str:
    return "–" if value is None or first is None else f"x {value / max(first, 1e-9):.2f}"


def measure_rows(config: StepBenchmarkConfig, rows: Sequence[Row]) -> Iterator[StepCost]:
    """Measure rows one after the other, each in a fresh process, so that none inherits another's memory.

    Args:
        config: Steps and device.
        rows: What to measure.

    Yields:
        A row as soon as it is measured; without figures where memory ran out.

    Raises:
        TrainingError: A process died of something else.
    """
    context = multiprocessing.get_context("spawn")
    for row in rows:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_measure, args=(row, config.steps, config.device, theirs))
        process.start()
        theirs.close()
        try:
            answer: StepCost | IsthmusError | None = ours.recv()
        except EOFError:
            answer = None
        process.join()
        if isinstance(answer, IsthmusError):
            raise answer
        if answer is None and process.exitcode != -signal.SIGKILL:
            raise TrainingError(
                f"measuring {row.variant!r} with {row.num_sources} sources and {row.num_views} views ended with exit "
                f"code {process.exitcode}",
                remedy="What it printed above says why.",
            )
        # A system that is out of memory kills the process without a word.
        yield row.cost(None, 0, None) if answer is None else answer


def _measure(row: Row, steps: int, device_name: str, answer: Connection) -> None:
    """One row, in a process of its own."""
    try:
        answer.send(_cost_of(row, steps, choose_device(device_name)))
    except IsthmusError as error:
        answer.send(error)
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        answer.send(row.cost(None, 0, None))


def _is_shortage(error: Exception) -> bool:
    """Whether memory ran out: the CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def _cost_of(row: Row, steps: int, device: torch.device) -> StepCost:
    method, sources, target = row.prepare(device)
    seconds = []
    held = _memory_mib(device)
    for step in range(_WARM_UP_STEPS + steps):
        _wait(device)
        begin = time.perf_counter()
        method.train_step(step, sources, target)
        _wait(device)
        seconds.append(time.perf_counter() - begin)
    batches = sources if target is None else [*sources, target]
    images = sum(len(batch["names"]) for batch in batches)
    return row.cost(sum(seconds[_WARM_UP_STEPS:]) / steps, images, _peak_mib(device) - held)


def alone(device: torch.device, precision: Precision = "fp32") -> Runtime:
    """The runtime of a run of one process."""
    return Runtime(world=World(), device=device, precision=precision, channels_last=False, compile=False)


def placed_segmenter(config: StepBenchmarkConfig, runtime: Runtime) -> tuple[Segmenter, ScheduledOptimiser]:
    """A segmenter on the runtime's device, and its optimiser."""
    segmenter = build_segmenter(config.segmenter)
    runtime.place(segmenter)
    optimiser = AdamWConfig(optimiser="adamw", learning_rate=1e-4)
    groups = parameter_groups(segmenter, segmenter.encoder, optimiser)
    return segmenter, ScheduledOptimiser(groups, optimiser, ScheduleConfig(warmup_steps=0), TOTAL_STEPS)


def random_batch(config: StepBenchmarkConfig, device: torch.device, *, labelled: bool) -> Batch:
    """Random frames: what they show costs nothing."""
    count, size_hw = config.batch_size, config.size_hw
    batch: dict[str, list[str] | Tensor] = {
        "image": torch.rand(count, 3, *size_hw).to(device),
        "names": [str(number) for number in range(count)],
    }
    if labelled:
        batch["mask"] = torch.randint(0, NUM_CLASSES, (count, *size_hw)).to(device)
    return cast(Batch, batch)


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
