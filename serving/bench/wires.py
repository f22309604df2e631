"""A frame in a call of its own: what is sent over each wire, and what the answer means."""

import asyncio
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from isthmus.artifact import INPUT_NAME
from isthmus.protos.inference import open_inference_pb2 as oip
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.bench.load import Load, Wire
from isthmus.serving.bench.pictures import Picture
from isthmus.serving.bench.road import Road, verdict_name
from isthmus.serving.bench.tally import SEGMENTED
from isthmus.serving.config import LimitsConfig
from isthmus.serving.transport import channel_options

EXPIRED: Final = "EXPIRED"
FAILED: Final = "FAILED"
_VERDICTS: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: EXPIRED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: "OVERLOADED",
    grpc.StatusCode.ABORTED: "SUPERSEDED",
    grpc.StatusCode.INVALID_ARGUMENT: "INVALID",
}
_OK: Final = 200
_BUSY: Final = frozenset({429, 503})


def open_channel(address: str) -> grpc.aio.Channel:
    """A plaintext connection of its own: vehicles share none."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(address, options=[*channel_options(LimitsConfig()), *own])


class Caller(Protocol):
    """Asks for one frame's mask."""

    async def ask(self, picture: Picture, camera: str, number: int, due: float, timeout_s: float) -> str:
        """The verdict; an error of the connection becomes one too."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def caller_for(road: Road) -> Caller:
    """What the load's wire needs."""
    load = road.load
    if load.wire is Wire.HTTP:
        return _HttpCaller(road, load.address)
    if load.wire is Wire.OIP:
        return _OipCaller(road, load)
    return _SegmentCaller(road, load.address)


def verdict_of(error: grpc.aio.AioRpcError, road: Road) -> str:
    """What a failed call means for its frame."""
    verdict = _VERDICTS.get(error.code())
    if verdict is None:
        road.complain(f"{error.code().name}: {error.details()}")
        return FAILED
    return verdict


class _SegmentCaller:
    def __init__(self, road: Road, address: str) -> None:
        self._road = road
        self._channel = open_channel(address)
        self._stub: Any = segmentation_pb2_grpc.SegmentationServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def ask(self, picture: Picture, camera: str, number: int, due: float, timeout_s: float) -> str:
        request = pb.SegmentRequest(frame=self._road.frame(picture, camera, number, due))
        try:
            response = await self._stub.Segment(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return verdict_of(error, self._road)
        return verdict_name(response.result.verdict)

    async def close(self) -> None:
        await self._channel.close()


class _OipCaller:
    def __init__(self, road: Road, load: Load) -> None:
        self._road = road
        self._model = load.model
        self._channel = open_channel(load.address)
        self._stub: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def ask(self, picture: Picture, camera: str, number: int, due: float, timeout_s: float) -> str:  # noqa: ARG002
        request = oip.ModelInferRequest(model_name=self._model, id=f"{camera}/{number}")
        if picture.kind == "raw":
            request.inputs.add(name=INPUT_NAME, datatype="UINT8", shape=[1, picture.height, picture.width, 3])
            request.raw_input_contents.append(picture.data)
        else:
            request.inputs.add(name="image_bytes", datatype="BYTES", shape=[1])
            request.raw_input_contents.append(len(picture.data).to_bytes(4, "little") + picture.data)
        try:
            await self._stub.ModelInfer(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return verdict_of(error, self._road)
        return SEGMENTED

    async def close(self) -> None:
        await self._channel.close()


class _HttpCaller:
    """HTTP/1.1 with connections that are kept; just what the peers need."""

    def __init__(self, road: Road, address: str) -> None:
        self._road = road
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, picture: Picture, camera: str, number: int, due: float, timeout_s: float) -> str:  # noqa: ARG002
        try:
            async with asyncio.timeout(timeout_s):
                status = await self._post(picture.data)
        except TimeoutError:
            return EXPIRED
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self._road.complain(f"{type(error).__name__}: {error}")
            return FAILED
        if status == _OK:
            return SEGMENTED
        self._road.complain(f"HTTP {status}")
        return "OVERLOADED" if status in _BUSY else FAILED

    async def _post(self, data: bytes) -> int:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        try:
            head = f"POST /predict HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/octet-stream\r\n"
            writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            await reader.readexactly(int(fields["content-length"]))
        except KeyError as error:
            writer.close()
            raise ValueError("the answer has no Content-Length") from error
        except BaseException:
            writer.close()  # an answer may still come on this connection
            raise
        if fields.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(lines[0].split()[1])

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
