"""Who waits, who runs: a bounded line before the engine.

Admission counts every request from its arrival to its answer, so that decoding, waiting and running are bounded
by one number and a surplus is refused before any work is done for it. Batches run in the order of arrival;
work that was cancelled or has outlived its deadline is skipped when its turn comes.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DrainingError, OverloadedError
from isthmus.serving.engine import Engine, Prediction


class DeadlineExpired(Exception):  # noqa: N818 - a verdict about a frame, no error
    """The answer would come too late to be of use."""


@dataclass(frozen=True)
class Scheduled:
    """A prediction and the seconds it took to get there."""

    prediction: Prediction
    queue_s: float
    infer_s: float


@dataclass(frozen=True)
class _Work:
    engine: Engine
    images: NDArray[np.uint8]
    deadline: float
    enqueued: float
    done: asyncio.Future[Scheduled]


class Scheduler:
    """A first-in-first-out line before the engine.

    Args:
        max_in_flight: Most requests admitted at once.
        clock: Seconds from any fixed moment; deadlines are times of this clock.
    """

    def __init__(self, max_in_flight: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._draining = False
        self._line: asyncio.Queue[_Work] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run work, on the running event loop."""
        self._worker = asyncio.get_running_loop().create_task(self._run(), name="scheduler")

    def drain(self) -> None:
        """Admit nobody any more; who is admitted gets an answer."""
        self._draining = True

    async def stop(self) -> None:
        """End the worker; work that still waits is cancelled."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        while not self._line.empty():
            self._line.get_nowait().done.cancel()

    @contextlib.contextmanager
    def admission(self) -> Iterator[None]:
        """Hold a place for one request.

        Raises:
            DrainingError: The server is shutting down.
            OverloadedError: All places are taken.
        """
        if self._draining:
            raise DrainingError("the server is shutting down", remedy="Ask another server.")
        if self._in_flight >= self._max_in_flight:
            raise OverloadedError(f"{self._in_flight} requests are in flight already", remedy="Try again shortly.")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def infer(self, engine: Engine, images: NDArray[np.uint8], deadline: float) -> Scheduled:
        """Run a batch when its turn comes.

        Args:
            engine: The model's engine.
            images: RGB [B, H, W, 3] uint8.
            deadline: The clock's time from which on an answer is of no use; infinity for none.

        Raises:
            DeadlineExpired: The deadline passed before the answer was there.
        """
        done: asyncio.Future[Scheduled] = asyncio.get_running_loop().create_future()
        self._line.put_nowait(_Work(engine, images, deadline, self._clock(), done))
        return await done

    async def _run(self) -> None:
        while True:
            work = await self._line.get()
            if work.done.done():  # its caller was cancelled
                continue
            started = self._clock()
            if started >= work.deadline:
                work.done.set_exception(DeadlineExpired)
                continue
            try:
                prediction = await work.engine.infer(work.images)
            except asyncio.CancelledError:
                work.done.cancel()
                raise
            except Exception as error:
                _settle(work, error)
                continue
            finished = self._clock()
            if finished >= work.deadline:
                _settle(work, DeadlineExpired())
            else:
                _settle(work, Scheduled(prediction, started - work.enqueued, finished - started))


def _settle(work: _Work, outcome: Scheduled | Exception) -> None:
    if work.done.done():
        return
    if isinstance(outcome, Exception):
        work.done.set_exception(outcome)
    else:
        work.done.set_result(outcome)
