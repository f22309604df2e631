"""`inference.GRPCInferenceService`: the Open Inference Protocol, so that existing clients work unmodified.

A model has two inputs, of which a request sends one: `image` UINT8 [n, H, W, 3] RGB, or `image_bytes` BYTES [n],
JPEG or PNG files of one size. It answers `labels` UINT8 [n, H, W] and `confidence` UINT8 [n, h, w]. Tensors travel
in raw_input_contents and raw_output_contents alone: typed contents spend several bytes on each one of an image.
"""

import math
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

import isthmus
from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS
from isthmus.errors import FrameTooLargeError, InvalidFrameError, ModelNotLoadedError, NoModelError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving import codec
from isthmus.serving.config import LimitsConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.identity import vehicle_of
from isthmus.serving.pipeline import Pipeline, check_deadline
from isthmus.serving.servicers import Context, remaining_s

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
ENCODED_INPUT_NAME: Final = "image_bytes"

_PLATFORM: Final = "onnxruntime_onnx"
_RAW: Final = "raw_input_contents[0]"
_INPUTS: Final = ((INPUT_NAME, "UINT8", (-1, -1, -1, 3)), (ENCODED_INPUT_NAME, "BYTES", (-1,)))
_OUTPUTS: Final = ((OUTPUT_LABELS, "UINT8", (-1, -1, -1)), (OUTPUT_CONFIDENCE, "UINT8", (-1, -1, -1)))


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers batches, and questions about server and model.

    Args:
        pipeline: The stages that both protocols share.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802, ARG002
        """Answering is the answer."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802, ARG002
        """Whether requests are taken."""
        return pb.ServerReadyResponse(ready=self._pipeline.is_ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802, ARG002
        """Whether requests for this model are taken."""
        try:
            self._pipeline.model(request.name, request.version)
        except (NoModelError, ModelNotLoadedError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._pipeline.is_ready)

    async def ServerMetadata(  # noqa: N802
        self,
        request: pb.ServerMetadataRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> pb.ServerMetadataResponse:
        """Name and version; where the model runs stands among the extensions."""
        extensions = []
        if self._pipeline.is_ready:
            model = self._pipeline.model()
            extensions.append(f"provider:{model.provider}")
            if model.provider_fallback:
                extensions.append("provider_fallback")
        return pb.ServerMetadataResponse(name="isthmus", version=isthmus.__version__, extensions=extensions)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802, ARG002
        """Inputs and outputs."""
        model = self._pipeline.model(request.name, request.version)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=model.name,
            versions=[model.version],
            platform=_PLATFORM,
            inputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in _INPUTS],
            outputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in _OUTPUTS],
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """Segment a batch of frames of one size."""
        deadline = time.monotonic() + min(_timeout_s(request), remaining_s(context))
        model = self._pipeline.model(request.model_name, request.model_version)
        outputs = _requested_outputs(request)
        decode = _decoder(request, self._pipeline.limits, prod(model.card.network_size_hw), deadline)
        with self._pipeline.admission(vehicle_of(context)):
            images, _ = await self._pipeline.offload(decode, deadline)
            scheduled = await self._pipeline.infer(model, images, deadline)
            response = pb.ModelInferResponse(model_name=model.name, model_version=model.version, id=request.id)
            await self._pipeline.offload(partial(_write, response, scheduled.prediction, outputs), deadline)
        return response


def _decoder(
    request: pb.ModelInferRequest, limits: LimitsConfig, network_pixels: int, deadline: float
) -> Callable[[], NDArray[np.uint8]]:
    """What makes a batch of a request; what can be refused at once is refused here."""
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
    data = request.raw_input_contents[0]
    expected = {name: (kind, shape) for name, kind, shape in _INPUTS}
    if tensor.name not in expected:
        raise InvalidFrameError(f"no such input; there are {', '.join(expected)}", where=field)
    datatype, shape = expected[tensor.name]
    if tensor.datatype != datatype:
        raise InvalidFrameError(f"is {tensor.datatype or 'empty'}, not {datatype}", where=f"{field}.datatype")
    if not _fits(tensor.shape, shape):
        raise InvalidFrameError(f"{list(tensor.shape)} does not fit {list(shape)}", where=f"{field}.shape")
    max_pixels = _max_pixels_each(tensor.shape[0], limits, network_pixels, field=f"{field}.shape")
    if tensor.name == INPUT_NAME:
        _, height, width, _ = tensor.shape
        codec.check_pixels(height, width, max_pixels, field=f"{field}.shape")
        return partial(_decode_raw, data, tuple(tensor.shape))
    return partial(_decode_files, data, tensor.shape[0], max_pixels, deadline)


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


def _decode_raw(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if len(data) != prod(shape):
        raise InvalidFrameError(f"{len(data)} bytes are not the {prod(shape)} of {list(shape)}", where=_RAW)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _decode_files(data: bytes, count: int, max_pixels: int, deadline: float) -> NDArray[np.uint8]:
    images: list[NDArray[np.uint8]] = []
    for file in _bytes_elements(data, count):
        check_deadline(deadline)
        images.append(codec.decode_image(file, max_pixels, field=_RAW))
        if images[-1].shape != images[0].shape:
            raise InvalidFrameError("the pictures of one request differ in size", where=_RAW)
    return np.stack(images)


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


def _timeout_s(request: pb.ModelInferRequest) -> float:
    """The parameter `timeout`, microseconds, as Triton's clients send it; infinity without one."""
    for name, value in request.parameters.items():
        if name != "timeout":
            raise InvalidFrameError("no such parameter; there is timeout", where=f"parameters[{name}]")
        if value.int64_param <= 0:
            raise InvalidFrameError("is no positive number of microseconds", where="parameters[timeout]")
        return value.int64_param / 1e6
    return math.inf


def _requested_outputs(request: pb.ModelInferRequest) -> tuple[str, ...]:
    known = tuple(name for name, _, _ in _OUTPUTS)
    wanted = tuple(output.name for output in request.outputs)
    if len(wanted) > len(set(wanted)):
        raise InvalidFrameError("an output is named twice", where="outputs")
    for output in request.outputs:
        if output.name not in known:
            raise InvalidFrameError(f"no such output; there are {', '.join(known)}", where=f"outputs[{output.name}]")
        if output.parameters:
            raise InvalidFrameError("no parameters are supported", where=f"outputs[{output.name}].parameters")
    return wanted or known


def _write(response: pb.ModelInferResponse, prediction: Prediction, outputs: Sequence[str]) -> None:
    arrays = {OUTPUT_LABELS: prediction.labels, OUTPUT_CONFIDENCE: prediction.confidence}
    for name in outputs:
        response.outputs.add(name=name, datatype="UINT8", shape=arrays[name].shape)
        response.raw_output_contents.append(arrays[name].tobytes())


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        size > 0 and wanted in (size, -1) for size, wanted in zip(shape, expected, strict=True)
    )
