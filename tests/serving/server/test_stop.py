"""How a server stops: what it still answers, and how long it waits."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.errors import DrainingError, ServingError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import ServerConfig

TIMEOUT_S = 30.0


def test_stop_answers_what_runs_and_refuses_the_rest(start_server, model_file, tiny, held_engine):
    config = ServerConfig(model_file=model_file, port=0, num_threads=1, drain_timeout_s=2 * TIMEOUT_S)
    thread = start_server(config)
    address = thread.server.address
    with (
        SegmentationClient(address) as client,
        ThreadPoolExecutor(2) as pool,
        grpc.insecure_channel(address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        states = (update.status for update in watch)
        assert next(states) == health_pb2.HealthCheckResponse.SERVING
        running = pool.submit(client.segment, tiny.street())
        assert held_engine.running.wait(TIMEOUT_S)
        stopping = pool.submit(thread.call, thread.server.stop())
        assert next(states) == health_pb2.HealthCheckResponse.NOT_SERVING
        with SegmentationClient(address) as late, pytest.raises(ServingError):
            late.segment(tiny.street())
        held_engine.release.set()
        assert running.result(TIMEOUT_S).mask.shape == (48, 64)
        assert list(states) == []  # the watch ends with the server, and does not hold it up
        stopping.result(TIMEOUT_S)
    assert not thread.server._pipeline.is_ready
    # What gRPC had taken in before it stopped meets this.
    with pytest.raises(DrainingError, match="shutting down"), thread.server._pipeline.admission("car"):
        pass


def test_stop_does_not_wait_longer_than_it_says(start_server, model_file, tiny, held_engine):
    config = ServerConfig(model_file=model_file, port=0, num_threads=1, drain_timeout_s=0.1)
    thread = start_server(config)
    with SegmentationClient(thread.server.address) as client, ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.segment, tiny.street())
        assert held_engine.running.wait(TIMEOUT_S)
        thread.call(thread.server.stop())  # the engine is held until the test ends
        with pytest.raises(ServingError):
            running.result(TIMEOUT_S)
