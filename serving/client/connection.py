"""One connection of a camera's stream: frames out, answers in, until it ends or the server wants another one.

Each has a channel of its own, so that a new one may reach another server and owes nothing to gRPC's own pauses.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from isthmus.errors import ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.client import messages
from isthmus.serving.client.asyncio_unary import open_channel
from isthmus.serving.client.journal import Journal
from isthmus.serving.client.reports import Waiting
from isthmus.serving.client.stream_config import StreamConfig
from isthmus.serving.config import LimitsConfig
from isthmus.serving.errors import error_of
from isthmus.serving.transport import channel_options

logger = logging.getLogger(__name__)

_ENDING_S: Final = 1.0
_SHORTEST_AGE_S: Final = 0.001  # a frame that expires while it is written is the server's to drop, not to call invalid


class Connection:
    """See the module.

    Args:
        address: `HOST:PORT`.
        config: The stream's settings.
        limits: The server's limits.
        credentials: For TLS; None for plaintext.
        take: Gives the frame to send next, if there is one.
        journal: Takes what becomes of the frames.
        alive: Called with each sign of life.
    """

    def __init__(
        self,
        address: str,
        config: StreamConfig,
        limits: LimitsConfig,
        credentials: grpc.ChannelCredentials | None,
        *,
        take: Callable[[], Waiting | None],
        journal: Journal,
        alive: Callable[[], None],
    ) -> None:
        self.num_results = 0
        self._address = address
        self._config = config
        self._take = take
        self._journal = journal
        self._alive = alive
        options = [*channel_options(limits), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = open_channel(address, credentials, options)
        self._call: Any = None
        self._in_flight: dict[int, Waiting] = {}
        self._nudge = asyncio.Event()
        self._retired = asyncio.Event()
        self._idle = asyncio.Event()  # retired, and nothing is in flight
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def open(self) -> None:
        """Connect, and ask for the model: a server without one would only lose frames.

        Raises:
            ServingError: No server, no model, or no answer within `connect_timeout_s`.
        """
        stub: Any = segmentation_pb2_grpc.SegmentationServiceStub(self._channel)  # type: ignore[no-untyped-call]
        timeout_s = self._config.connect_timeout_s
        try:
            answer = await stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ServingError(f"no answer within {timeout_s:g} s", where=self._address) from error
            raise error_of(error, self._address) from error
        self._call = stub.StreamSegment()
        self._journal.named(messages.model_info_of(answer.model))

    async def run(self) -> None:
        """Carry frames; return when the server wants another connection, or ends this one in order.

        Raises:
            ServingError: The connection broke, or the server is silent.
        """
        loop = asyncio.get_running_loop()
        reading, writing, watching = (
            loop.create_task(work()) for work in (self._read, self._write, self._watch_for_silence)
        )
        retired = loop.create_task(self._wait_for_retirement())
        self._tasks = (reading, writing, watching, retired)
        running = set(self._tasks)
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            if reading in ended or retired in ended:
                return

    def nudge(self) -> None:
        """Look for a frame to send: one has come, or there is room for it."""
        self._nudge.set()

    def retire(self) -> None:
        """Send nothing any more; answers still come."""
        self._retired.set()
        self._nudge.set()

    async def finish(self, timeout_s: float) -> None:
        """Wait for the answers that are due, close, and report what was not answered as lost."""
        self.retire()
        if self._in_flight and self._tasks:
            idle = asyncio.get_running_loop().create_task(self._wait_until_idle())
            await asyncio.wait([self._tasks[0], idle], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
        await self.abort("the connection ended before an answer came")

    async def abort(self, reason: str) -> None:
        """Close at once; what was not answered is lost for `reason`."""
        self.retire()
        if self._call is not None:
            self._call.cancel()
        if self._tasks:
            # They end by themselves now. Cancelled, they would leave events behind at gRPC.
            await asyncio.wait(self._tasks[:2], timeout=_ENDING_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()
        while self._in_flight:
            self._journal.lost(self._in_flight.pop(next(iter(self._in_flight))), reason)

    async def _wait_for_retirement(self) -> None:
        await self._retired.wait()

    async def _wait_until_idle(self) -> None:
        await self._idle.wait()

    async def _write(self) -> None:
        # A write that has begun is never cancelled by us: that would end the whole call, and lose its frames.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):  # the reader learns why it ended
            while not self._retired.is_set():
                full = len(self._in_flight) >= self._config.max_in_flight
                waiting = None if full else self._take()
                if waiting is None:
                    self._nudge.clear()
                    await self._nudge.wait()
                else:
                    await self._call.write(self._request(waiting))
            await self._call.done_writing()

    def _request(self, waiting: Waiting) -> pb.StreamSegmentRequest:
        """The message of a frame that is in flight from now on."""
        now = time.monotonic()
        frame, waiting.frame = waiting.frame, None
        assert frame is not None, "a frame is sent once"
        remaining_s = waiting.remaining_s(now)
        if remaining_s is not None:
            frame.max_age.CopyFrom(messages.duration(max(remaining_s, _SHORTEST_AGE_S)))
        waiting.sent_at = now
        self._in_flight[waiting.sequence_number] = waiting
        return pb.StreamSegmentRequest(
            frame=frame,
            mask_encoding=messages.MASK_ENCODINGS[self._config.mask_format],
            include_confidence=self._config.include_confidence,
        )

    async def _read(self) -> None:
        try:
            while (event := await self._call.read()) is not grpc.aio.EOF:  # pyright: ignore[reportAttributeAccessIssue]
                self._handle(event)
        except grpc.RpcError as error:
            raise error_of(error, self._address) from error

    def _handle(self, event: pb.StreamSegmentResponse) -> None:
        self._alive()
        kind = event.WhichOneof("event")
        if kind == "model":
            self._journal.named(messages.model_info_of(event.model))
        elif kind == "reconnect":
            logger.info("%s asks for a new connection: %s", self._address, event.reconnect.reason)
            self.retire()
        elif kind == "result":
            waiting = self._in_flight.pop(event.result.sequence_number, None)
            if waiting is None:
                logger.warning("%s answers frame %d, which nobody asked", self._address, event.result.sequence_number)
                return
            self.num_results += 1
            self._journal.answered(waiting, event.result)
            self.nudge()
            if self._retired.is_set() and not self._in_flight:
                self._idle.set()

    async def _watch_for_silence(self) -> None:
        timeout_s = self._config.answer_timeout_s
        while True:
            await asyncio.sleep(timeout_s / 4)
            oldest = next(iter(self._in_flight.values()), None)
            if oldest is not None and oldest.sent_at is not None and time.monotonic() - oldest.sent_at > timeout_s:
                raise ServingError(
                    f"no answer to frame {oldest.sequence_number} for {timeout_s:g} s", where=self._address
                )
