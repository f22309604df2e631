"""The way of a frame through the server, whatever protocol it came by: admit, wait, decode, infer, encode.

Everything here runs on the event loop; what burns CPU time is handed to the codec's threads or to the engine.
"""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DrainingError
from isthmus.serving import codec
from isthmus.serving.config import ServerConfig
from isthmus.serving.dispatcher import Dispatcher
from isthmus.serving.engine import Prediction
from isthmus.serving.events import Events
from isthmus.serving.frame_record import FrameFacts, FrameRecord
from isthmus.serving.jobs import Done, Job, too_late, until_ended
from isthmus.serving.model import LoadedModel
from isthmus.serving.model_slots import ModelSlots
from isthmus.serving.scheduling.line import Line
from isthmus.serving.scheduling.places import Places
from isthmus.serving.scheduling.work import ServiceClass

T = TypeVar("T")

_AGE_JITTER: Final = 0.1  # else all vehicles that a new server took over would leave it together


class Admission(Protocol):
    """Who may use how much of the server."""

    def admit(self, vehicle: str, service_class: str | None = None) -> AbstractContextManager[None]:
        """Count one request of `vehicle`, `live` or `bulk`, until it is answered.

        Raises:
            NotAllowedError: The policy forbids it.
            QuotaExceededError: The vehicle's share is used up.
            UnauthenticatedError: Nobody vouches for the vehicle.
        """
        ...

    def weight(self, vehicle: str) -> float:
        """How much of a busy server is the vehicle's, compared with the weights of others; above 0."""
        ...


