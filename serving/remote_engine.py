"""An engine on another machine: any server that speaks the Open Inference Protocol computes.

This server then is a gateway: it decodes, schedules and packs, holds no model, and can be started as often as needed.
The back end may be Triton, KServe or another of ours.

Calls are made by gRPC's blocking stubs on threads of their own: packing and unpacking megabytes must not hold up the
event loop. Requests name the version that was checked, so that a swap at the back end cannot change the meaning of a
mask unseen; `follow` tells when the back end has other versions, and the gateway then checks the new one.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS
from isthmus.errors import (
    BackendUnavailableError,
    ConfigurationError,
    FrameExpiredError,
    FrameTooLargeError,
    InvalidFrameError,
    OverloadedError,
    ServingError,
)
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving import transport
from isthmus.serving.config import LimitsConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.engine_config import BackendConfig
from isthmus.serving.errors import error_of

logger = logging.getLogger(__name__)

_CODE: Final = grpc.StatusCode
_GONE: Final = frozenset({_CODE.UNAVAILABLE, _CODE.NOT_FOUND, _CODE.FAILED_PRECONDITION, _CODE.CANCELLED})
_RECONNECT: Final = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
_PROBE_TIMEOUT_S: Final = 2.0  # a back end that hangs is told from a slow batch by short questions
_THREADS: Final = 2  # one for batches, which come one after the other, and one for probes
_FRAMES_FAULT: Final = (InvalidFrameError, FrameTooLargeError, OverloadedError)


class OipEngine:
    """Sends batches to a back end.

    Args:
        backend: Where it is.
        limits: Most pixels and frames in one request, which the back end is taken to share.
        network_pixels: Pixels that the graph makes of every frame, however small.

    Raises:
        ConfigurationError: A certificate cannot be read.
    """

    def __init__(self, backend: BackendConfig, limits: LimitsConfig, network_pixels: int) -> None:
        self._backend = backend
        self._limits = limits
        self._network_pixels = network_pixels
        self._channel = connect(backend, limits)
        self._stub: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine-remote")
        self._trouble = asyncio.Event()
        self._versions: tuple[str, ...] | None = None
        self.version = ""
        """The model's version at the back end, as its last answer said; empty before the first."""

    async def infer(self, images: NDArray[np.uint8], *, deadline: float = math.inf) -> Prediction:
        """Predict at the back end; a cancelled caller lets the running call finish.

        Args:
            images: RGB [B, H, W, 3].
            deadline: The monotonic clock's time from which on the answer is of no use; the back end is told.

        Raises:
            BackendUnavailableError: It cannot be reached, or does not have the model.
            FrameExpiredError: The deadline passed.
            OverloadedError: It has too much to do.
            ServingError: It failed, or answered what is no prediction.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self.infer_now, images, deadline)
        except BackendUnavailableError:
            self._trouble.set()  # look at once how it is
            raise

    def infer_now(self, images: NDArray[np.uint8], deadline: float = math.inf) -> Prediction:
        """Predict on the calling thread; see `infer`."""
        pixels = max(images.shape[1] * images.shape[2], self._network_pixels)
        size = max(1, min(self._limits.max_batch_size, self._limits.max_frame_pixels // pixels))
        parts = [self._call(images[first : first + size], deadline) for first in range(0, len(images), size)]
        if len(parts) == 1:
            return parts[0]
        return Prediction(
            np.concatenate([part.labels for part in parts]), np.concatenate([part.confidence for part in parts])
        )

    async def follow(self, tell: Callable[[bool], Awaitable[None]]) -> None:
        """Watch the back end until it has other versions of the model than when `metadata` was first asked.

        Args:
            tell: Called with whether the model is ready, at first and whenever that changes.
        """
        said: bool | None = None
        while True:
            self._trouble.clear()
            ready, now = await self.look()
            if now not in (None, self._versions):
                return
            if ready is not said:
                if said is not None or not ready:
                    logger.log(logging.INFO if ready else logging.ERROR, "%s", self._state(ready))
                said = ready
                await tell(ready)
            try:
                await asyncio.wait_for(self._trouble.wait(), self._backend.probe_interval_s)
            except TimeoutError:
                continue
            await asyncio.sleep(self._backend.probe_interval_s / 10)  # many frames fail at once: that is one question

    async def look(self) -> tuple[bool, tuple[str, ...] | None]:
        """Whether the model is ready at the back end, and its versions there; None where they cannot be had."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._look)

    def metadata(self, timeout_s: float = math.inf) -> pb.ModelMetadataResponse:
        """Inputs, outputs and versions of the model at the back end.

        Args:
            timeout_s: Seconds to wait, where that is less than for any request.

        Raises:
            BackendUnavailableError: It cannot be reached, or does not have the model.
            ServingError: It refuses to tell.
        """
        request = pb.ModelMetadataRequest(name=self._backend.model)
        try:
            metadata: pb.ModelMetadataResponse = self._stub.ModelMetadata(
                request, timeout=min(timeout_s, self._backend.timeout_s)
            )
        except grpc.RpcError as error:
            raise self._translated(error, math.inf) from error
        if self._versions is None:
            self._versions = tuple(metadata.versions)
        return metadata

    def close(self) -> None:
        """Close the connection after the running call, without waiting for it."""
        self._executor.submit(self._channel.close)
        self._executor.shutdown(wait=False)

    def _look(self) -> tuple[bool, tuple[str, ...] | None]:
        request = pb.ModelReadyRequest(name=self._backend.model, version=self.version)
        try:
            timeout_s = min(_PROBE_TIMEOUT_S, self._backend.timeout_s)
            ready = bool(self._stub.ModelReady(request, timeout=timeout_s).ready)
            return ready, tuple(self.metadata(timeout_s).versions)
        except (grpc.RpcError, ServingError):
            return False, None

    def _state(self, ready: bool) -> str:
        name = f"back end {self._backend.address}, model {self._backend.model!r} version {self.version!r}"
        return f"{name}: ready again" if ready else f"{name}: NOT READY, so this gateway is not either"

    def _call(self, images: NDArray[np.uint8], deadline: float) -> Prediction:
        request = pb.ModelInferRequest(model_name=self._backend.model, model_version=self.version)
        request.inputs.add(name=INPUT_NAME, datatype="UINT8", shape=images.shape)
        for name in (OUTPUT_LABELS, OUTPUT_CONFIDENCE):
            request.outputs.add(name=name)
        request.raw_input_contents.append(images.tobytes())
        left = deadline - time.monotonic()
        if left <= 0:
            raise FrameExpiredError("the deadline passed before the back end was asked")
        try:
            response = self._stub.ModelInfer(request, timeout=min(left, self._backend.timeout_s))
        except grpc.RpcError as error:
            raise self._translated(error, deadline) from error
        if self.version not in ("", response.model_version):
            raise BackendUnavailableError("the server that computes has another version of the model now")
        self.version = response.model_version
        return self._prediction(response, images.shape)

    def _prediction(self, response: pb.ModelInferResponse, shape: tuple[int, ...]) -> Prediction:
        found: dict[str, NDArray[np.uint8]] = {}
        for tensor, data in zip(response.outputs, response.raw_output_contents, strict=False):
            if tensor.datatype == "UINT8" and math.prod(tensor.shape) == len(data):
                found[tensor.name] = np.frombuffer(data, np.uint8).reshape(tensor.shape)
        labels, confidence = found.get(OUTPUT_LABELS), found.get(OUTPUT_CONFIDENCE)
        if labels is None or confidence is None or labels.shape != shape[:3] or confidence.ndim != labels.ndim:
            told = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in response.outputs]
            raise ServingError(f"answered {told} to {list(shape)}, which is no mask", where=self._backend.address)
        return Prediction(labels, confidence)

    def _translated(self, call: Any, deadline: float) -> ServingError:
        """What a client of the gateway is told; nothing in it names the back end, save where the log alone sees it."""
        code, known = call.code(), error_of(call, self._backend.address)
        if code is _CODE.DEADLINE_EXCEEDED and time.monotonic() >= deadline:
            return FrameExpiredError("the deadline passed while the back end computed")
        if isinstance(known, _FRAMES_FAULT):
            return type(known)(str(call.details()))
        if code is _CODE.RESOURCE_EXHAUSTED:
            return OverloadedError("the back end has too much to do", remedy="Try again shortly.")
        if code in _GONE or code is _CODE.DEADLINE_EXCEEDED:
            logger.info("back end %s: %s: %s", self._backend.address, code.name, call.details())
            return BackendUnavailableError(
                "the server that computes does not answer", remedy="Try again, or ask another gateway."
            )
        return ServingError(f"the back end failed: {code.name}: {call.details()}", where=self._backend.address)


def connect(backend: BackendConfig, limits: LimitsConfig) -> grpc.Channel:
    """A channel to a back end, which connects by itself and again after a failure.

    Raises:
        ConfigurationError: A certificate cannot be read.
    """
    options = [*transport.channel_options(limits), *_RECONNECT]
    if backend.ca_file is None:
        return grpc.insecure_channel(backend.address, options)
    try:
        authorities = backend.ca_file.read_bytes()
        key = None if backend.key_file is None else backend.key_file.read_bytes()
        certificate = None if backend.cert_file is None else backend.cert_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read: {error.strerror}", where=error.filename, remedy="Check the --backend-… files."
        ) from error
    return grpc.secure_channel(backend.address, grpc.ssl_channel_credentials(authorities, key, certificate), options)
