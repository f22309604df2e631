"""The way of a request through the server, whatever protocol it came by: admit, decode, infer, encode.

Everything here runs on the event loop; what burns CPU time is handed to the codec's threads or to the engine.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ModelNotLoadedError, NoModelError
from isthmus.serving.config import ServerConfig
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduler import Scheduled, Scheduler, too_late, until_ended
from isthmus.serving.security.quotas import Quotas

T = TypeVar("T")


class Pipeline:
    """Holds the model that serves now, and the stages before and after its engine.

    Args:
        config: Limits and thread counts.
        quotas: Each vehicle's share; None bounds nobody.
    """

    def __init__(self, config: ServerConfig, quotas: Quotas | None = None) -> None:
        self._quotas = quotas
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
        if self._model is not None:
            self._model.engine.close()

    def serve(self, model: LoadedModel) -> None:
        """Answer with this model from now on."""
        assert self._model is None, "the first model stays"
        self._model = model

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self._model is not None and not self._scheduler.is_draining

    @property
    def is_draining(self) -> bool:
        """Whether requests are refused for good."""
        return self._scheduler.is_draining

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        return self._model

    @property
    def in_flight(self) -> int:
        """Requests admitted and not answered yet."""
        return self._scheduler.in_flight

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the engine."""
        return self._scheduler.queue_depth

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
        if name not in (None, model.name) or version not in ("", model.version):
            raise ModelNotLoadedError(
                f"model {model.name if name is None else name!r}{version and f' version {version}'} is not loaded",
                remedy=f"This server has {model.name!r} version {model.version}.",
            )
        return model

    @contextlib.contextmanager
    def admission(self, vehicle: str, service_class: str | None = None) -> Iterator[None]:
        """Hold a place for a request; see `Quotas.admit` and `Scheduler.admission`."""
        with contextlib.ExitStack() as held:
            if self._quotas is not None:
                held.enter_context(self._quotas.admit(vehicle, service_class))
            held.enter_context(self._scheduler.admission())
            yield

    async def infer(self, model: LoadedModel, images: NDArray[np.uint8], deadline: float) -> Scheduled:
        """Predict a batch; see `Scheduler.infer`."""
        return await self._scheduler.infer(model.engine, images, deadline)

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
