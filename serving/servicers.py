"""`isthmus.serving.v1.SegmentationService`: our own protocol, one frame at a time."""

import math
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

import grpc.aio
import numpy as np
from google.protobuf import timestamp_pb2
from numpy.typing import NDArray

from isthmus.errors import FrameExpiredError, InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import codec
from isthmus.serving.engine import Prediction
from isthmus.serving.identity import vehicle_of
from isthmus.serving.model import LoadedModel
from isthmus.serving.pipeline import Pipeline

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["SegmentationService"].full_name

_IMAGE_FORMATS: Final = {
    pb.FRAME_ENCODING_JPEG: codec.ImageFormat.JPEG,
    pb.FRAME_ENCODING_PNG: codec.ImageFormat.PNG,
}
_MASK_FORMATS: Final = {
    pb.MASK_ENCODING_RAW8: codec.MaskFormat.RAW,
    pb.MASK_ENCODING_ZSTD: codec.MaskFormat.ZSTD,
    pb.MASK_ENCODING_PNG: codec.MaskFormat.PNG,
}

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServiceServicer):
    """Answers one frame with one mask.

    Args:
        pipeline: The stages that both protocols share.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def Segment(self, request: pb.SegmentRequest, context: Context) -> pb.SegmentResponse:  # noqa: N802
        """Segment one frame."""
        arrived = time.monotonic()
        model = self._pipeline.model()
        deadline = arrived + min(_max_age(request.frame), remaining_s(context))
        result = pb.FrameResult(
            camera_id=request.frame.camera_id,
            sequence_number=request.frame.sequence_number,
            model_version=model.version,
            label_space_id=model.card.label_space.id_hash,
            mask_encoding=_mask_encoding(request),
        )
        decode = _decoder(request.frame, self._pipeline.limits.max_frame_pixels)
        with self._pipeline.admission(vehicle_of(context), _service_class(request.frame)):
            try:
                return await self._segment(request, model, decode, deadline, result)
            except FrameExpiredError as error:
                result.verdict, result.reason = pb.VERDICT_EXPIRED, error.problem
        return pb.SegmentResponse(result=result)

    async def _segment(
        self,
        request: pb.SegmentRequest,
        model: LoadedModel,
        decode: Callable[[], NDArray[np.uint8]],
        deadline: float,
        result: pb.FrameResult,
    ) -> pb.SegmentResponse:
        """The answer with a mask; of `result`, which stays the answer without one, only the timings change."""
        timings = result.timings
        image, decode_s = await self._pipeline.offload(decode, deadline)
        timings.decode_us = _microseconds(decode_s)
        scheduled = await self._pipeline.infer(model, image[None], deadline)
        timings.queue_us, timings.infer_us = _microseconds(scheduled.queue_s), _microseconds(scheduled.infer_s)
        write = partial(_write, result, model, scheduled.prediction, request.include_confidence)
        response, encode_s = await self._pipeline.offload(write, deadline)
        response.result.timings.encode_us = _microseconds(encode_s)
        return response

    async def GetModelInfo(  # noqa: N802
        self,
        request: pb.GetModelInfoRequest,  # noqa: ARG002 - the method's shape is gRPC's
        context: Context,  # noqa: ARG002
    ) -> pb.GetModelInfoResponse:
        """Tell which model answers now."""
        model = self._pipeline.model()
        return pb.GetModelInfoResponse(
            model=_model_info(model), max_frame_pixels=self._pipeline.limits.max_frame_pixels
        )


def remaining_s(context: Context) -> float:
    """Seconds until the client's own deadline; infinity where it set none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining


def _decoder(frame: pb.Frame, max_pixels: int) -> Callable[[], NDArray[np.uint8]]:
    """What makes pixels of a frame; what can be refused at once is refused here."""
    kind = _IMAGE_FORMATS.get(frame.encoding)
    if kind is not None:
        return partial(_decode_file, frame, kind, max_pixels)
    if frame.encoding != pb.FRAME_ENCODING_RGB8:
        raise InvalidFrameError(f"unknown encoding {frame.encoding}", where="frame.encoding")
    codec.check_pixels(frame.height, frame.width, max_pixels, field="frame.width")
    return partial(codec.decode_raw, frame.data, frame.height, frame.width, field="frame.data")


def _decode_file(frame: pb.Frame, kind: codec.ImageFormat, max_pixels: int) -> NDArray[np.uint8]:
    image = codec.decode_image(frame.data, max_pixels, field="frame.data", kind=kind)
    height, width = image.shape[:2]
    for side, stated, found in (("width", frame.width, width), ("height", frame.height, height)):
        if stated not in (0, found):
            raise InvalidFrameError(f"is {stated}, but the file's is {found}", where=f"frame.{side}")
    return image


def _write(
    result: pb.FrameResult, model: LoadedModel, prediction: Prediction, include_confidence: bool
) -> pb.SegmentResponse:
    """An answer with mask, class fractions and confidence; `result` has the rest."""
    labels, confidence = prediction.labels[0], prediction.confidence[0]
    response = pb.SegmentResponse()
    filled = response.result  # filled in place: a mask is large, and assigning a message copies it
    filled.CopyFrom(result)
    filled.verdict = pb.VERDICT_SEGMENTED
    filled.mask_height, filled.mask_width = labels.shape
    filled.mask = codec.encode_mask(labels, _MASK_FORMATS[result.mask_encoding])
    filled.class_fractions.extend(codec.class_fractions(labels, len(model.card.label_space.classes)))
    if include_confidence:
        filled.confidence_height, filled.confidence_width = confidence.shape
        filled.confidence = confidence.tobytes()
    return response


def _mask_encoding(request: pb.SegmentRequest) -> pb.MaskEncoding:
    encoding = request.mask_encoding or pb.MASK_ENCODING_RAW8
    if encoding not in _MASK_FORMATS:
        raise InvalidFrameError(f"unknown mask encoding {encoding}", where="mask_encoding")
    return encoding


def _max_age(frame: pb.Frame) -> float:
    if not frame.HasField("max_age"):
        return math.inf
    seconds = frame.max_age.seconds + frame.max_age.nanos / 1e9
    if seconds <= 0:
        raise InvalidFrameError("is not positive", where="frame.max_age")
    return seconds


def _model_info(model: LoadedModel) -> pb.ModelInfo:
    card = model.card
    exported_at = timestamp_pb2.Timestamp()
    exported_at.FromDatetime(datetime.fromisoformat(card.created_at))
    height, width = card.network_size_hw
    return pb.ModelInfo(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        method=card.method,
        git_commit=card.git_commit,
        exported_at=exported_at,
        label_space=_label_space(model),
        network_width=width,
        network_height=height,
        provider=model.provider,
        provider_fallback=model.provider_fallback,
        from_cache=model.from_cache,
    )


def _label_space(model: LoadedModel) -> pb.LabelSpace:
    space = model.card.label_space
    classes = [
        pb.LabelClass(name=item.name, color_rgb=item.color[0] << 16 | item.color[1] << 8 | item.color[2])
        for item in space.classes
    ]
    return pb.LabelSpace(id=space.id_hash, name=space.name, classes=classes)


def _service_class(frame: pb.Frame) -> str:
    return "bulk" if frame.service_class == pb.SERVICE_CLASS_BULK else "live"


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
