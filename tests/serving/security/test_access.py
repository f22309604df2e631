"""Every kind of method is checked before its handler begins, and streams are counted."""

import asyncio

import grpc
import pytest

from isthmus.errors import QuotaExceededError
from isthmus.protos.inference import open_inference_pb2 as oip
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.identity import is_named, vehicle_of
from isthmus.serving.security import access
from isthmus.serving.security.policy import EVERYTHING, NOTHING, Grant, Policy, RpcGroup, Rulebook
from isthmus.serving.security.stream_counts import StreamCounts

TIMEOUT_S = 30.0
OURS = "/isthmus.serving.v1.SegmentationService/"


def test_every_method_of_the_vehicles_services_stands_in_a_group():
    names = [
        f"/{service.full_name}/{method.name}"
        for file in (pb.DESCRIPTOR, oip.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    ]
    assert len(names) >= 10
    assert [name for name in names if access.group_of(name) is None and not access.is_open(name)] == []


class Bench:
    """A server with a method of each kind, behind an interceptor whose policy can be changed."""

    def __init__(self):
        self.rules = Rulebook(Policy(anonymous=EVERYTHING))
        self.interceptor = access.AccessInterceptor(lambda: self.rules)
        self.ran = []
        self.release = asyncio.Event()

    async def one(self, request, context):
        self.ran.append(self.interceptor.streams)
        return b"done"

    async def two(self, request, context):
        self.ran.append(self.interceptor.streams)
        yield b"a"
        yield b"b"

    async def waits(self, request, context):
        await context.write(b"open")
        await self.release.wait()

    async def writes_two(self, request, context):
        self.ran.append(self.interceptor.streams)
        await context.write(b"a")
        await context.write(b"b")

    def service(self, details):
        kinds = {
            "Segment": (grpc.unary_unary_rpc_method_handler, self.one),
            "Watch": (grpc.unary_stream_rpc_method_handler, self.waits),
            "New": (grpc.unary_unary_rpc_method_handler, self.one),
            "ModelInfer": (grpc.stream_unary_rpc_method_handler, self.one),
            "WatchModel": (grpc.unary_stream_rpc_method_handler, self.two),
            "StreamSegment": (grpc.stream_stream_rpc_method_handler, self.two),
            "ModelStreamInfer": (grpc.stream_stream_rpc_method_handler, self.writes_two),
        }
        make, behaviour = kinds[details.method.rpartition("/")[2]]
        return make(behaviour, request_deserializer=None, response_serializer=None)


CALLS = {
    f"{OURS}Segment": ("unary_unary", [b"done"], 0),
    "/inference.GRPCInferenceService/ModelInfer": ("stream_unary", [b"done"], 1),
    f"{OURS}WatchModel": ("unary_stream", [b"a", b"b"], 1),
    f"{OURS}StreamSegment": ("stream_stream", [b"a", b"b"], 1),
    "/inference.GRPCInferenceService/ModelStreamInfer": ("stream_stream", [b"a", b"b"], 1),
}


async def ask(channel, method, kind):
    make = getattr(channel, kind)(method, request_serializer=None, response_deserializer=None)
    call = make(b"x" if kind.startswith("unary") else iter([b"x"]), timeout=TIMEOUT_S)
    return [answer async for answer in call] if kind.endswith("stream") else [await call]


@pytest.fixture
async def bench():
    bench = Bench()
    server = grpc.aio.server(interceptors=[bench.interceptor])
    handlers = type("Handlers", (grpc.GenericRpcHandler,), {"service": lambda self, details: bench.service(details)})
    server.add_generic_rpc_handlers([handlers()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        bench.channel = channel
        yield bench
    await server.stop(None)


@pytest.mark.parametrize("method", CALLS)
async def test_allowed_and_refused(bench, method):
    kind, answers, streams = CALLS[method]
    assert await ask(bench.channel, method, kind) == answers
    assert bench.ran == [streams]
    assert bench.interceptor.streams == 0
    bench.rules = Rulebook(Policy(others=EVERYTHING, anonymous=NOTHING))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(bench.channel, method, kind)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert bench.ran == [streams]  # the handler has not begun
    assert bench.interceptor.streams == 0


async def test_a_method_without_a_group_is_refused_to_everybody(bench):
    with pytest.raises(grpc.aio.AioRpcError, match="this call") as caught:
        await ask(bench.channel, f"{OURS}New", "unary_unary")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert bench.ran == []


def open_stream(channel, method):
    make = channel.unary_stream(method, request_serializer=None, response_deserializer=None)
    return make(b"x", timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("method", "most"), [(f"{OURS}WatchModel", 2), ("/grpc.health.v1.Health/Watch", access.MAX_HEALTH_WATCHES)]
)
async def test_one_caller_cannot_take_every_stream(bench, method, most, monkeypatch):
    monkeypatch.setattr(bench, "two", bench.waits)
    bench.rules = Rulebook(Policy(anonymous=Grant(allow=(RpcGroup.WATCH,), max_streams=2)))
    calls = [open_stream(bench.channel, method) for _ in range(most)]
    assert [await call.read() for call in calls] == [b"open"] * most
    with pytest.raises(grpc.aio.AioRpcError, match="share") as caught:
        await open_stream(bench.channel, method).read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    bench.release.set()
    assert [await call.read() for call in calls] == [grpc.aio.EOF] * most
    assert await open_stream(bench.channel, method).read() == b"open"  # places come back


def test_streams_are_counted_for_each_caller():
    counts = StreamCounts()
    with counts.hold("ipv4:10.0.0.1:5000", 1):
        with pytest.raises(QuotaExceededError, match="share"):
            counts.hold("ipv4:10.0.0.1:5001", 1)  # another port of the same host
        with counts.hold("ipv4:10.0.0.2:5000", 1), counts.hold("urn:vehicle:1", 1), counts.hold("urn:vehicle:2", 1):
            assert counts.total == 4
    assert counts.total == 0


class Caller:
    """A context, as far as names are concerned."""

    def __init__(self, *uris):
        self.uris = [uri.encode() for uri in uris]

    def auth_context(self):
        return {"peer_uri": self.uris, "peer_dns": [b"spiffe://in/a/dns/name"]} if self.uris else {}

    def peer(self):
        return "ipv4:127.0.0.1:5000"


@pytest.mark.parametrize(
    ("uris", "name"),
    [
        ([], None),
        (["spiffe://fleet.example/vehicle/17"], "spiffe://fleet.example/vehicle/17"),
        (["urn:vehicle:17"], "urn:vehicle:17"),
        (["a:b", "a:c"], None),
        (["unix:/run/x"], None),
        (["Ipv6:[::1]:80"], None),
        (["a:b\n"], None),
        (["a:é"], None),
        ([""], None),
    ],
)
def test_names(uris, name):
    found = vehicle_of(Caller(*uris))
    assert found == (name or "ipv4:127.0.0.1:5000")
    assert is_named(found) == (name is not None)
