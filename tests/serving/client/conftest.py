"""A server that does what a test says: holds answers, breaks connections, asks to reconnect, comes back on its port."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import threading
import time

import grpc
import grpc.aio
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import codec
from isthmus.serving.config import LimitsConfig
from isthmus.serving.transport import server_options

TIMEOUT_S = 30.0

MODEL = pb.ModelInfo(
    name="scripted",
    version="1",
    sha256="ab" * 32,
    provider="CPUExecutionProvider",
    label_space=pb.LabelSpace(
        id="two",
        classes=[
            pb.LabelClass(name="red", color_rgb=0xFF0000),
            pb.LabelClass(name="other", color_rgb=0x0080FF),
        ],
    ),
)


def mask_of(frame):
    """What the tiny model of the other tests says of a frame: 0 where red is above 127, else 1, 255 where it is 0."""
    image = (
        np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
        if frame.encoding == pb.FRAME_ENCODING_RGB8
        else codec.decode_image(frame.data, 1 << 24, field="data")
    )
    red = image[..., 0]
    return np.where(red == 0, 255, np.where(red > 127, 0, 1)).astype(np.uint8)


def segmented(frame, version="1"):
    """The answer with a mask, which travels raw."""
    mask = mask_of(frame)
    height, width = mask.shape
    return pb.FrameResult(
        camera_id=frame.camera_id,
        sequence_number=frame.sequence_number,
        verdict=pb.VERDICT_SEGMENTED,
        model_version=version,
        label_space_id="two",
        mask_encoding=pb.MASK_ENCODING_RAW8,
        mask_height=height,
        mask_width=width,
        mask=mask.tobytes(),
        confidence_height=1,
        confidence_width=2,
        confidence=b"\xc8\xc8",
        class_fractions=[float(np.mean(mask == 0)), float(np.mean(mask == 1))],
    )


def event(result):
    return pb.StreamSegmentResponse(result=result)


class ScriptedServer(segmentation_pb2_grpc.SegmentationServiceServicer):
    """Answers each frame with its mask, unless told otherwise."""

    def __init__(self, *, options=(), credentials=None):
        self.model = MODEL
        self.port = 0
        self.frames = []  # of all streams
        self.streams = []  # a queue of what is to be said, for each stream; None ends it, a status code aborts it
        self.changes = asyncio.Queue()  # what WatchModel says
        self.on_frame = lambda frame, say: say(event(segmented(frame)))
        self.on_stream = lambda say: None
        self._options = list({**dict(server_options(LimitsConfig())), **dict(options)}.items())
        self._credentials = credentials
        self._server = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def start(self):
        self._server = grpc.aio.server(options=self._options)
        segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(self, self._server)
        status = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(status, self._server)
        await status.set("", health_pb2.HealthCheckResponse.SERVING)
        where = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, self._credentials)
        await self._server.start()

    async def kill(self):
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def GetModelInfo(self, request, context):
        return pb.GetModelInfoResponse(model=self.model, max_frame_pixels=1 << 23)

    async def Segment(self, request, context):
        return pb.SegmentResponse(result=segmented(request.frame))

    async def WatchModel(self, request, context):
        yield pb.WatchModelResponse(change=pb.MODEL_CHANGE_CURRENT, model=self.model)
        while (change := await self.changes.get()) is not None:
            self.model = change.model
            yield change

    async def StreamSegment(self, requests, context):
        queue = asyncio.Queue()
        self.streams.append(queue)
        reading = asyncio.get_running_loop().create_task(self._read(requests, queue.put_nowait))
        queue.put_nowait(pb.StreamSegmentResponse(model=self.model))
        self.on_stream(queue.put_nowait)
        try:
            while (said := await queue.get()) is not None:
                if isinstance(said, grpc.StatusCode):
                    await context.abort(said, "as the test says")
                yield said
        finally:
            reading.cancel()

    async def _read(self, requests, say):
        async for request in requests:
            self.frames.append(request.frame)
            self.on_frame(request.frame, say)


async def until(holds, what="it"):
    """Wait until `holds()`, for a bounded time."""
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come"
        await asyncio.sleep(0.002)


@pytest.fixture
async def scripted():
    """Makes and starts servers in the test's event loop."""
    servers = []

    async def start(**options):
        server = ScriptedServer(**options)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.kill()


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def until_true():
    return until


@pytest.fixture
def say():
    """Builders of a server's messages."""
    return type("Say", (), {"event": staticmethod(event), "segmented": staticmethod(segmented), "MODEL": MODEL})


class ScriptedThread:
    """A scripted server on a thread of its own, for clients without asyncio."""

    def __init__(self, **options):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.server = self.call(self._make(options))

    async def _make(self, options):
        server = ScriptedServer(**options)
        await server.start()
        return server

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT_S)

    def close(self):
        self.call(self.server.kill())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(TIMEOUT_S)
        self.loop.close()


@pytest.fixture
def scripted_thread():
    """Makes scripted servers on threads."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            thread = ScriptedThread(**options)
            stack.callback(thread.close)
            return thread

        yield start


def make_certificate(subject, issuer=None, issuer_key=None):
    """A certificate for 127.0.0.1 and its key, in PEM; without an issuer its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return certificate, key


def pem(certificate, key):
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def secure(tmp_path, scripted_thread):
    """A server that asks for certificates, and a folder with ca.pem, vehicle.pem, vehicle.key."""
    authority, authority_key = make_certificate("authority")
    server, vehicle = (pem(*make_certificate(name, authority, authority_key)) for name in ("server", "vehicle"))
    ca, _ = pem(authority, authority_key)
    for name, data in {"ca.pem": ca, "vehicle.pem": vehicle[0], "vehicle.key": vehicle[1]}.items():
        (tmp_path / name).write_bytes(data)
    credentials = grpc.ssl_server_credentials([(server[1], server[0])], ca, require_client_auth=True)
    return scripted_thread(credentials=credentials).server.address, tmp_path


@pytest.fixture
def certificates():
    """The two functions above."""
    return type("Certificates", (), {"make": staticmethod(make_certificate), "pem": staticmethod(pem)})
