"""What the dispatcher works on: a caller's frames with their pixels, and what became of them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import FrameExpiredError
from isthmus.serving.engine import Prediction
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduling.work import Work

T = TypeVar("T")


class Stages(NamedTuple):
    """How far frames came, without their pixels: `Done` says what each field means."""

    model: LoadedModel
    decode_s: float
    queue_s: float
    infer_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """What the engine said about one caller's frames, and the seconds it took to get there.

    Args:
        model: The model that said it.
        prediction: Of these frames alone.
        decode_s: From bytes to pixels, with the wait for a thread.
        queue_s: In the line, and with the pixels ready.
        infer_s: In the engine.
    """

    model: LoadedModel
    prediction: Prediction
    decode_s: float
    queue_s: float
    infer_s: float

    @property
    def stages(self) -> Stages:
        """What may be kept while the answer waits to be sent: the prediction is larger than the answer."""
        return Stages(self.model, self.decode_s, self.queue_s, self.infer_s)


def _new_future() -> "asyncio.Future[Done]":
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True, kw_only=True)
class Job(Work):
    """Work with its pixels; made on the event loop.

    Args:
        decode: Makes RGB images [count, H, W, 3] uint8 of the group's shape.
        is_cheap: Whether `decode` only looks at memory that is there, and needs no thread.
        done: Settled once, whatever happens.
        is_dead: Whether nobody waits for it any more.
        decode_s: Seconds until its pixels were there.
        row: Index of its first image in the batch.
        failure: Why its pixels cannot be had.
    """

    decode: Callable[[], NDArray[np.uint8]]
    is_cheap: bool = False
    done: "asyncio.Future[Done]" = field(default_factory=_new_future)
    is_dead: bool = False
    decode_s: float = 0.0
    row: int = 0
    failure: Exception | None = None

    def images(self) -> NDArray[np.uint8] | None:
        """Its pixels; None where nobody waits for them."""
        return None if self.is_dead else self.decode()

    def decode_into(self, batch: NDArray[np.uint8]) -> None:
        """Write its pixels into its rows of `batch`, if anybody waits for them."""
        images = self.images()
        if images is not None:
            batch[self.row : self.row + self.count] = images

    def outcome(
        self, model: LoadedModel, prediction: Prediction, started: float, finished: float
    ) -> Done | FrameExpiredError:
        """Its part of a batch's `prediction`, if it comes in time.

        Args:
            model: The model.
            prediction: Of the whole batch.
            started: The clock's time when the engine began.
            finished: And when it was ready.
        """
        if finished >= self.deadline:
            return too_late()
        rows = slice(self.row, self.row + self.count)
        own = Prediction(prediction.labels[rows], prediction.confidence[rows])
        queue_s = max(0.0, started - self.arrived - self.decode_s)
        return Done(model, own, self.decode_s, queue_s, finished - started)


def too_late() -> FrameExpiredError:
    """What a frame is told whose deadline has passed, or will have passed before a mask could be ready."""
    return FrameExpiredError("the deadline passed before a mask was ready")


async def until_ended(work: "asyncio.Future[T]", withdraw: Callable[[], bool]) -> T:
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
        if work.done() and not work.cancelled():
            work.exception()  # nobody else will ask for it
        raise
