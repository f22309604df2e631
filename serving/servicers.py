"""`isthmus.serving.v1.SegmentationService`: our own protocol."""

import asyncio
import math
from collections import deque
from functools import partial
from typing import Any, Final, TypeAlias

import grpc.aio
from google.protobuf import timestamp_pb2

from isthmus.errors import FrameExpiredError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import frame_messages as messages
from isthmus.serving.events import Change, Event, ModelChanged
from isthmus.serving.frame_record import FrameRecord
from isthmus.serving.identity import vehicle_of
from isthmus.serving.pipeline import Pipeline, check_deadline
from isthmus.serving.streams import CameraStream

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["SegmentationService"].full_name
_MAX_CHANGES: Final = 64
_CHANGES: Final = {
    Change.SWAPPED: pb.MODEL_CHANGE_SWAPPED,
    Change.ROLLED_BACK: pb.MODEL_CHANGE_ROLLED_BACK,
    Change.REFUSED: pb.MODEL_CHANGE_REFUSED,
}

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServiceServicer):
    """Answers frames with masks, and questions about the model.

    Args:
        pipeline: The stages that both protocols share.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def Segment(self, request: pb.SegmentRequest, context: Context) -> pb.SegmentResponse:  # noqa: N802
        """Segment one frame."""
        vehicle = vehicle_of(context)
        with self._pipeline.record("Segment", vehicle) as record:
            model = self._pipeline.model()
            record.model_version = model.version
            record.name_camera(request.frame.camera_id)
            record.service_class = messages.service_class_of(request.frame)
            record.deadline = record.arrived + min(messages.max_age_s(request.frame), remaining_s(context))
            encoding = messages.mask_encoding_of(request)
            try:
                return await self._segment(request, record, vehicle, encoding)
            except FrameExpiredError as error:
                record.drop(error)
                result = messages.result_of(request.frame)
                messages.name_model(result, record.done.model if record.done is not None else model)
                messages.write_verdict(result, error)
                messages.write_timings(result, record)
                return pb.SegmentResponse(result=result)

    async def _segment(
        self, request: pb.SegmentRequest, record: FrameRecord, vehicle: str, encoding: pb.MaskEncoding
    ) -> pb.SegmentResponse:
        frame, data = request.frame, request.frame.data
        limits = self._pipeline.limits
        with self._pipeline.admission(vehicle, num_bytes=len(data), service_class=record.service_class):
            check_deadline(record.deadline)
            job = messages.job_of(frame, data, record, vehicle, max_pixels=limits.max_frame_pixels, slot=None)
            write = partial(
                messages.written,
                pb.SegmentResponse(result=messages.result_of(frame)),
                encoding=encoding,
                include_confidence=request.include_confidence,
            )
            response = await self._pipeline.answer(job, record, write)
        messages.write_timings(response.result, record)
        return response

    async def StreamSegment(self, request_iterator: Any, context: Context) -> None:  # noqa: N802
        """Segment one camera's frames until its client, its age or the server's end ends the stream."""
        with self._pipeline.open_stream():
            await CameraStream(self._pipeline, vehicle_of(context), remaining_s(context)).run(
                request_iterator, context.write
            )

    async def GetModelInfo(  # noqa: N802
        self,
        request: pb.GetModelInfoRequest,  # noqa: ARG002 - the method's shape is gRPC's
        context: Context,  # noqa: ARG002
    ) -> pb.GetModelInfoResponse:
        """Tell which model answers now."""
        slots = self._pipeline.slots
        challenger = slots.shadowed()
        return pb.GetModelInfoResponse(
            model=messages.model_info(self._pipeline.model()),
            max_frame_pixels=self._pipeline.limits.max_frame_pixels,
            previous=messages.model_info(slots.previous) if slots.previous is not None else None,
            challenger=messages.model_info(challenger) if challenger is not None else None,
        )

    async def WatchModel(self, request: pb.WatchModelRequest, context: Context) -> None:  # noqa: N802, ARG002
        """Tell of the model, and of each change until the server drains."""
        with self._pipeline.open_stream():
            watch = _Watch(self._pipeline)
            unsubscribe = self._pipeline.events.subscribe(watch)
            take_back = self._pipeline.on_drain(watch.end)
            try:
                async for change in watch:
                    await context.write(change)
            finally:
                take_back()
                unsubscribe()


class _Watch:
    """The changes of the model for one client; one that reads too slowly loses the oldest."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._changes: deque[pb.WatchModelResponse] = deque(maxlen=_MAX_CHANGES)
        self._news = asyncio.Event()
        self._ended = False
        self._add(pb.MODEL_CHANGE_CURRENT)

    def heard(self, event: Event) -> None:
        """Note a change, with the model as it is now."""
        if isinstance(event, ModelChanged):
            self._add(_CHANGES[event.change], reason=event.reason, refused_version=event.refused_version)

    def end(self) -> None:
        """No more changes."""
        self._ended = True
        self._news.set()

    def __aiter__(self) -> "_Watch":
        return self

    async def __anext__(self) -> pb.WatchModelResponse:
        while not self._changes:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._changes.popleft()

    def _add(self, change: pb.ModelChange, **fields: str) -> None:
        now = timestamp_pb2.Timestamp()
        now.GetCurrentTime()
        info = messages.model_info(self._pipeline.model())
        self._changes.append(pb.WatchModelResponse(change=change, model=info, changed_at=now, **fields))
        self._news.set()


def remaining_s(context: Context) -> float:
    """Seconds until the client's own deadline; infinity where it set none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining
