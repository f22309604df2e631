"""One camera's stream: frames in, exactly one result each, in the order of capture.

A reader takes frames in and starts a task for each; most of them end as superseded before anything was spent on them.
A writer of its own sends the results in order. Between them lies the outbox: when a slow client lets too many masks
gather there, the oldest is dropped and its frame answered SUPERSEDED, and when too many results of any kind gather,
the reader pauses, which the client feels as flow control.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from isthmus.errors import DrainingError, FrameExpiredError, FrameSupersededError, InvalidFrameError, OverloadedError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving import frame_messages as messages
from isthmus.serving.errors import reason_code
from isthmus.serving.frame_record import FrameRecord
from isthmus.serving.identity import is_named
from isthmus.serving.model import LoadedModel
from isthmus.serving.pipeline import Pipeline, check_deadline
from isthmus.serving.scheduling.places import Places

logger = logging.getLogger(__name__)

MAX_UNSENT: Final = 64
"""Most frames of a stream without a sent result; then no further one is read."""

_RPC: Final = "StreamSegment"

Write = Callable[[pb.StreamSegmentResponse], Awaitable[None]]


class _Entry:
    """A frame from its arrival to the sending of its result."""

    def __init__(self, record: FrameRecord, frame: pb.Frame) -> None:
        self.record = record
        self.known = messages.result_of(frame)
        self.answer: pb.StreamSegmentResponse | None = None
        self.error: Exception | None = None
        self._give_back: Callable[[], None] | None = None

    @property
    def is_done(self) -> bool:
        return self.answer is not None or self.error is not None

    def response(self) -> pb.StreamSegmentResponse:
        """What is sent; from now on the verdict is final."""
        if self.answer is not None and time.monotonic() >= self.record.deadline:
            self.drop(FrameExpiredError("the deadline passed before the mask could be sent"))
        response = self.answer
        if response is None:
            assert self.error is not None
            response = pb.StreamSegmentResponse(result=self.known)
            response.result.model_version = self.record.model_version
            messages.write_verdict(response.result, self.error)
        messages.write_timings(response.result, self.record)
        self.record.close(self.error)
        return response

    def keep(self, answer: pb.StreamSegmentResponse, places: Places) -> None:
        """Hold the mask until it is sent, or `drop` the answer where the server holds too much."""
        try:
            self._give_back = places.keep_mask(answer.ByteSize())
            self.answer = answer
        except OverloadedError as error:
            self.drop(error)

    def drop(self, error: Exception) -> None:
        self.answer, self.error = None, error
        self.release()

    def release(self) -> None:
        """Give back the mask's bytes."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None


