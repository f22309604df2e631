"""One verdict for each frame, told once, whatever happens to it."""

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

from isthmus.errors import (
    FrameExpiredError,
    FrameSupersededError,
    FrameTooLargeError,
    InvalidFrameError,
    ModelNotLoadedError,
    NotAllowedError,
    OverloadedError,
    QuotaExceededError,
    UnauthenticatedError,
)
from isthmus.serving.errors import reason_code
from isthmus.serving.events import Events, FrameDone
from isthmus.serving.jobs import Stages
from isthmus.serving.scheduling.work import ServiceClass

VERDICTS: Final[dict[type[BaseException], str]] = {
    FrameExpiredError: "expired",
    FrameSupersededError: "superseded",
    OverloadedError: "overloaded",
    QuotaExceededError: "overloaded",
    InvalidFrameError: "invalid",
    FrameTooLargeError: "invalid",
    ModelNotLoadedError: "invalid",
    UnauthenticatedError: "invalid",
    NotAllowedError: "invalid",
    asyncio.CancelledError: "cancelled",
}
"""`FrameDone.verdict` by what ended a frame; anything else is `failed`."""


_CAMERA_LENGTH: Final = 64
"""Characters of a camera's id that logs and traces show: clients may write any text there."""


class FrameFacts(NamedTuple):
    """What a mask and its confidence say as a whole.

    Args:
        confidence_mean: In [0, 1]; None where the frame is so small that the map is empty.
        class_fractions: Share of the pixels by id, in [0, 1].
    """

    confidence_mean: float | None
    class_fractions: tuple[float, ...]


class FrameRecord:
    """What becomes of the frames of one request: opened when they arrive, closed with their verdict.

    As a context manager it closes with the error that leaves its block, or with what `drop` was told before.

    Args:
        events: Told once for each frame.
        clock: Seconds; `arrived` and `deadline` are times of this clock.
        rpc: The method's name.
        vehicle: Who sent them.
    """

    def __init__(self, events: Events, clock: Callable[[], float], rpc: str, vehicle: str) -> None:
        self._events = events
        self._clock = clock
        self._rpc = rpc
        self._vehicle = vehicle
        self._closed = False
        self._error: BaseException | None = None
        self.arrived = clock()
        self.service_class = ServiceClass.LIVE
        self.deadline = math.inf
        self.count = 1
        self.camera = ""
        self.model_version = ""
        self.done: Stages | None = None
        self.encode_s: float | None = None
        self.facts: list[FrameFacts] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    def name_camera(self, camera_id: str) -> None:
        """Note whose frames they are, for logs and traces."""
        self.camera = camera_id[:_CAMERA_LENGTH]

    def drop(self, error: BaseException) -> None:
        """Note why there will be no mask, where the caller is told so by a verdict and not by an error."""
        self._error = error

    def close(self, error: BaseException | None = None) -> None:
        """Tell the verdict, the first time that this is called."""
        if self._closed:
            return
        self._closed = True
        error = error or self._error
        if error is None and not self.facts:
            error = asyncio.CancelledError()  # nobody waited for the mask
        now, done = self._clock(), self.done
        for index in range(self.count):
            facts = self.facts[index] if error is None else None
            self._events.tell(
                FrameDone(
                    rpc=self._rpc,
                    vehicle=self._vehicle,
                    camera=self.camera,
                    verdict="segmented" if error is None else VERDICTS.get(type(error), "failed"),
                    reason_code="" if error is None else _code(error),
                    service_class=self.service_class.value,
                    model_version=self.model_version,
                    decode_s=done.decode_s if done else None,
                    queue_s=done.queue_s if done else None,
                    infer_s=done.infer_s if done else None,
                    encode_s=self.encode_s,
                    total_s=now - self.arrived,
                    slack_s=self.deadline - now,
                    confidence_mean=facts.confidence_mean if facts else None,
                    class_fractions=facts.class_fractions if facts else (),
                )
            )


def _code(error: BaseException) -> str:
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else reason_code(error)
