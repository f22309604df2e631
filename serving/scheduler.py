"""Who waits, who runs: a bounded line before the engine.

Admission counts every request from its arrival to its answer, so that decoding, waiting and running are bounded
by one number and a surplus is refused before any work is done for it. Batches run in the order of arrival. Work that
has outlived its deadline is skipped when its turn comes; work whose caller went away leaves the line at once, and
what runs already keeps its place among the admitted until it has really ended, since until then it holds memory.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DrainingError, EngineLostError, FrameExpiredError, OverloadedError
from isthmus.serving.engine import Engine, Prediction

T = TypeVar("T")


@dataclass(frozen=True)
class Scheduled:
    """A prediction and the seconds it took to get there."""

    prediction: Prediction
    queue_s: float
    infer_s: float


@dataclass(frozen=True, eq=False)
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
        self._line: deque[_Work] = deque()
        self._arrival = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._lost: EngineLostError | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to run work, on the running event loop; the task ends only with an `EngineLostError`."""
        self._worker = asyncio.get_running_loop().create_task(self._run(), name="scheduler")
        return self._worker

    @property
    def is_draining(self) -> bool:
        """Whether nobody is admitted any more."""
        return self._draining

    @property
    def in_flight(self) -> int:
        """Requests admitted and not answered yet."""
        return self._in_flight

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the engine."""
        return len(self._line)

    def drain(self) -> None:
        """Admit nobody any more; who is admitted gets an answer."""
        self._draining = True

    async def stop(self) -> None:
        """End the worker; work that still waits is cancelled."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        for work in self._line:
            work.done.cancel()
        self._line.clear()

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
            FrameExpiredError: The deadline passed before the answer was there.
            EngineLostError: The engine failed for good, now or earlier.
        """
        if self._lost is not None:
            raise self._lost
        done: asyncio.Future[Scheduled] = asyncio.get_running_loop().create_future()
        work = _Work(engine, images, deadline, self._clock(), done)
        self._line.append(work)
        self._arrival.set()
        return await until_ended(done, lambda: self._withdraw(work))

    def _withdraw(self, work: _Work) -> bool:
        if work not in self._line:
            return False
        self._line.remove(work)
        return True

    async def _next(self) -> _Work:
        while not self._line:
            self._arrival.clear()
            await self._arrival.wait()
        return self._line.popleft()

    async def _run(self) -> None:
        while True:
            await self._work_on(await self._next())  # no name here would keep a batch alive while nothing comes

    async def _work_on(self, work: _Work) -> None:
        started = self._clock()
        if started >= work.deadline:
            work.done.set_exception(too_late())
            return
        try:
            prediction = await work.engine.infer(work.images)
        except asyncio.CancelledError:
            work.done.cancel()
            raise
        except EngineLostError as error:
            self._lose(error, work)
            raise
        except Exception as error:
            work.done.set_exception(error)
            return
        finished = self._clock()
        if finished >= work.deadline:
            work.done.set_exception(too_late())
        else:
            work.done.set_result(Scheduled(prediction, started - work.enqueued, finished - started))

    def _lose(self, error: EngineLostError, running: _Work) -> None:
        self._lost = error
        self.drain()
        for work in (running, *self._line):
            work.done.set_exception(error)
        self._line.clear()


def too_late() -> FrameExpiredError:
    """What a frame is told whose deadline has passed."""
    return FrameExpiredError("the deadline passed before a mask was ready")


async def until_ended(work: asyncio.Future[T], withdraw: Callable[[], bool]) -> T:
    """The result of `work`; a caller that is cancelled leaves only when `work` needs its memory no more.

    Args:
        work: What another task or thread will settle.
        withdraw: Takes the work back if it has not begun; whether that succeeded.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if not work.done() and not withdraw():
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # nobody else will ask for it
        raise
