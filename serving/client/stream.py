"""A camera's frames to a server and the masks back, over connections that come and go.

`send` never waits: one frame at most is held until it can be sent, and a newer one takes its place. Each frame that
`send` accepted gets exactly one `FrameReport`, whatever happens to the connection.
"""

import asyncio
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from isthmus.errors import FrameTooLargeError, InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import messages
from isthmus.serving.client.breaker import Circuit
from isthmus.serving.client.connection import Connection
from isthmus.serving.client.journal import Journal
from isthmus.serving.client.lifeline import Lifeline
from isthmus.serving.client.outbox import Outbox
from isthmus.serving.client.reports import FrameReport, LatestMask, Verdict, Waiting
from isthmus.serving.client.results import ModelInfo
from isthmus.serving.client.statistics import StreamStatistics
from isthmus.serving.client.stream_config import Purpose, StreamConfig
from isthmus.serving.config import MESSAGE_MARGIN_BYTES, LimitsConfig

_SERVICE_CLASSES: Final = {Purpose.LIVE: pb.SERVICE_CLASS_LIVE, Purpose.BULK: pb.SERVICE_CLASS_BULK}


class AsyncCameraStream:
    """One camera of a vehicle, for asyncio; `CameraStream` in all else. Made while the loop runs.

    Args:
        address: `HOST:PORT`.
        camera_id: Names the camera within its vehicle.
        config: How it behaves.
        limits: The server's limits, as far as they differ from the defaults.
        credentials: For TLS, as `transport.client_credentials` makes them; None for plaintext.
        on_report: Called on the event loop with each report; it must not wait. Without it, iterate over the stream.
    """

    def __init__(
        self,
        address: str,
        camera_id: str = "",
        *,
        config: StreamConfig | None = None,
        limits: LimitsConfig | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        on_report: Callable[[FrameReport], None] | None = None,
    ) -> None:
        self.address = address
        self.camera_id = camera_id
        self._config = config or StreamConfig()
        self._limits = limits or LimitsConfig()
        self._outbox = Outbox()
        self._journal = Journal(self._config.unread_reports, on_report)
        self._expiry: asyncio.TimerHandle | None = None

        def connect() -> Connection:
            return Connection(
                address,
                self._config,
                self._limits,
                credentials,
                take=self._take,
                journal=self._journal,
                alive=self._lifeline.alive,
            )

        retry, drain_s = self._config.retry, self._config.answer_timeout_s
        self._lifeline = Lifeline(connect, retry, drain_s, self._refuse_waiting, camera_id)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to connect, in the background; `async with` does it."""
        self._lifeline.start()

    @property
    def model(self) -> ModelInfo | None:
        """The model that answers, as far as the server has named it."""
        return self._journal.model

    def send(
        self,
        image: NDArray[np.uint8] | bytes,
        *,
        captured_at: float | None = None,
        max_age_s: float | None = None,
        tag: object = None,
    ) -> int:
        """Hand in a frame; the pixels are copied. Never waits.

        Args:
            image: RGB [H, W, 3] uint8, or the bytes of a JPEG or PNG file.
            captured_at: When the picture was taken: Unix time in seconds by this machine's clock. Its age counts from
                then on; without it, from now.
            max_age_s: Age in seconds above which a mask is of no use; by default the stream's.
            tag: Anything that shall come back with the frame's report; it is not sent.

        Returns:
            The frame's sequence number, for its report.

        Raises:
            InvalidFrameError: The image is of another kind, or max_age_s is not positive.
            FrameTooLargeError: The image is larger than the server's limits.
            ServingError: The stream is closed.
        """
        waiting, displaced = self.put(image, captured_at=captured_at, max_age_s=max_age_s, tag=tag)
        self.placed(waiting, displaced)
        return waiting.sequence_number

    def put(
        self, image: NDArray[np.uint8] | bytes, *, captured_at: float | None, max_age_s: float | None, tag: object
    ) -> tuple[Waiting, Waiting | None]:
        """The half of `send` that may run on any thread; `placed` is the other."""
        if max_age_s is None:
            max_age_s = self._config.max_age_s
        elif not 0 < max_age_s < math.inf:
            raise InvalidFrameError(f"{max_age_s} is no positive number of seconds", where="max_age_s")
        frame = messages.frame_of(image)
        if len(frame.data) > self._limits.max_message_bytes - MESSAGE_MARGIN_BYTES:  # gRPC would break the connection
            raise FrameTooLargeError(
                f"{len(frame.data)} bytes are more than the server takes",
                where="image",
                remedy="Send a smaller frame, or a JPEG; give `limits` where the server's are other than the defaults.",
            )
        frame.camera_id = self.camera_id
        frame.service_class = _SERVICE_CLASSES[self._config.purpose]
        if captured_at is not None:
            frame.captured_at.CopyFrom(messages.timestamp(captured_at))
        return self._outbox.put(frame, captured_at=captured_at, max_age_s=max_age_s, tag=tag)

    def placed(self, waiting: Waiting, displaced: Waiting | None) -> None:
        """The half of `send` that runs on the event loop."""
        if displaced is not None:
            self._journal.report(displaced, Verdict.SUPERSEDED_HERE, f"frame {waiting.sequence_number} came")
        if self._lifeline.breaker.state is Circuit.OPEN:
            self._refuse_waiting(self._lifeline.last_error)
            return
        if self._expiry is not None:
            self._expiry.cancel()
        remaining_s = waiting.remaining_s(time.monotonic())
        if remaining_s is not None:
            self._expiry = asyncio.get_running_loop().call_later(max(0.0, remaining_s), self._expire, waiting)
        self._lifeline.nudge()

    def latest(self, max_age_s: float | None = None) -> LatestMask | None:
        """The newest mask so far, with the age of its picture by now; also one that came too late for its frame.

        Args:
            max_age_s: None instead of a mask that is older than this.
        """
        return self._journal.latest(max_age_s)

    def statistics(self) -> StreamStatistics:
        """Numbers of this moment."""
        meter = self._journal.meter
        verdicts = dict(meter.verdicts)  # before `sent`, which may grow meanwhile
        return StreamStatistics(
            sent=self._outbox.count,
            verdicts=verdicts,
            fps=meter.fps(),
            round_trip_s=meter.round_trips(),
            circuit=self._lifeline.breaker.state,
            connected=self._lifeline.is_connected,
            connections=self._lifeline.num_connections,
            last_error=self._lifeline.last_error,
            unread=self._journal.num_thrown_away,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameReport:
        """The next report, in the order in which they became known; the end comes when the stream is closed."""
        report = await self._journal.next()
        if report is None:
            raise StopAsyncIteration
        return report

    async def close(self, timeout_s: float = 1.0) -> None:
        """Accept no more frames, wait for the answers that are due, and end.

        Args:
            timeout_s: Seconds to wait; frames without an answer by then are lost.
        """
        waiting = self._outbox.close()
        if waiting is not None:
            self._journal.report(waiting, Verdict.NOT_SENT, "the stream was closed")
        if self._expiry is not None:
            self._expiry.cancel()
        await self._lifeline.close(timeout_s)
        self._journal.close()

    def _take(self) -> Waiting | None:
        """The frame to send next; one that is too old gets its report instead."""
        waiting = self._outbox.take()
        if waiting is not None and waiting.is_expired(time.monotonic()):
            self._journal.report(waiting, Verdict.EXPIRED_HERE, "it became too old before it could be sent")
            return None
        return waiting

    def _expire(self, waiting: Waiting) -> None:
        if self._outbox.remove(waiting):
            self._journal.report(waiting, Verdict.EXPIRED_HERE, "it became too old before it could be sent")

    def _refuse_waiting(self, reason: str) -> None:
        waiting = self._outbox.take()
        if waiting is not None:
            self._journal.report(waiting, Verdict.NOT_SENT, f"the circuit is open: {reason}")