class CameraStream:
    """One call of `StreamSegment`.

    Args:
        pipeline: The stages.
        vehicle: Who calls.
        remaining_s: Seconds until the client's deadline for the whole call; infinity for none.
    """

    def __init__(self, pipeline: Pipeline, vehicle: str, remaining_s: float) -> None:
        self._pipeline = pipeline
        self._vehicle = vehicle
        self._call_deadline = time.monotonic() + remaining_s
        self._outbox: deque[_Entry] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._camera_id: str | None = None
        self._sequence_number = -1
        self._announced: LoadedModel | None = None
        self._leaving: str | None = None
        self._has_ended = False
        self._is_over = False

    async def run(self, requests: AsyncIterator[pb.StreamSegmentRequest], write: Write) -> None:
        """Serve until the client ends the stream, or has been asked to.

        Args:
            requests: What the client sends.
            write: Sends a message, and returns when there is room for another.

        Raises:
            NoModelError: Nothing has been promoted yet.
        """
        loop = asyncio.get_running_loop()
        self._announced = self._pipeline.model()
        await write(pb.StreamSegmentResponse(model=messages.model_info(self._announced)))
        reader = loop.create_task(self._read(requests), name="stream-reader")
        writer = loop.create_task(self._write(write), name="stream-writer")
        take_back = self._pipeline.on_leave(self._leave)
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                reader.result()
            await writer
        finally:
            take_back()
            await self._end({reader, writer})

    async def _end(self, ours: set["asyncio.Task[None]"]) -> None:
        """Leave nothing behind, whatever came to pass: each frame that was read has its verdict then."""
        self._is_over = True
        tasks = ours | self._tasks
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
        finally:
            for entry in self._outbox:
                entry.record.close(asyncio.CancelledError())
                entry.release()
            self._outbox.clear()

    def _leave(self, reason: str) -> None:
        """Ask the client to go, and end the stream if it does not."""
        if self._leaving is None:
            self._leaving = reason
            self._news.set()

    # Reading.

    async def _read(self, requests: AsyncIterator[pb.StreamSegmentRequest]) -> None:
        try:
            async for request in requests:
                self._enter(request)
                while len(self._outbox) >= MAX_UNSENT:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._has_ended = True
            self._news.set()

    def _enter(self, request: pb.StreamSegmentRequest) -> None:
        record = self._pipeline.record(_RPC, self._vehicle)
        record.name_camera(request.frame.camera_id if self._camera_id is None else self._camera_id)
        entry = _Entry(record, request.frame)
        self._outbox.append(entry)
        task = asyncio.get_running_loop().create_task(self._answer(entry, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, entry: _Entry, request: pb.StreamSegmentRequest) -> None:
        """Give `entry` its answer or its error; only the stream's own end can prevent that."""
        try:
            entry.keep(await self._segment(entry, request), self._pipeline.places)
        except asyncio.CancelledError:
            if self._is_over:
                raise
            entry.error = DrainingError("the server has stopped", remedy="Ask another server.")
        except Exception as error:
            entry.error = error
            if reason_code(error) == "INTERNAL":
                camera = entry.record.camera
                logger.exception("a frame of %s, camera %r, failed", self._vehicle, camera, extra={"camera": camera})
        self._drop_oldest_masks()
        self._news.set()

    async def _segment(self, entry: _Entry, request: pb.StreamSegmentRequest) -> pb.StreamSegmentResponse:
        if self._leaving is not None:
            raise DrainingError(f"{self._leaving}, and takes no frames any more", remedy="Open another stream.")
        record, frame, data = entry.record, request.frame, request.frame.data
        current = self._pipeline.current
        record.model_version = current.version if current is not None else ""
        record.service_class = messages.service_class_of(frame)
        record.deadline = min(record.arrived + messages.max_age_s(frame), self._call_deadline)
        encoding = messages.mask_encoding_of(request)
        self._check_camera(frame)
        with self._pipeline.admission(
            self._vehicle, num_bytes=len(data), service_class=record.service_class, in_stream=True
        ):
            max_pixels = self._pipeline.limits.max_frame_pixels
            check_deadline(record.deadline)
            job = messages.job_of(frame, data, record, self._vehicle, max_pixels=max_pixels, slot=self._slot_of(frame))
            write = partial(
                messages.written,
                pb.StreamSegmentResponse(result=entry.known),
                encoding=encoding,
                include_confidence=request.include_confidence,
            )
            return await self._pipeline.answer(job, record, write)

    def _slot_of(self, frame: pb.Frame) -> tuple[object, str]:
        # A connection is no vehicle: a proxy sends the cameras of many over one, and their names are alike.
        return (self._vehicle if is_named(self._vehicle) else self, frame.camera_id)

    def _check_camera(self, frame: pb.Frame) -> None:
        if self._camera_id is None:
            self._camera_id = frame.camera_id
        if frame.camera_id != self._camera_id:
            raise InvalidFrameError(
                f"is {frame.camera_id!r}, but this stream is {self._camera_id!r}'s",
                where="frame.camera_id",
                remedy="Open a stream for each camera.",
            )
        if frame.sequence_number <= self._sequence_number:
            raise InvalidFrameError(
                f"is {frame.sequence_number}, after {self._sequence_number}", where="frame.sequence_number"
            )
        self._sequence_number = frame.sequence_number

    def _drop_oldest_masks(self) -> None:
        masks = [entry for entry in self._outbox if entry.answer is not None]
        for entry in masks[: max(0, len(masks) - self._pipeline.scheduling.outbox_size)]:
            entry.drop(FrameSupersededError("the client reads too slowly, and newer masks were ready"))

    # Writing.

    async def _write(self, write: Write) -> None:
        """Send what is ready, in order, until all is sent and nothing will come."""
        has_told = False
        while True:
            if self._leaving is not None and not has_told:
                has_told = True
                await write(pb.StreamSegmentResponse(reconnect=pb.Reconnect(reason=self._leaving)))
                grace_s = self._pipeline.scheduling.reconnect_grace_s
                asyncio.get_running_loop().call_later(grace_s, self._give_up_reading)
            elif self._outbox and self._outbox[0].is_done:
                await self._send(self._outbox.popleft(), write)
            elif self._has_ended and not self._outbox:
                return
            else:
                self._news.clear()
                await self._news.wait()

    def _give_up_reading(self) -> None:
        self._has_ended = True
        self._news.set()

    async def _send(self, entry: _Entry, write: Write) -> None:
        try:
            response = entry.response()
            self._room.set()
            model = entry.record.done.model if entry.record.done is not None else None
            if entry.error is None and model is not None and model is not self._announced:
                self._announced = model
                await write(pb.StreamSegmentResponse(model=messages.model_info(model)))
            await write(response)
        finally:
            entry.release()
