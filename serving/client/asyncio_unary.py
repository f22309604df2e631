"""One call, one frame: the client for asyncio."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.client import messages
from isthmus.serving.client.results import ModelChange, ModelInfo, Segmentation
from isthmus.serving.client.unary import DEFAULT_TIMEOUT_S
from isthmus.serving.codec import MaskFormat
from isthmus.serving.config import LimitsConfig
from isthmus.serving.errors import error_of
from isthmus.serving.transport import Options, channel_options


class AsyncSegmentationClient:
    """Talks to one server from one event loop; `SegmentationClient` in all else. Made while the loop runs.

    Args:
        address: `HOST:PORT`.
        timeout_s: Seconds after which a call is given up.
        limits: The server's limits, as far as they differ from the defaults.
        credentials: For TLS, as `transport.client_credentials` makes them; None for plaintext.

    Raises:
        ConfigurationError: timeout_s is not positive.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        limits: LimitsConfig | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.address = address
        self._timeout_s = messages.positive_seconds(timeout_s, "timeout_s")
        self._channel = open_channel(address, credentials, channel_options(limits or LimitsConfig()))
        self._stub: Any = segmentation_pb2_grpc.SegmentationServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection, and the calls that still run."""
        await self._channel.close()

    async def model_info(self) -> ModelInfo:
        """Ask which model answers.

        Raises:
            ServingError: No server, or no model yet.
        """
        try:
            answer = await self._stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from error
        return messages.model_info_of(answer.model)

    async def watch_model(self) -> AsyncIterator[ModelChange]:
        """The model that answers now, then each change, for as long as the caller asks for the next one.

        Raises:
            ServingError: No server, or it has gone.
        """
        call = self._stub.WatchModel(pb.WatchModelRequest())
        try:
            async for message in call:
                yield messages.model_change_of(message)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from error
        finally:
            call.cancel()

    async def segment(
        self,
        image: NDArray[np.uint8] | bytes,
        *,
        mask_format: MaskFormat = MaskFormat.ZSTD,
        camera_id: str = "",
        sequence_number: int = 0,
        max_age_s: float | None = None,
    ) -> Segmentation:
        """Segment one frame; cancelling the task tells the server to drop it.

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
        request = messages.segment_request(image, mask_format, camera_id, sequence_number, max_age_s)
        try:
            answer = await self._stub.Segment(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from error
        return messages.answer_of(request, answer.result, self.address)


def open_channel(address: str, credentials: grpc.ChannelCredentials | None, options: Options) -> grpc.aio.Channel:
    """A channel of the running event loop, in TLS if there are credentials."""
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)
