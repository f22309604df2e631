"""Requests of the Open Inference Protocol: from a message to work, and from a prediction to tensors."""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS
from isthmus.errors import FrameTooLargeError, InvalidFrameError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.serving import codec
from isthmus.serving.config import LimitsConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.pipeline import check_deadline

ENCODED_INPUT_NAME: Final = "image_bytes"
INPUTS: Final = ((INPUT_NAME, "UINT8", (-1, -1, -1, 3)), (ENCODED_INPUT_NAME, "BYTES", (-1,)))
OUTPUTS: Final = ((OUTPUT_LABELS, "UINT8", (-1, -1, -1)), (OUTPUT_CONFIDENCE, "UINT8", (-1, -1, -1)))
FINAL_RESPONSE: Final = "triton_enable_empty_final_response"
"""Parameter of streaming clients: each request has one answer here, which says that it is the last."""

_RAW: Final = "raw_input_contents[0]"


@dataclass(frozen=True)
class Pictures:
    """The pictures of one request.

    Args:
        shape_hw: (height, width) of each.
        count: Number of them.
        decode: Makes RGB images [count, H, W, 3] uint8.
        is_cheap: Whether that only looks at the request's memory.
    """

    shape_hw: tuple[int, int]
    count: int
    decode: Callable[[], NDArray[np.uint8]]
    is_cheap: bool


def pictures_of(request: pb.ModelInferRequest, limits: LimitsConfig, network_pixels: int, deadline: float) -> Pictures:
    """The pictures of a request; what can be refused without decoding is refused here.

    Args:
        request: The message.
        limits: Sizes and counts.
        network_pixels: What every frame costs at least: the graph resizes it to the network's size.
        deadline: The monotonic clock's time after which no further picture is decoded.

    Raises:
        FrameTooLargeError: There are too many frames, or pixels.
        InvalidFrameError: The tensor, its size or its bytes are wrong.
    """
    tensor, data = _only_input(request)
    field = f"inputs[{tensor.name}]"
    expected = {name: (kind, shape) for name, kind, shape in INPUTS}
    if tensor.name not in expected:
        raise InvalidFrameError(f"no such input; there are {', '.join(expected)}", where=field)
    datatype, shape = expected[tensor.name]
    if tensor.datatype != datatype:
        raise InvalidFrameError(f"is {tensor.datatype or 'empty'}, not {datatype}", where=f"{field}.datatype")
    if not _fits(tensor.shape, shape):
        raise InvalidFrameError(f"{list(tensor.shape)} does not fit {list(shape)}", where=f"{field}.shape")
    count = tensor.shape[0]
    max_pixels = _max_pixels_each(count, limits, network_pixels, field=f"{field}.shape")
    if tensor.name == INPUT_NAME:
        _, height, width, _ = tensor.shape
        codec.check_pixels(height, width, max_pixels, field=f"{field}.shape")
        images = _raw_images(data, tuple(tensor.shape))
        return Pictures((height, width), count, lambda: images, is_cheap=True)
    files = _bytes_elements(data, count)
    shapes = {codec.check_header(file, max_pixels, field=_RAW) for file in files}
    if len(shapes) > 1:
        raise InvalidFrameError("the pictures of one request differ in size", where=_RAW)
    return Pictures(shapes.pop(), count, partial(_decode_files, files, max_pixels, deadline), is_cheap=False)


def _only_input(request: pb.ModelInferRequest) -> tuple[pb.ModelInferRequest.InferInputTensor, bytes]:
    if len(request.inputs) != 1:
        raise InvalidFrameError(f"there are {len(request.inputs)} inputs, not one", where="inputs")
    tensor = request.inputs[0]
    field = f"inputs[{tensor.name}]"
    if tensor.HasField("contents"):
        raise InvalidFrameError("send images as raw_input_contents", where=f"{field}.contents")
    if len(request.raw_input_contents) != 1:
        raise InvalidFrameError(
            f"has {len(request.raw_input_contents)} entries for one input", where="raw_input_contents"
        )
    if tensor.parameters:
        raise InvalidFrameError("no parameters are supported", where=f"{field}.parameters")
    return tensor, request.raw_input_contents[0]


