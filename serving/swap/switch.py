"""Which model answers: the change to a new one, its trial, the way back, and when the old one's memory is freed.

nothing ─ begin ─→ serving ─ swap ─→ on trial ─ window over ─→ serving (the old one is kept a while, then freed)
                                        └──── objection ────→ serving the old one; the new one is freed
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from isthmus.serving.events import BatchDone, Change, Event, Events, FrameDone, ModelChanged
from isthmus.serving.model import LoadedModel
from isthmus.serving.swap.config import SwapConfig
from isthmus.serving.swap.guard import objection
from isthmus.serving.swap.live import LiveRecord
from isthmus.serving.swap.slots import Slots

logger = logging.getLogger(__name__)

_LOOK_EVERY: Final = 10
"""Frames of the new model between two looks at its trial; a batch that failed is looked at in any case."""


@dataclass(frozen=True, slots=True)
class Return:
    """The server has gone back by itself."""

    gave_up: LoadedModel
    back_to: LoadedModel
    reason: str


class Switch:
    """Lets one model answer after the other. All methods belong on the event loop.

    Args:
        slots: The pipeline.
        events: Told of each change, and listened to on trials.
        config: How long the previous model is kept, and when to go back to it.
        on_return: Called after the server has gone back.
        clock: Seconds from any fixed moment.
    """

    def __init__(
        self,
        slots: Slots,
        events: Events,
        config: SwapConfig,
        on_return: Callable[[Return], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live: LiveRecord | None = None
        """What the current model's frames show; None before there is one."""
        self._slots = slots
        self._events = events
        self._config = config
        self._on_return = on_return
        self._clock = clock
        self._previous: LoadedModel | None = None
        self._before: LiveRecord | None = None
        self._trial_ends = -1.0
        self._heard_on_trial = 0
        self._freeing: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.TimerHandle | None = None
        self._unsubscribe = events.subscribe(self)

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers."""
        return self._slots.current

    @property
    def previous(self) -> LoadedModel | None:
        """The model before it, as long as it is kept."""
        return self._previous

    @property
    def on_trial(self) -> bool:
        """Whether the server may still go back by itself."""
        return self._previous is not None and self._before is not None and self._clock() < self._trial_ends

    def begin(self, model: LoadedModel) -> None:
        """Serve the first model."""
        self._slots.serve(model)
        self.live = LiveRecord(model.version, self._clock)

    def make_room(self) -> None:
        """Free the previous model, once its trial is over, for one that is about to be loaded."""
        if self._previous is not None and not self.on_trial:
            self._stop_keeping()
            self._let_go(self._previous)

    def relabel(self, model: LoadedModel) -> None:
        """Go on with the same engine under a description that has become better."""
        self._slots.serve(model)

    def swap(self, model: LoadedModel, *, seconds: float) -> None:
        """Let `model` answer from the next batch on, and keep the one before.

        Args:
            model: Has shown all that it must.
            seconds: Since its version was seen in the registry.
        """
        old = self._slots.serve(model)
        assert old is not None, "the first model begins"
        if self._previous is not None:
            self._free(self._previous)
        self._before, self.live = self.live, LiveRecord(model.version, self._clock)
        self._trial_ends = self._clock() + self._config.guard.window_s
        self._heard_on_trial = 0
        self._previous = None
        if self._config.keep_previous_s > 0:
            self._keep(old)
        else:
            self._free(old)
        self._events.tell(ModelChanged(change=Change.SWAPPED, model_version=model.version, seconds=seconds))
        logger.info("version %s serves, %.1f s after it was seen; before it %s", model.version, seconds, old.version)

    def heard(self, event: Event) -> None:
        """Note what frames show, and go back where the trial demands it."""
        if self.live is not None:
            self.live.heard(event)
        if isinstance(event, FrameDone | BatchDone) and self.on_trial and self.live is not None:
            self._look(event, self.live)

    def _look(self, event: FrameDone | BatchDone, live: LiveRecord) -> None:
        if event.model_version != live.version:
            return
        if isinstance(event, BatchDone):
            if event.error is None:
                return
        else:
            self._heard_on_trial += 1
            if self._heard_on_trial % _LOOK_EVERY:
                return
        assert self._before is not None
        reason = objection(live, self._before, self._config.guard)
        if reason:
            self._trial_ends = -1.0  # once is enough
            # Not in the middle of the pipeline's own work, which told this.
            asyncio.get_running_loop().call_soon(self._go_back, live.version, reason)

    def go_back(self, reason: str) -> bool:
        """Serve the previous model again, and free the one that answers; whether there was one to go back to."""
        current = self._slots.current
        if current is None or self._previous is None:
            return False
        self._go_back(current.version, reason)
        return True

    def _go_back(self, version: str, reason: str) -> None:
        bad, good = self._slots.current, self._previous
        if bad is None or good is None or bad.version != version:
            return  # another swap was faster
        self._slots.serve(good)
        self._stop_keeping()
        self._previous, self._before = None, None
        self.live = LiveRecord(good.version, self._clock)
        self._free(bad)
        self._events.tell(ModelChanged(change=Change.ROLLED_BACK, model_version=good.version, reason=reason))
        logger.error("ROLLED BACK from version %s to %s: %s", bad.version, good.version, reason)
        self._on_return(Return(bad, good, reason))

    def _keep(self, model: LoadedModel) -> None:
        self._stop_keeping()
        self._previous = model
        self._slots.also(model)
        loop = asyncio.get_running_loop()
        self._keeping = loop.call_later(self._config.keep_previous_s, self._let_go, model)

    def _let_go(self, model: LoadedModel) -> None:
        if self._previous is model:
            self._previous = None
            self._free(model)

    def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    def _free(self, model: LoadedModel) -> None:
        self._slots.forget(model)
        task = asyncio.get_running_loop().create_task(self._free_when_drained(model), name=f"free-{model.version}")
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    async def _free_when_drained(self, model: LoadedModel) -> None:
        try:
            await self._slots.drained(model)
        finally:
            model.engine.close()
        logger.info("version %s is freed", model.version)

    async def stop(self) -> None:
        """Hear nothing more; what still answers is the pipeline's to close."""
        self._unsubscribe()
        self._unsubscribe = _nothing  # a server may be stopped twice
        self._stop_keeping()
        freeing = tuple(self._freeing)
        for task in freeing:
            task.cancel()
        if freeing:
            await asyncio.wait(freeing)


def _nothing() -> None:
    pass
