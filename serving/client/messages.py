"""Between what a client's user holds (pictures, results) and what travels (protobuf messages)."""

from datetime import UTC
from typing import Final

import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2
from numpy.typing import NDArray

from isthmus.errors import ConfigurationError, FrameDroppedError, FrameExpiredError, InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving import codec
from isthmus.serving.client.results import Change, LabelClass, ModelChange, ModelInfo, Segmentation, Timings
from isthmus.serving.codec import MaskFormat

_FRAME_ENCODINGS: Final = {
    codec.ImageFormat.JPEG: pb.FRAME_ENCODING_JPEG,
    codec.ImageFormat.PNG: pb.FRAME_ENCODING_PNG,
}
_MASK_FORMATS: Final = {
    pb.MASK_ENCODING_RAW8: MaskFormat.RAW,
    pb.MASK_ENCODING_ZSTD: MaskFormat.ZSTD,
    pb.MASK_ENCODING_PNG: MaskFormat.PNG,
}
MASK_ENCODINGS: Final = {kind: encoding for encoding, kind in _MASK_FORMATS.items()}
_CHANGES: Final = {
    pb.MODEL_CHANGE_CURRENT: Change.CURRENT,
    pb.MODEL_CHANGE_SWAPPED: Change.SWAPPED,
    pb.MODEL_CHANGE_ROLLED_BACK: Change.ROLLED_BACK,
    pb.MODEL_CHANGE_REFUSED: Change.REFUSED,
}


def frame_of(image: object) -> pb.Frame:
    """A frame with the pixels of `image`, copied.

    Args:
        image: RGB [H, W, 3] uint8, or the bytes of a JPEG or PNG file.

    Raises:
        InvalidFrameError: It is something else.
    """
    if isinstance(image, bytes):
        kind = codec.image_format_of(image)
        if kind is None:
            raise InvalidFrameError("the bytes are neither a JPEG nor a PNG file", where="image")
        return pb.Frame(encoding=_FRAME_ENCODINGS[kind], data=image)
    if not isinstance(image, np.ndarray):
        raise InvalidFrameError(
            f"{type(image).__name__} is no picture", where="image", remedy="Give RGB pixels, or a file's bytes."
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InvalidFrameError(f"{image.dtype} {list(image.shape)} is not uint8 [H, W, 3]", where="image")
    height, width, _ = image.shape
    return pb.Frame(encoding=pb.FRAME_ENCODING_RGB8, width=width, height=height, data=image.tobytes())


def segment_request(
    image: NDArray[np.uint8] | bytes,
    mask_format: MaskFormat,
    camera_id: str,
    sequence_number: int,
    max_age_s: float | None,
) -> pb.SegmentRequest:
    """The request for one frame; arguments as in `SegmentationClient.segment`.

    Raises:
        InvalidFrameError: The image is of another kind.
    """
    frame = frame_of(image)
    frame.camera_id, frame.sequence_number = camera_id, sequence_number
    if max_age_s is not None:
        frame.max_age.CopyFrom(duration(max_age_s))
    return pb.SegmentRequest(frame=frame, mask_encoding=MASK_ENCODINGS[mask_format], include_confidence=True)


def answer_of(request: pb.SegmentRequest, result: pb.FrameResult, address: str) -> Segmentation:
    """What a unary call answers to `request`.

    Raises:
        FrameExpiredError: The answer came too late.
        FrameDroppedError: Any other verdict without a mask.
    """
    number = request.frame.sequence_number
    if result.verdict == pb.VERDICT_EXPIRED:
        raise FrameExpiredError(f"frame {number} expired: {result.reason}", where=address)
    if result.verdict != pb.VERDICT_SEGMENTED:
        raise FrameDroppedError(
            f"frame {number} has verdict {result.verdict}: {result.reason}",
            where=address,
            remedy="A newer client may know this verdict.",
        )
    return segmentation_of(result)


def segmentation_of(result: pb.FrameResult) -> Segmentation:
    """The mask of a result whose verdict is SEGMENTED."""
    confidence = np.frombuffer(result.confidence, np.uint8)
    timings = result.timings
    return Segmentation(
        mask=codec.decode_mask(result.mask, _MASK_FORMATS[result.mask_encoding], result.mask_height, result.mask_width),
        confidence=confidence.reshape(result.confidence_height, result.confidence_width),
        model_version=result.model_version,
        label_space_id=result.label_space_id,
        class_fractions=tuple(result.class_fractions),
        timings=Timings(timings.decode_us, timings.queue_us, timings.infer_us, timings.encode_us),
    )


def model_info_of(model: pb.ModelInfo) -> ModelInfo:
    """The model that a message describes."""
    return ModelInfo(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        label_space_id=model.label_space.id,
        classes=tuple(LabelClass(item.name, _rgb(item.color_rgb)) for item in model.label_space.classes),
        provider=model.provider,
        provider_fallback=model.provider_fallback,
        from_cache=model.from_cache,
    )


def model_change_of(message: pb.WatchModelResponse) -> ModelChange:
    """The change that a message tells."""
    at = message.changed_at.ToDatetime(tzinfo=UTC) if message.HasField("changed_at") else None
    return ModelChange(
        change=_CHANGES.get(message.change, Change.UNKNOWN),
        model=model_info_of(message.model),
        reason=message.reason,
        refused_version=message.refused_version,
        changed_at=at,
    )


def positive_seconds(seconds: float, name: str) -> float:
    """The same number.

    Raises:
        ConfigurationError: It is not positive.
    """
    if not seconds > 0:  # nan is not either
        raise ConfigurationError(f"{seconds} is no positive number of seconds", where=name)
    return seconds


def duration(seconds: float) -> duration_pb2.Duration:
    """Seconds as a message."""
    message = duration_pb2.Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def timestamp(unix_s: float) -> timestamp_pb2.Timestamp:
    """Seconds since 1970 as a message."""
    message = timestamp_pb2.Timestamp()
    message.FromMicroseconds(round(unix_s * 1e6))  # a float of today holds no more
    return message


def _rgb(packed: int) -> tuple[int, int, int]:
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255