def _max_pixels_each(batch: int, limits: LimitsConfig, network_pixels: int, *, field: str) -> int:
    """How large each frame of a batch may be.

    The graph resizes every frame to the network's size, so even a batch of the smallest frames costs that much.
    """
    largest = min(limits.max_batch_size, max(1, limits.max_frame_pixels // network_pixels))
    if batch > largest:
        raise FrameTooLargeError(
            f"{batch} frames are more than the {largest} that this server takes at once",
            where=field,
            remedy="Send fewer frames in a request.",
        )
    return limits.max_frame_pixels // batch


def _raw_images(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if len(data) != prod(shape):
        raise InvalidFrameError(f"{len(data)} bytes are not the {prod(shape)} of {list(shape)}", where=_RAW)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _decode_files(files: Sequence[bytes], max_pixels: int, deadline: float) -> NDArray[np.uint8]:
    images: list[NDArray[np.uint8]] = []
    for file in files:
        check_deadline(deadline)
        images.append(codec.decode_image(file, max_pixels, field=_RAW))
    return images[0][None] if len(images) == 1 else np.stack(images)


def _bytes_elements(data: bytes, count: int) -> list[bytes]:
    """Elements of a BYTES tensor: each stands behind its length, four bytes, little-endian."""
    elements: list[bytes] = []
    position = 0
    while position + 4 <= len(data) and len(elements) < count:
        (length,) = struct.unpack_from("<I", data, position)
        elements.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    if len(elements) != count or position != len(data):
        raise InvalidFrameError(f"does not hold {count} elements with their lengths", where=_RAW)
    return elements


def timeout_s(request: pb.ModelInferRequest, *, also: Sequence[str] = ()) -> float:
    """The parameter `timeout`, microseconds, as Triton's clients send it; infinity without one.

    Args:
        request: The message.
        also: Other parameters that are taken.

    Raises:
        InvalidFrameError: It is not positive, or there is a parameter that nobody here understands.
    """
    seconds = math.inf
    for name, value in request.parameters.items():
        if name in also:
            continue
        if name != "timeout":
            raise InvalidFrameError("no such parameter; there is timeout", where=f"parameters[{name}]")
        if value.int64_param <= 0:
            raise InvalidFrameError("is no positive number of microseconds", where="parameters[timeout]")
        seconds = value.int64_param / 1e6
    return seconds


def requested_outputs(request: pb.ModelInferRequest) -> tuple[str, ...]:
    """The outputs that are wanted, in that order; all where none is named.

    Raises:
        InvalidFrameError: One does not exist, is named twice, or has parameters.
    """
    known = tuple(name for name, _, _ in OUTPUTS)
    wanted = tuple(output.name for output in request.outputs)
    if len(wanted) > len(set(wanted)):
        raise InvalidFrameError("an output is named twice", where="outputs")
    for output in request.outputs:
        if output.name not in known:
            raise InvalidFrameError(f"no such output; there are {', '.join(known)}", where=f"outputs[{output.name}]")
        if output.parameters:
            raise InvalidFrameError("no parameters are supported", where=f"outputs[{output.name}].parameters")
    return wanted or known


def write_outputs(response: pb.ModelInferResponse, prediction: Prediction, outputs: Sequence[str]) -> None:
    """Add the tensors named `outputs` to `response`."""
    arrays = {OUTPUT_LABELS: prediction.labels, OUTPUT_CONFIDENCE: prediction.confidence}
    for name in outputs:
        response.outputs.add(name=name, datatype="UINT8", shape=arrays[name].shape)
        response.raw_output_contents.append(arrays[name].tobytes())


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        size > 0 and wanted in (size, -1) for size, wanted in zip(shape, expected, strict=True)
    )
