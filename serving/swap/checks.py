"""What a candidate must show on this machine before it may answer: that it runs every batch, and is not too slow.

Both models share the machine with live frames, so a check rests after each batch for as long as that took.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ContractError, EngineLostError, ModelRefusedError
from isthmus.serving.config import LimitsConfig
from isthmus.serving.engine import Engine
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduling.batching import batch_sizes
from isthmus.serving.session import CPU
from isthmus.serving.swap.guard import MIN_RISE_S
from isthmus.serving.swap.live import BatchShape, LiveRecord

_ROUNDS: Final = 5
_FEWEST_LIVE: Final = 5
_WARM_SIZES: Final = 2
_GREY: Final = 127


def sizes_to_warm(largest: int, provider: str, live: LiveRecord | None = None) -> list[int]:
    """Sizes that batches may have: those that an accelerator's are filled up to.

    A CPU gains nothing by size and gets what comes: single frames, and what callers put together themselves.
    """
    sizes = batch_sizes(largest, provider)
    return sorted({*sizes, *live.sizes}) if provider == CPU and live is not None else sizes


async def warm_up(model: LoadedModel, limits: LimitsConfig, live: LiveRecord | None = None) -> Mapping[int, float]:
    """Run each batch size once, at the frame sizes that come now or else at the network's own.

    The first run of a shape takes memory and, on a GPU, chooses algorithms; there a second one is timed.

    Args:
        model: The candidate.
        limits: The largest batch.
        live: What the current model gets; None without one.

    Returns:
        Seconds by batch size, at the most frequent frame size.

    Raises:
        ContractError: It does not run one of them.
        EngineLostError: The execution provider failed for good.
    """
    frame_sizes = live.frame_sizes(_WARM_SIZES) if live is not None else []
    seconds: dict[int, float] = {}
    for height, width in frame_sizes or [model.card.network_size_hw]:
        for size in sizes_to_warm(limits.max_batch_size, model.provider, live):
            shape = BatchShape(size, height, width)
            took = await _run_and_rest(model, shape, live)
            if model.provider != CPU:
                took = await _run_and_rest(model, shape, live)
            seconds.setdefault(size, took)
    return seconds


async def check_speed(candidate: LoadedModel, current: LoadedModel, live: LiveRecord, max_slowdown: float) -> None:
    """Compare the time of a batch with the current model's.

    While no frames come, both are measured in turns, on frames of the candidate's network size. While frames come, the
    candidate is measured beside them on batches like theirs, and compared with the times of the current model then.

    Args:
        candidate: Warmed up.
        current: Answers now.
        live: What its frames show.
        max_slowdown: Largest ratio of the medians.

    Raises:
        ModelRefusedError: It is slower than that.
        EngineLostError: The execution provider failed for good.
    """
    pace = await _pace_beside_frames(candidate, live) if live.busy else None
    pace = pace or await _pace_in_turns(candidate, current)
    if pace.candidate_s > max_slowdown * pace.current_s and pace.candidate_s - pace.current_s >= MIN_RISE_S:
        raise ModelRefusedError(
            f"a batch of {pace.shape.size} takes {1000 * pace.candidate_s:.1f} ms, version {current.version} takes "
            f"{1000 * pace.current_s:.1f} ms, and {max_slowdown:g} times that is allowed",
            where=f"models:/{candidate.name}/{candidate.version}",
            remedy="Promote a faster model, or raise --max-slowdown if the machine can bear it.",
        )


async def timed(engine: Engine, shape: BatchShape, version: str) -> float:
    """Seconds that an engine takes for a batch of grey frames.

    Raises:
        ContractError: It fails on it.
        EngineLostError: The execution provider failed for good.
    """
    images: NDArray[np.uint8] = np.full((shape.size, shape.height, shape.width, 3), _GREY, np.uint8)
    started = time.perf_counter()
    try:
        await engine.infer(images)
    except (asyncio.CancelledError, EngineLostError):
        raise
    except Exception as error:  # whatever onnxruntime raises here, the model cannot do its work
        raise ContractError(
            f"the model fails on {shape.size} frames of {shape.width} x {shape.height}: {error}",
            where=f"version {version}",
            remedy="Serve smaller batches with --max-batch-size, or export the model again.",
        ) from error
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class _Pace:
    shape: BatchShape
    candidate_s: float
    current_s: float


async def _pace_beside_frames(candidate: LoadedModel, live: LiveRecord) -> _Pace | None:
    """None where too few batches of one shape came meanwhile."""
    shape = live.usual_shape
    assert shape is not None
    started = live.now()  # earlier batches had the machine to themselves
    times = await _times(candidate, shape, live)
    current = live.seconds_of(shape, since=started)
    return _Pace(shape, median(times), median(current)) if len(current) >= _FEWEST_LIVE else None


async def _times(candidate: LoadedModel, shape: BatchShape, live: LiveRecord) -> Sequence[float]:
    return [await _run_and_rest(candidate, shape, live) for _ in range(_ROUNDS)]


async def _pace_in_turns(candidate: LoadedModel, current: LoadedModel) -> _Pace:
    shape = BatchShape(1, *candidate.card.network_size_hw)
    times: dict[str, list[float]] = {"candidate": [], "current": []}
    for _ in range(_ROUNDS):
        times["candidate"].append(await timed(candidate.engine, shape, candidate.version))
        times["current"].append(await timed(current.engine, shape, current.version))
    return _Pace(shape, median(times["candidate"]), median(times["current"]))


async def _run_and_rest(model: LoadedModel, shape: BatchShape, live: LiveRecord | None) -> float:
    seconds = await timed(model.engine, shape, model.version)
    if live is not None and live.busy:
        await asyncio.sleep(seconds)
    return seconds
