"""A client for one server: frames in, masks out. Needs neither torch nor onnxruntime.

with SegmentationClient("127.0.0.1:50051") as client:
    result = client.segment(Path("street.jpg").read_bytes())
    result.mask          # [H, W] uint8 ids of client.model_info().label_space
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc
import numpy as np
from google.protobuf import duration_pb2
from numpy.typing import NDArray

from isthmus.errors import FrameDroppedError, FrameExpiredError, InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import codec
from isthmus.serving.codec import MaskFormat
from isthmus.serving.config import LimitsConfig
from isthmus.serving.errors import error_of
from isthmus.serving.transport import channel_options

DEFAULT_TIMEOUT_S: Final = 30.0

_FRAME_ENCODINGS: Final = {
    codec.ImageFormat.JPEG: pb.FRAME_ENCODING_JPEG,
    codec.ImageFormat.PNG: pb.FRAME_ENCODING_PNG,
}
_MASK_ENCODINGS: Final = {
    MaskFormat.RAW: pb.MASK_ENCODING_RAW8,
    MaskFormat.ZSTD: pb.MASK_ENCODING_ZSTD,
    MaskFormat.PNG: pb.MASK_ENCODING_PNG,
}


@dataclass(frozen=True)
class LabelClass:
    """One class.

    Args:
        name: For example `road`.
        color: RGB, 0..255.
    """

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class ModelInfo:
    """The model that answers.

    Args:
        name: The registered model's name.
        version: The registry's version, or `file`.
        sha256: Of the ONNX file, hex.
        label_space_id: Changes with any id or name.
        classes: In order of the ids, from 0.
        provider: onnxruntime's execution provider.
        provider_fallback: Whether a GPU was preferred but is not used.
        from_cache: Whether this is the last good model: the registry did not answer, or its champion was refused.
    """

    name: str
    version: str
    sha256: str
    label_space_id: str
    classes: tuple[LabelClass, ...]
    provider: str
    provider_fallback: bool
    from_cache: bool

    @property
    def palette(self) -> NDArray[np.uint8]:
        """RGB colours [256, 3] uint8 by id; ids without a class, and 255, are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.classes)] = [item.color for item in self.classes]
        return table


@dataclass(frozen=True)
class Timings:
    """Microseconds that the server spent on a frame."""

    decode_us: int
    queue_us: int
    infer_us: int
    encode_us: int


@dataclass(frozen=True)
class Segmentation:
    """The answer to one frame.

    Args:
        mask: Ids [H, W] uint8, 255 unlabelled.
        confidence: round(255 x highest class probability) [h, w] uint8, smaller than the mask.
        model_version: The registry's version, or `file`.
        label_space_id: Says what the ids mean; see `ModelInfo`.
        class_fractions: Share of the pixels by id, in [0, 1].
        timings: Where the time went.
    """

    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    model_version: str
    label_space_id: str
    class_fractions: tuple[float, ...]
    timings: Timings


class SegmentationClient:
    """Talks to one server; may be shared by threads.

    Args:
        address: `HOST:PORT`.
        timeout_s: Seconds after which a call is given up.
        limits: The server's limits, as far as they differ from the defaults.
    """

    def __init__(
        self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, limits: LimitsConfig | None = None
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(address, options=channel_options(limits or LimitsConfig()))
        self._stub = segmentation_pb2_grpc.SegmentationServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def model_info(self) -> ModelInfo:
        """Ask which model answers.

        Raises:
            ServingError: No server, or no model yet.
        """
        try:
            answer = self._stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from error
        model = answer.model
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

    def segment(
        self,
        image: NDArray[np.uint8] | bytes,
        *,
        mask_format: MaskFormat = MaskFormat.ZSTD,
        camera_id: str = "",
        sequence_number: int = 0,
        max_age_s: float | None = None,
    ) -> Segmentation:
        """Segment one frame.

        Args:
            image: RGB [H, W, 3] uint8, or the bytes of a JPEG or PNG file.
            mask_format: How the mask travels; the result is the same.
            camera_id: Names the camera within its vehicle.
            sequence_number: Counts the camera's frames.
            max_age_s: Seconds after which the answer is of no use; None for never.

        Raises:
            InvalidFrameError: The image is of another kind, or the server cannot read it.
            FrameExpiredError: The answer came too late.
            FrameDroppedError: The server gave a verdict that this client does not know.
            ServingError: No server, no model, or too much to do; the class says which.
        """
        frame = _frame(image)
        frame.camera_id, frame.sequence_number = camera_id, sequence_number
        if max_age_s is not None:
            frame.max_age.CopyFrom(_duration(max_age_s))
        request = pb.SegmentRequest(frame=frame, mask_encoding=_MASK_ENCODINGS[mask_format], include_confidence=True)
        try:
            answer = self._stub.Segment(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from error
        result = answer.result
        if result.verdict == pb.VERDICT_EXPIRED:
            raise FrameExpiredError(f"frame {sequence_number} expired: {result.reason}", where=self.address)
        if result.verdict != pb.VERDICT_SEGMENTED:
            raise FrameDroppedError(
                f"frame {sequence_number} has verdict {result.verdict}: {result.reason}",
                where=self.address,
                remedy="A newer client may know this verdict.",
            )
        return _segmentation(result, mask_format)


def _frame(image: object) -> pb.Frame:
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


def _segmentation(result: pb.FrameResult, mask_format: MaskFormat) -> Segmentation:
    confidence = np.frombuffer(result.confidence, np.uint8)
    timings = result.timings
    return Segmentation(
        mask=codec.decode_mask(result.mask, mask_format, result.mask_height, result.mask_width),
        confidence=confidence.reshape(result.confidence_height, result.confidence_width),
        model_version=result.model_version,
        label_space_id=result.label_space_id,
        class_fractions=tuple(result.class_fractions),
        timings=Timings(timings.decode_us, timings.queue_us, timings.infer_us, timings.encode_us),
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _rgb(packed: int) -> tuple[int, int, int]:
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255