class Pipeline:
    """Holds the models, and the stages before and after their engines.

    Args:
        config: Limits, thread counts, scheduling.
        events: Told of each batch and each verdict.
        quotas: Shares of the vehicles; None lets everybody in.
    """

    def __init__(self, config: ServerConfig, events: Events | None = None, quotas: Admission | None = None) -> None:
        self.limits = config.limits
        self.scheduling = config.scheduler
        self.events = events or Events()
        self.slots = ModelSlots(config)
        self.places = Places(
            config.limits.max_in_flight, config.scheduler.max_streams, config.scheduler.max_waiting_bytes
        )
        self._quotas = quotas
        self._codec = ThreadPoolExecutor(config.num_codec_threads, thread_name_prefix="codec")
        weight_of = _alike if quotas is None else quotas.weight
        line: Line[Job] = Line(bulk_share=config.scheduler.bulk_share, weight_of=weight_of)
        self.dispatcher = Dispatcher(line, self.slots, self._codec, self.events, time.monotonic)
        self._on_drain: dict[object, Callable[[], None]] = {}
        self._draining = False
        self.backend_ready = True
        """False while a remote engine's server is away."""
        self._worker: asyncio.Task[None] | None = None

    # Life.

    def start(self) -> asyncio.Task[None]:
        """Begin to run work, on the running event loop; the task ends only with an `EngineLostError`."""
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="dispatcher")
        return self._worker

    async def _work(self) -> None:
        try:
            await self.dispatcher.work()
        except Exception:
            self.drain()  # nobody can be answered any more
            raise

    def drain(self) -> None:
        """Take no new requests; the running ones finish, and streams are asked to go elsewhere."""
        self._draining = True
        for tell in tuple(self._on_drain.values()):
            tell()

    def on_drain(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` when draining begins, at once if it has begun; the result takes that back."""
        key = object()
        self._on_drain[key] = tell
        if self._draining:
            tell()

        def take_back() -> None:
            self._on_drain.pop(key, None)

        return take_back

    def on_leave(self, tell: Callable[[str], None]) -> Callable[[], None]:
        """Call `tell` with the reason when a stream that begins now shall go: it is old, or draining has begun.

        The result takes that back.
        """
        age_s = self.scheduling.max_stream_age_s * (1 - _AGE_JITTER * random.random())
        timer = asyncio.get_running_loop().call_later(age_s, tell, "the stream is old")
        stay = self.on_drain(functools.partial(tell, "the server is shutting down"))

        def take_back() -> None:
            timer.cancel()
            stay()

        return take_back

    async def stop(self) -> None:
        """Give up what still runs, and free the threads and the models."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        self.dispatcher.cancel_all()
        self._codec.shutdown(wait=False, cancel_futures=True)
        for model in self.slots:
            model.engine.close()

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self.slots.champion is not None and self.backend_ready and not self._draining

    @property
    def is_draining(self) -> bool:
        """Whether requests are refused for good."""
        return self._draining

    @property
    def in_flight(self) -> int:
        """Requests that wait, are decoded, or run."""
        return self.dispatcher.num_open

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the engine."""
        return self.dispatcher.num_waiting

    # Models.

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        return self.slots.champion.model if self.slots.champion is not None else None

    def serve(self, model: LoadedModel) -> LoadedModel | None:
        """Answer with `model` from the next batch on.

        Returns:
            The model before, which may still compute (see `drained`) and answers no more unless `also` keeps it.
        """
        before = self.slots.serve(model)
        self.dispatcher.model_changed()
        return before

    def also(self, model: LoadedModel) -> None:
        """Keep `model` beside the champion, for requests that name its version."""
        self.slots.keep(model)

    def forget(self, model: LoadedModel) -> None:
        """End what `also` began; requests that wait for this version are answered NOT_FOUND."""
        self.slots.forget(model)

    async def drained(self, model: LoadedModel) -> None:
        """Return when no batch of `model` runs any more; then its engine can be closed."""
        await self.dispatcher.drained(model)

    def model(self, name: str | None = None, version: str = "") -> LoadedModel:
        """The model for a request; see `ModelSlots.find`."""
        return self.slots.find(name, version).model

    # Frames.

    def record(self, rpc: str, vehicle: str) -> FrameRecord:
        """What becomes of frames that arrive now; see `FrameRecord`."""
        return FrameRecord(self.events, time.monotonic, rpc, vehicle)

    @contextlib.contextmanager
    def admission(
        self,
        vehicle: str,
        *,
        num_bytes: int = 0,
        service_class: ServiceClass = ServiceClass.LIVE,
        in_stream: bool = False,
    ) -> Iterator[None]:
        """Hold what a frame needs, from its arrival to its answer.

        Args:
            vehicle: Who sent it.
            num_bytes: Bytes that it holds in memory.
            service_class: Bulk requests leave places to live ones.
            in_stream: Whether a stream has a place for it.

        Raises:
            DrainingError: The server is shutting down.
            OverloadedError: There is too much already.
            QuotaExceededError: As are all of `Admission.admit`.
        """
        self._check_not_draining()
        with contextlib.ExitStack() as held:
            if self._quotas is not None:
                held.enter_context(self._quotas.admit(vehicle, service_class.value))
            if not in_stream:
                held.enter_context(self.places.request(service_class))
            held.enter_context(self.places.memory(num_bytes))
            yield

    @contextlib.contextmanager
    def open_stream(self) -> Iterator[None]:
        """Hold a place for a stream.

        Raises:
            DrainingError: The server is shutting down.
            OverloadedError: All places are taken.
        """
        self._check_not_draining()
        with self.places.stream():
            yield

    def _check_not_draining(self) -> None:
        if self._draining:
            raise DrainingError("the server is shutting down", remedy="Ask another server.")

    async def answer(
        self,
        job: Job,
        record: FrameRecord,
        write: Callable[[Done, list[FrameFacts]], T],
    ) -> T:
        """Let admitted frames wait for their turn, compute them, and write their answer.

        Args:
            job: The frames.
            record: Told what was reached.
            write: Makes the answer, on a codec thread.

        Raises:
            EngineLostError: The engine failed for good.
            FrameExpiredError: The deadline passed first.
            FrameSupersededError: A newer frame took its place.
            InvalidFrameError: The pixels cannot be read.
        """
        done = await self.dispatcher.run(job)
        record.done, record.model_version = done.stages, done.model.version
        written = functools.partial(_written, write, done)
        (answer, record.facts), record.encode_s = await self.offload(written, job.deadline)
        self.dispatcher.after_engine.observe(record.encode_s, time.monotonic())
        return answer

    async def offload(self, work: Callable[[], T], deadline: float) -> tuple[T, float]:
        """Run `work` on a codec thread.

        Args:
            work: Writes a mask.
            deadline: The monotonic clock's time from which on its result is of no use.

        Returns:
            Its result, and the seconds until it was there.

        Raises:
            FrameExpiredError: The deadline passed before it began, or before it ended.
        """
        started = time.monotonic()
        future = self._codec.submit(_in_time, work, deadline)
        result = await until_ended(asyncio.wrap_future(future), future.cancel)
        check_deadline(deadline)
        return result, time.monotonic() - started


def check_deadline(deadline: float) -> None:
    """See that a result can still be of use.

    Raises:
        FrameExpiredError: It cannot.
    """
    if time.monotonic() >= deadline:
        raise too_late()


def _in_time(work: Callable[[], T], deadline: float) -> T:
    check_deadline(deadline)
    return work()


def _written(write: Callable[[Done, list[FrameFacts]], T], done: Done) -> tuple[T, list[FrameFacts]]:
    facts = facts_of(done.prediction, len(done.model.card.label_space.classes))
    return write(done, facts), facts


def facts_of(prediction: Prediction, num_classes: int) -> list[FrameFacts]:
    """What each frame's mask and confidence say as a whole."""
    return [
        FrameFacts(_mean(confidence), tuple(codec.class_fractions(labels, num_classes)))
        for labels, confidence in zip(prediction.labels, prediction.confidence, strict=True)
    ]


def _mean(confidence: NDArray[np.uint8]) -> float | None:
    return float(np.mean(confidence)) / 255 if confidence.size else None  # a tiny frame has no position at the head


def _alike(vehicle: str) -> float:  # noqa: ARG001 - the shape of `Admission.weight`
    return 1.0
