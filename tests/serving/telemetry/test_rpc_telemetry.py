"""The interceptor around every kind of handler, on a bare gRPC server."""

import asyncio

import grpc
import grpc.aio
import pytest

from isthmus.errors import UnauthenticatedError
from isthmus.serving import rpc_telemetry
from isthmus.serving.events import Events, RpcDone
from isthmus.serving.rpc_telemetry import RpcTelemetry, current_call

TIMEOUT_S = 30.0


class Ear:
    def __init__(self):
        self.calls = asyncio.Queue()

    def heard(self, event):
        assert isinstance(event, RpcDone)
        self.calls.put_nowait((event.rpc, event.code, current_call.get()))

    async def next(self):
        return await asyncio.wait_for(self.calls.get(), TIMEOUT_S)


async def echo(request, context):
    return request


async def fails(request, context):
    raise RuntimeError("no")


async def aborts(request, context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "nothing")


async def chooses(request, context):
    context.set_code(grpc.StatusCode.ALREADY_EXISTS)
    return request


async def hangs(request, context):
    await asyncio.Event().wait()


async def counts(request, context):
    for number in range(3):
        yield bytes([number])


async def goes_on(request, context):
    yield b"first"
    await asyncio.Event().wait()


async def writes(requests, context):
    async for request in requests:
        await context.write(request)


async def doubles(requests, context):
    async for request in requests:
        yield request * 2


async def collects(requests, context):
    return b"".join([request async for request in requests])


@pytest.fixture
async def server():
    """Address, what is heard, and the interceptor."""
    events, ear = Events(), Ear()
    events.subscribe(ear)
    telemetry = RpcTelemetry(events)
    unary = {function.__name__: grpc.unary_unary_rpc_method_handler(function)
             for function in (echo, fails, aborts, chooses, hangs)}  # fmt: skip
    streams = {
        "counts": grpc.unary_stream_rpc_method_handler(counts),
        "goes_on": grpc.unary_stream_rpc_method_handler(goes_on),
        "writes": grpc.stream_stream_rpc_method_handler(writes),
        "doubles": grpc.stream_stream_rpc_method_handler(doubles),
        "collects": grpc.stream_unary_rpc_method_handler(collects),
    }
    running = grpc.aio.server(interceptors=[telemetry])
    running.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("s", unary | streams)])
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, ear, telemetry
    await running.stop(None)


@pytest.mark.parametrize(
    ("rpc", "code"),
    [("echo", "OK"), ("fails", "UNKNOWN"), ("aborts", "NOT_FOUND"), ("chooses", "ALREADY_EXISTS")],
)
async def test_a_unary_call_s_status(server, rpc, code):
    channel, ear, _ = server
    seen = "OK"
    try:
        await channel.unary_unary(f"/s/{rpc}")(b"x", metadata=(("traceparent", "00-x"), ("other", "y")))
    except grpc.aio.AioRpcError as error:
        seen = error.code().name
    heard_rpc, heard_code, call = await ear.next()
    assert (heard_rpc, heard_code) == (rpc, seen) == (rpc, code)
    assert (call.rpc, call.streaming, call.trace) == (rpc, False, {"traceparent": "00-x"})
    assert call.vehicle.startswith("ipv4:127.0.0.1:")


async def test_a_caller_that_goes_away_has_cancelled(server):
    channel, ear, _ = server
    with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE"):
        await channel.unary_unary("/s/hangs")(b"", timeout=0.1)
    assert (await ear.next())[:2] == ("hangs", "CANCELLED")
    reading = channel.unary_stream("/s/goes_on")(b"")
    assert await reading.read() == b"first"
    reading.cancel()
    assert (await ear.next())[:2] == ("goes_on", "CANCELLED")


async def test_streams_pass_unchanged_and_are_counted_while_open(server):
    channel, ear, telemetry = server
    reading = channel.unary_stream("/s/goes_on")(b"")
    assert await reading.read() == b"first"
    assert telemetry.open_streams() == {"goes_on": 1}
    assert [message async for message in channel.unary_stream("/s/counts")(b"")] == [b"\0", b"\1", b"\2"]
    assert (await ear.next())[:2] == ("counts", "OK")
    for rpc, answers in (("writes", [b"a", b"b"]), ("doubles", [b"aa", b"bb"])):
        assert [message async for message in channel.stream_stream(f"/s/{rpc}")(iter([b"a", b"b"]))] == answers
        assert (await ear.next())[:2] == (rpc, "OK")
    assert await channel.stream_unary("/s/collects")(iter([b"a", b"b"])) == b"ab"
    assert (await ear.next())[2].streaming
    reading.cancel()
    await ear.next()
    assert set(telemetry.open_streams().values()) == {0}


async def test_a_caller_without_a_name_is_known_by_its_connection(server, monkeypatch):
    channel, ear, _ = server

    def vehicle_of(context):
        raise UnauthenticatedError("no certificate")

    monkeypatch.setattr(rpc_telemetry, "vehicle_of", vehicle_of)
    assert await channel.unary_unary("/s/echo")(b"x") == b"x"
    assert (await ear.next())[2].vehicle.startswith("ipv4:127.0.0.1:")


async def test_invented_methods_share_one_name(server):
    channel, ear, _ = server
    for rpc in ("a", "b"):
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await channel.unary_unary(f"/s/{rpc}")(b"")
        assert (await ear.next())[:2] == ("unknown", "UNIMPLEMENTED")
