"""More calls than a server takes, and calls that are given up."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from isthmus.errors import OverloadedError, ServingError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.security import access
from isthmus.serving.transport import RPCS_BESIDE_FRAMES, channel_options, server_options

TIMEOUT_S = 30.0


def test_full_server_refuses_with_a_retry_hint(start_server, model_file, tiny, held_engine):
    limits = LimitsConfig(max_in_flight=1)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    with SegmentationClient(server.address) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.segment, tiny.street())
        assert held_engine.running.wait(TIMEOUT_S)
        with pytest.raises(OverloadedError, match="in flight") as caught:
            client.segment(tiny.street())
        retry = error_details_pb2.RetryInfo()
        status = rpc_status.from_call(caught.value.__cause__)
        assert any(detail.Unpack(retry) for detail in status.details)
        assert retry.retry_delay.nanos == 50_000_000
        held_engine.release.set()
        assert first.result(TIMEOUT_S).mask.shape == (48, 64)
        assert client.segment(tiny.street()).mask.shape == (48, 64)


def test_calls_given_up_leave_no_frame_behind(start_server, model_file, tiny, held_engine, wait_until):
    limits = LimitsConfig(max_in_flight=2)
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits))
    address, pipeline = thread.server.address, thread.server._pipeline
    with SegmentationClient(address, timeout_s=0.3) as hasty, ThreadPoolExecutor(1) as pool:
        running = pool.submit(hasty.segment, tiny.street())
        assert held_engine.running.wait(TIMEOUT_S)
        with pytest.raises(ServingError, match=r"no answer in time|deadline passed"):
            running.result(TIMEOUT_S)
        for _ in range(5):
            # Whichever end sees it first; never OVERLOADED, since its place is free again.
            with pytest.raises(ServingError, match=r"no answer in time|deadline passed"):
                hasty.segment(tiny.street())
            wait_until(lambda: pipeline.dispatcher.num_open == 1)
        assert pipeline.places.requests == 1  # the engine still works on the first
        held_engine.release.set()
        wait_until(lambda: pipeline.places.requests == 0)


def test_concurrent_calls_are_bounded(start_server, model_file, monkeypatch):
    monkeypatch.setattr(access, "MAX_HEALTH_WATCHES", 100)  # one caller stands for many here
    bounds = {"limits": LimitsConfig(max_in_flight=1), "scheduler": SchedulerConfig(max_streams=1)}
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, **bounds)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [
            stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S) for _ in range(2 + RPCS_BESIDE_FRAMES)
        ]
        assert {next(watch).status for watch in watches} == {health_pb2.HealthCheckResponse.SERVING}
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for watch in watches:
            watch.cancel()


def test_pings_of_our_client_are_no_attack():
    server, client = dict(server_options(LimitsConfig())), dict(channel_options(LimitsConfig()))
    assert server["grpc.http2.min_ping_interval_without_data_ms"] < client["grpc.keepalive_time_ms"]
