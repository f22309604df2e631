"""The way of a request through the server, whatever protocol it came by: admit, decode, infer, encode.

Everything here runs on the event loop; what burns CPU time is handed to the codec's threads or to the engine.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ModelNotLoadedError, NoModelError
from isthmus.serving.config import ServerConfig
from isthmus.serving.events import BatchDone, Events
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduler import Scheduled, Scheduler, too_late, until_ended

T = TypeVar("T")


class Pipeline:
    """Holds the model that serves now, and the stages before and after its engine.

    Args:
        config: Limits and thread counts.
        events: Told of each batch.
    """

    def __init__(self, config: ServerConfig, events: Events | None = None) -> None:
        self._events = events or Events()
        self._others: dict[str, LoadedModel] = {}
        self._running: dict[int, int] = {}
        self._ended = asyncio.Event()
        self.limits = config.limits
        self._scheduler = Scheduler(config.limits.max_in_flight)
        self._codec = ThreadPoolExecutor(config.num_codec_threads, thread_name_prefix="codec")
        self._model: LoadedModel | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to run work; see `Scheduler.start`."""
        return self._scheduler.start()

    def drain(self) -> None:
        """Take no new requests; the running ones finish."""
        self._scheduler.drain()

    async def stop(self) -> None:
        """Give up what still runs, and free the threads and the model."""
        await self._scheduler.stop()
        self._codec.shutdown(wait=False, cancel_futures=True)
        for model in (self._model, *self._others.values()):
            if model is not None:
                model.engine.close()

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        return self._model

    def serve(self, model: LoadedModel) -> LoadedModel | None:
        """Answer with this model from now on; gives the one before."""
        before, self._model = self._model, model
        self._others.pop(model.version, None)
        return before

    def also(self, model: LoadedModel) -> None:
        """Answer with this model where its version is named."""
        self._others[model.version] = model

    def forget(self, model: LoadedModel) -> None:
        """End what `also` began."""
        if self._others.get(model.version) is model:
            del self._others[model.version]

    async def drained(self, model: LoadedModel) -> None:
        """Return when no batch of `model` runs."""
        while self._running.get(id(model)):
            self._ended.clear()
            await self._ended.wait()

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self._model is not None and not self._scheduler.is_draining

    def model(self, name: str | None = None, version: str = "") -> LoadedModel:
        """The model that answers now.

        Args:
            name: Refuse any other model; None takes whichever is there.
            version: Refuse any other version; empty takes whichever is there.

        Raises:
            NoModelError: Nothing has been promoted yet.
            ModelNotLoadedError: Another model or version is loaded.
        """
        model = self._model
        if model is None:
            raise NoModelError(
                "this server has no model yet", remedy="Promote one with `isthmus promote`; the server's log says more."
            )
        if version in self._others and name in (None, model.name):
            return self._others[version]
        if name not in (None, model.name) or version not in ("", model.version):
            raise ModelNotLoadedError(
                f"model {model.name if name is None else name!r}{version and f' version {version}'} is not loaded",
                remedy=f"This server has {model.name!r} version {model.version}.",
            )
        return model

    def admission(self) -> AbstractContextManager[None]:
        """Hold a place for a request; see `Scheduler.admission`."""
        return self._scheduler.admission()

    async def infer(self, model: LoadedModel, images: NDArray[np.uint8], deadline: float) -> Scheduled:
        """Predict a batch; see `Scheduler.infer`."""
        self._running[id(model)] = self._running.get(id(model), 0) + 1
        try:
            done = await self._scheduler.infer(model.engine, images, deadline)
        finally:
            self._running[id(model)] -= 1
            self._ended.set()
        self._events.tell(
            BatchDone(
                model_version=model.version,
                sha256=model.sha256,
                provider=model.provider,
                num_frames=len(images),
                padded_to=len(images),
                infer_s=done.infer_s,
                images=images,
                prediction=done.prediction,
            )
        )
        return done

    async def offload(self, work: Callable[[], T], deadline: float) -> tuple[T, float]:
        """Run `work` on a codec thread.

        Args:
            work: Decodes a frame or encodes a mask.
            deadline: The monotonic clock's time from which on its result is of no use.

        Returns:
            Its result, and the seconds until it was there.

        Raises:
            FrameExpiredError: The deadline passed before it began, or before it ended.
        """
        started = time.monotonic()
        job = self._codec.submit(_in_time, work, deadline)
        result = await until_ended(asyncio.wrap_future(job), job.cancel)
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
