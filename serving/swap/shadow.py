"""A challenger that sees a share of the frames and never answers.

A frame is looked at after the engine has answered it, one at a time, and only if that engine is at rest then; else it
is dropped and counted. On a CPU the challenger computes on one thread of the lowest priority: frames that come while it
does take its processor away.
"""

import asyncio
import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import EngineLostError
from isthmus.serving.events import BatchDone, Event, Events
from isthmus.serving.model import LoadedModel
from isthmus.serving.swap.comparison import ShadowCompared
from isthmus.serving.swap.slots import Slots

logger = logging.getLogger(__name__)

_LULL_S: Final = 0.002
"""A server with more to do has begun with it by then."""


class Shadow:
    """Shows a challenger what the champion has answered. All methods belong on the event loop.

    Args:
        slots: The pipeline.
        events: Tells of batches, and is told of comparisons.
        percent: Of the answered frames, in [0, 100].
    """

    def __init__(self, slots: Slots, events: Events, percent: float) -> None:
        self._slots = slots
        self._events = events
        self._share = percent / 100
        self._due = 0.0
        self._num_dropped = 0
        self.gave_up = ""
        """The version that failed on a frame; empty where none did."""
        self._model: LoadedModel | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe = events.subscribe(self)

    @property
    def model(self) -> LoadedModel | None:
        """The challenger; None while there is none."""
        return self._model

    async def show_to(self, model: LoadedModel | None) -> None:
        """Let this challenger see frames from now on, and free the one before."""
        before, self._model = self._model, model
        self._num_dropped = 0
        if self._task is not None:
            await asyncio.wait([self._task])
        if before is not None:
            before.engine.close()

    async def stop(self) -> None:
        """See nothing more."""
        self._unsubscribe()
        self._unsubscribe = _nothing  # a server may be stopped twice
        if self._task is not None:
            self._task.cancel()
        await self.show_to(None)

    def heard(self, event: Event) -> None:
        """Take one frame of a batch, if it is time for one."""
        if self._model is None or not isinstance(event, BatchDone) or event.prediction is None:
            return
        if event.model_version == self._model.version:
            return  # it has just become the champion
        self._due += self._share * event.num_frames
        num_due = int(self._due)
        self._due -= num_due
        if num_due == 0:
            return
        if self._task is not None:
            self._num_dropped += num_due
            return
        self._num_dropped += num_due - 1
        image, labels = event.images[:1].copy(), event.prediction.labels[0].copy()  # the event's are not ours to keep
        work = self._compare(self._model, image, labels, event.model_version)
        self._task = asyncio.get_running_loop().create_task(work, name="shadow")
        self._task.add_done_callback(self._finished)

    def _finished(self, _: "asyncio.Task[None]") -> None:
        self._task = None

    async def _compare(
        self, challenger: LoadedModel, image: NDArray[np.uint8], labels: NDArray[np.uint8], champion_version: str
    ) -> None:
        await asyncio.sleep(_LULL_S)
        if not await self._at_rest():
            self._num_dropped += 1
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            prediction = await challenger.engine.infer(image)
        except Exception as error:  # a challenger's trouble is nobody else's
            logger.exception("challenger %s failed on a frame, and sees no more", challenger.version)
            self._model = None if self._model is challenger else self._model
            self.gave_up = challenger.version
            challenger.engine.close()
            if isinstance(error, EngineLostError):
                logger.error("the provider failed under the challenger: the champion may fail next")  # noqa: TRY400
            return
        compared = ShadowCompared(
            champion_version=champion_version,
            challenger_version=challenger.version,
            agreement=float(np.mean(prediction.labels[0] == labels)),
            infer_s=loop.time() - started,
            num_dropped=self._num_dropped,
        )
        self._num_dropped = 0
        self._events.tell(compared)

    async def _at_rest(self) -> bool:
        """Whether the engine that answers has nothing to do."""
        current = self._slots.current
        if current is None:
            return False
        try:
            async with asyncio.timeout(0):
                await self._slots.drained(current)
        except TimeoutError:
            return False
        return True


def _nothing() -> None:
    pass
