"""Between our protocol's messages and what the pipeline works on."""

import math
from collections.abc import Hashable
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import numpy as np
from google.protobuf import timestamp_pb2
from numpy.typing import NDArray

from isthmus.errors import InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving import codec
from isthmus.serving.errors import reason_code
from isthmus.serving.frame_record import VERDICTS, FrameFacts, FrameRecord
from isthmus.serving.identity import payer_of
from isthmus.serving.jobs import Done, Job
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduling.work import Group, ServiceClass

R = TypeVar("R", pb.SegmentResponse, pb.StreamSegmentResponse)

_IMAGE_FORMATS: Final = {
    pb.FRAME_ENCODING_JPEG: codec.ImageFormat.JPEG,
    pb.FRAME_ENCODING_PNG: codec.ImageFormat.PNG,
}
_MASK_FORMATS: Final = {
    pb.MASK_ENCODING_RAW8: codec.MaskFormat.RAW,
    pb.MASK_ENCODING_ZSTD: codec.MaskFormat.ZSTD,
    pb.MASK_ENCODING_PNG: codec.MaskFormat.PNG,
}
_SERVICE_CLASSES: Final = {
    pb.SERVICE_CLASS_UNSPECIFIED: ServiceClass.LIVE,
    pb.SERVICE_CLASS_LIVE: ServiceClass.LIVE,
    pb.SERVICE_CLASS_BULK: ServiceClass.BULK,
}
_VERDICTS: Final = {
    "expired": pb.VERDICT_EXPIRED,
    "superseded": pb.VERDICT_SUPERSEDED,
    "overloaded": pb.VERDICT_OVERLOADED,
    "invalid": pb.VERDICT_INVALID,
    "failed": pb.VERDICT_FAILED,
}


def service_class_of(frame: pb.Frame) -> ServiceClass:
    """What a frame is for.

    Raises:
        InvalidFrameError: It names a class that this server does not know.
    """
    known = _SERVICE_CLASSES.get(frame.service_class)
    if known is None:
        raise InvalidFrameError(f"unknown class {frame.service_class}", where="frame.service_class")
    return known


def mask_encoding_of(request: pb.SegmentRequest | pb.StreamSegmentRequest) -> pb.MaskEncoding:
    """How the mask shall be written.

    Raises:
        InvalidFrameError: In a way that this server does not know.
    """
    encoding = request.mask_encoding or pb.MASK_ENCODING_RAW8
    if encoding not in _MASK_FORMATS:
        raise InvalidFrameError(f"unknown mask encoding {encoding}", where="mask_encoding")
    return encoding


def max_age_s(frame: pb.Frame) -> float:
    """Seconds that an answer is of use from the frame's arrival; infinity where the frame does not say.

    Raises:
        InvalidFrameError: It is not positive.
    """
    if not frame.HasField("max_age"):
        return math.inf
    seconds = frame.max_age.seconds + frame.max_age.nanos / 1e9
    if seconds <= 0:
        raise InvalidFrameError("is not positive", where="frame.max_age")
    return seconds


def job_of(
    frame: pb.Frame, data: bytes, record: FrameRecord, vehicle: str, *, max_pixels: int, slot: Hashable | None
) -> Job:
    """A frame as work. Its size is known from its header; nothing is decoded.

    Args:
        frame: The message.
        data: Its bytes: the message makes a copy each time that it is asked for them.
        record: Has the frame's times and class.
        vehicle: Who sent it.
        max_pixels: Larger frames are refused.
        slot: Where newer frames may take its place; None for nowhere.

    Raises:
        FrameTooLargeError: It has too many pixels.
        InvalidFrameError: Its fields, its header or the number of its bytes are wrong.
    """
    kind = _IMAGE_FORMATS.get(frame.encoding)
    if kind is None:
        image = _raw_image(frame, data, max_pixels)
        shape_hw = (frame.height, frame.width)
        decode = partial(_itself, image)
    else:
        shape_hw = _file_shape(frame, data, kind, max_pixels)
        decode = partial(_decode_file, data, kind, max_pixels)
    return Job(
        vehicle=payer_of(vehicle),
        service_class=record.service_class,
        stream=slot,
        arrived=record.arrived,
        deadline=record.deadline,
        group=Group(shape_hw, ""),
        decode=decode,
        is_cheap=kind is None,
    )


def _raw_image(frame: pb.Frame, data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    if frame.encoding != pb.FRAME_ENCODING_RGB8:
        raise InvalidFrameError(f"unknown encoding {frame.encoding}", where="frame.encoding")
    codec.check_pixels(frame.height, frame.width, max_pixels, field="frame.width")
    return codec.decode_raw(data, frame.height, frame.width, field="frame.data")[None]


def _itself(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def _file_shape(frame: pb.Frame, data: bytes, kind: codec.ImageFormat, max_pixels: int) -> tuple[int, int]:
    height, width = codec.check_header(data, max_pixels, field="frame.data", kind=kind)
    for side, stated, found in (("width", frame.width, width), ("height", frame.height, height)):
        if stated not in (0, found):
            raise InvalidFrameError(f"is {stated}, but the file's is {found}", where=f"frame.{side}")
    return height, width


def _decode_file(data: bytes, kind: codec.ImageFormat, max_pixels: int) -> NDArray[np.uint8]:
    return codec.decode_image(data, max_pixels, field="frame.data", kind=kind)[None]


def result_of(frame: pb.Frame) -> pb.FrameResult:
    """The part of an answer that is known when the frame arrives."""
    return pb.FrameResult(camera_id=frame.camera_id, sequence_number=frame.sequence_number)


def written(
    response: R, done: Done, facts: list[FrameFacts], *, encoding: pb.MaskEncoding, include_confidence: bool
) -> R:
    """`response` with mask, class fractions and confidence; all but the timings.

    Args:
        response: Its result holds what `result_of` says. It is filled in place: a mask is large, and assigning a
            message copies it.
        done: One frame's.
        facts: One frame's.
        encoding: Of the mask.
        include_confidence: Whether the confidence map is wanted.
    """
    labels, confidence = done.prediction.labels[0], done.prediction.confidence[0]
    result = response.result
    result.verdict = pb.VERDICT_SEGMENTED
    name_model(result, done.model)
    result.mask_encoding = encoding
    result.mask_height, result.mask_width = labels.shape
    result.mask = codec.encode_mask(labels, _MASK_FORMATS[encoding])
    result.class_fractions.extend(facts[0].class_fractions)
    if include_confidence:
        result.confidence_height, result.confidence_width = confidence.shape
        result.confidence = confidence.tobytes()
    return response


def name_model(result: pb.FrameResult, model: LoadedModel) -> None:
    """Say which model answers."""
    result.model_version = model.version
    result.label_space_id = model.card.label_space.id_hash


def write_timings(result: pb.FrameResult, record: FrameRecord) -> None:
    """Say where the time went, as far as the frame came."""
    timings, done = result.timings, record.done
    if done is not None:
        timings.decode_us, timings.queue_us = _microseconds(done.decode_s), _microseconds(done.queue_s)
        timings.infer_us = _microseconds(done.infer_s)
    if record.encode_s is not None:
        timings.encode_us = _microseconds(record.encode_s)


def write_verdict(result: pb.FrameResult, error: Exception) -> None:
    """Say why there is no mask; an error that is not meant for clients is told without its words."""
    result.verdict = _VERDICTS[VERDICTS.get(type(error), "failed")]
    result.reason_code = reason_code(error)
    result.reason = "the server failed" if result.reason_code == "INTERNAL" else str(error)


def model_info(model: LoadedModel) -> pb.ModelInfo:
    """All about a model."""
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


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
