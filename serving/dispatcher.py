"""Carries out what `serving.scheduling` decides: decodes ahead, keeps the engine busy, settles what waits.

Two tasks work hand in hand. One forms a batch and decodes it on the codec's threads while the engine still computes,
as late as it may: so newer frames can still take the place of older ones, and larger batches come together. The
other runs it the moment the engine is free. At most one batch is ahead, and nothing is decoded before its turn.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import EngineLostError, FrameSupersededError, ServingError
from isthmus.serving.decoder import Decoder
from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone, Events
from isthmus.serving.jobs import Done, Job, too_late, until_ended
from isthmus.serving.model import LoadedModel
from isthmus.serving.model_slots import ModelSlot, ModelSlots
from isthmus.serving.scheduling.batching import BatchRules, form_batch, wait_s
from isthmus.serving.scheduling.latency import Smoothed
from isthmus.serving.scheduling.line import Line

_LEAD_SHARE: Final = 0.15
_LEAD_S: Final = 0.002  # timers of an event loop are a millisecond late, and so may the engine be early


@dataclass(eq=False, slots=True)
class _Ahead:
    """A batch whose pixels are ready."""

    jobs: list[Job]
    images: NDArray[np.uint8]


class Dispatcher:
    """Runs jobs on the models' engines, one batch at a time.

    Args:
        line: What waits.
        slots: The models.
        codec: The threads that decode.
        events: Told of each batch.
        clock: Seconds; deadlines are times of this clock.
    """

    def __init__(
        self, line: Line[Job], slots: ModelSlots, codec: Executor, events: Events, clock: Callable[[], float]
    ) -> None:
        self._line = line
        self._slots = slots
        self._events = events
        self._clock = clock
        self._open: set[Job] = set()
        self._ahead: _Ahead | None = None
        self._running: ModelSlot | None = None
        self._busy_until = -math.inf
        self._to_form = asyncio.Event()
        self._to_run = asyncio.Event()
        self._ended = asyncio.Event()
        self._decoder = Decoder(codec, clock)
        self.after_engine = Smoothed()
        """Seconds from the end of a batch to an answer: who asks tells the dispatcher, which plans with them."""
        self._lost: EngineLostError | None = None

    @property
    def running(self) -> LoadedModel | None:
        """The model that computes now."""
        return self._running.model if self._running is not None else None

    @property
    def num_open(self) -> int:
        """Jobs that wait, are decoded, or run."""
        return len(self._open)

    @property
    def num_waiting(self) -> int:
        """Jobs that wait."""
        return len(self._line)

    async def work(self) -> None:
        """Form and run batches until cancelled.

        Raises:
            EngineLostError: No engine can be used any more.
        """
        tasks = [asyncio.create_task(loop(), name=loop.__name__) for loop in (self._form_batches, self._run_batches)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a loop never ends by itself: nobody must wait for it then
            self._lose(error)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def cancel_all(self) -> None:
        """Give up all jobs, once `work` has ended."""
        for job in tuple(self._open):
            self._settle(job, None)

    def model_changed(self) -> None:
        """Look again: another model serves."""
        self._to_form.set()

    async def drained(self, model: LoadedModel) -> None:
        """Return when no batch of `model` runs."""
        while self.running is model:
            self._ended.clear()
            await self._ended.wait()

    async def run(self, job: Job) -> Done:
        """Let `job` wait for its turn, and compute it.

        Raises:
            EngineLostError: The engine failed for good, now or earlier.
            FrameExpiredError: The deadline passed, or would have, before the answer was there.
            FrameSupersededError: Newer work of the same stream came.
        """
        if self._lost is not None:
            raise self._lost
        timer = None
        if job.deadline < math.inf:
            left = job.deadline - self._clock()
            if left <= 0:
                raise too_late()
            timer = asyncio.get_running_loop().call_later(left, self._expire, job)
        self._open.add(job)
        older = self._line.offer(job)
        if older is not None:
            self._settle(older, FrameSupersededError("a newer frame of this camera came"))
        if len(self._line) == 1 or self._gathers():
            self._to_form.set()
        try:
            return await until_ended(job.done, lambda: self._withdraw(job))
        finally:
            if timer is not None:
                timer.cancel()

    def _gathers(self) -> bool:
        """Whether a free engine may wait for more work, and must hear of it."""
        champion = self._slots.champion
        return champion is not None and champion.rules.max_wait_s > 0

    def _expire(self, job: Job) -> None:
        if self._take_back(job):
            self._settle(job, too_late())

    def _withdraw(self, job: Job) -> bool:
        job.is_dead = True
        if not self._take_back(job):
            return False
        self._settle(job, None)
        return True

    def _take_back(self, job: Job) -> bool:
        """Take `job` out of the line, or of the batch that is ready; whether neither thread nor engine has it."""
        if self._line.withdraw(job):
            return True
        if self._ahead is None or job not in self._ahead.jobs:
            return False
        self._ahead.jobs.remove(job)
        if not self._ahead.jobs:
            self._ahead = None
            self._to_form.set()
        return True

    def _settle(self, job: Job, outcome: Done | Exception | None) -> None:
        """Tell the caller how it ended; None where it asked no more, or the server ends."""
        self._open.discard(job)
        if job.done.done():
            return
        if outcome is None:
            job.done.cancel()
        elif isinstance(outcome, Exception):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)

    def _lose(self, error: Exception) -> None:
        self._lost = (
            error
            if isinstance(error, EngineLostError)
            else EngineLostError("the scheduler has failed", remedy="Ask another server; this one ends.")
        )
        for job in tuple(self._open):
            self._line.withdraw(job)
            self._settle(job, self._lost)

    # Forming and decoding.

    async def _form_batches(self) -> None:
        while True:
            pause = self._pause_s()
            if pause > 0:
                await self._until_changed(pause)
                continue
            self._ahead = await self._next_batch()  # no name here would keep a batch alive while nothing comes
            self._to_run.set()

    async def _next_batch(self) -> _Ahead | None:
        slot = self._slots.champion
        assert slot is not None, "see _pause_s"
        now = self._clock()
        start = max(now + self._decoder.usual.promise(now), self._busy_until)
        formed = form_batch(self._line, slot.rules, self._seconds(slot), start)
        for job in formed.late:
            self._settle(job, too_late())
        return await self._decoded(formed.batch, slot.rules) if formed.batch else None

    def _pause_s(self) -> float:
        """Seconds until a batch should be formed, as far as one can know now."""
        slot = self._slots.champion
        if slot is None or self._ahead is not None or not self._line:
            return math.inf
        now = self._clock()
        if self._running is None:
            return wait_s(self._line, slot.rules, self._seconds(slot), now)
        takes = self._running.latency.expect(1)
        return self._busy_until - now - (_LEAD_S + self._decoder.usual.at_most + _LEAD_SHARE * takes)

    def _seconds(self, slot: ModelSlot) -> Callable[[int], float]:
        now = self._clock()
        return lambda size: slot.latency.promise(size, now) + self.after_engine.promise(now)

    async def _until_changed(self, pause: float) -> None:
        self._to_form.clear()
        timer = asyncio.get_running_loop().call_later(pause, self._to_form.set) if pause < math.inf else None
        try:
            await self._to_form.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _decoded(self, jobs: list[Job], rules: BatchRules) -> _Ahead | None:
        """The batch of those jobs whose pixels can be had; None where there is none."""
        images = await self._decoder.batch(jobs, rules.padded(sum(job.count for job in jobs)))
        for job in jobs:
            if job.failure is not None:
                self._settle(job, job.failure)
        left = self._still_of_use([job for job in jobs if job.failure is None], self._clock())
        return _Ahead(left, images) if left and images is not None else None

    # Running.

    async def _run_batches(self) -> None:
        while True:
            if self._ahead is None:
                self._to_form.set()
                self._to_run.clear()
                await self._to_run.wait()
                continue
            ahead, self._ahead = self._ahead, None
            await self._run_batch(ahead)
            del ahead  # no name here may keep a batch alive while nothing comes

    async def _run_batch(self, ahead: _Ahead) -> None:
        try:
            slot = self._slots.find(version=ahead.jobs[0].group.version)
        except ServingError as error:
            for job in ahead.jobs:
                self._settle(job, error)
            return
        size = len(ahead.images)
        started = self._clock()
        jobs = self._still_of_use(ahead.jobs, started + slot.latency.promise(size, started))
        if not jobs:
            return
        self._running, self._busy_until = slot, started + slot.latency.expect(size)
        self._to_form.set()
        try:
            failed = await self._infer(slot, jobs, ahead.images, started)
            if failed and len(jobs) > 1:
                await self._infer_each(slot, jobs, ahead.images)
        finally:
            self._running, self._busy_until = None, -math.inf
            self._ended.set()

    def _still_of_use(self, jobs: Sequence[Job], ready_at: float) -> list[Job]:
        left = []
        for job in jobs:
            if job.is_dead:
                self._settle(job, None)
            elif job.deadline < ready_at:
                self._settle(job, too_late())
            else:
                left.append(job)
        return left

    async def _infer(self, slot: ModelSlot, jobs: Sequence[Job], images: NDArray[np.uint8], started: float) -> bool:
        """Compute a batch and settle its jobs; whether it failed, which leaves them open if there are several."""
        rows = _rows(jobs)
        outcome: Prediction | Exception
        try:
            outcome = await slot.model.engine.infer(images, deadline=max(job.deadline for job in jobs))
        except EngineLostError as error:
            self._tell(slot, rows, images, self._clock() - started, error)
            raise
        except Exception as error:
            outcome = error
        finished = self._clock()
        if isinstance(outcome, Prediction):
            slot.latency.observe(len(images), finished - started, finished)
            for job in jobs:
                self._settle(job, job.outcome(slot.model, outcome, started, finished))
        elif len(jobs) == 1:
            self._settle(jobs[0], outcome)
        # Later, so that the next batch starts first.
        asyncio.get_running_loop().call_soon(self._tell, slot, rows, images, finished - started, outcome)
        return isinstance(outcome, Exception)

    async def _infer_each(self, slot: ModelSlot, jobs: Sequence[Job], images: NDArray[np.uint8]) -> None:
        """Find out whose frames made a batch fail: everybody else gets an answer."""
        for job in jobs:
            started = self._clock()
            if self._still_of_use([job], started + slot.latency.promise(job.count, started)):
                alone = _padded(images[job.row : job.row + job.count], slot.rules.padded(job.count))
                job.row = 0
                await self._infer(slot, [job], alone, started)

    def _tell(
        self,
        slot: ModelSlot,
        rows: "slice | NDArray[np.intp]",
        images: NDArray[np.uint8],
        infer_s: float,
        outcome: Prediction | Exception,
    ) -> None:
        model, real = slot.model, images[rows]
        self._events.tell(
            BatchDone(
                model_version=model.version,
                sha256=model.sha256,
                provider=model.provider,
                num_frames=len(real),
                padded_to=len(images),
                infer_s=infer_s,
                images=real,
                prediction=Prediction(outcome.labels[rows], outcome.confidence[rows])
                if isinstance(outcome, Prediction)
                else None,
                error=outcome if isinstance(outcome, Exception) else None,
            )
        )


def _rows(jobs: Sequence[Job]) -> "slice | NDArray[np.intp]":
    """Where the images of `jobs` are in their batch: at its start, unless somebody has failed or gone meanwhile."""
    count = sum(job.count for job in jobs)
    if jobs[-1].row + jobs[-1].count == count:
        return slice(0, count)
    return np.concatenate([np.arange(job.row, job.row + job.count) for job in jobs])


def _padded(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if len(images) == size:
        return images
    batch = np.zeros((size, *images.shape[1:]), np.uint8)
    batch[: len(images)] = images
    return batch
