"""A server's life: waiting for a model, serving, draining; and what it refuses to start with."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from isthmus.errors import (
    ConfigurationError,
    ContractError,
    DrainingError,
    EngineLostError,
    NoModelError,
    OverloadedError,
    ProviderError,
    ServingError,
)
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
from isthmus.serving.engine import OrtEngine
from isthmus.serving.engine_config import BackendConfig, EngineConfig
from isthmus.serving.probe import probe
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.security import access
from isthmus.serving.server import SERVICES
from isthmus.serving.swap.config import GuardConfig, SwapConfig
from isthmus.serving.transport import RPCS_BESIDE_FRAMES, channel_options, server_options

TIMEOUT_S = 30.0


@pytest.fixture
def held_engine(monkeypatch):
    """Engines that wait until `release` is set; `running` says that one does."""

    class Gate:
        running = threading.Event()
        release = threading.Event()

    original = OrtEngine.infer_now

    def infer_now(self, images):
        if threading.current_thread().name.startswith("engine"):  # not the golden frame's check
            Gate.running.set()
            assert Gate.release.wait(2 * TIMEOUT_S)  # longer than any test waits
        return original(self, images)

    monkeypatch.setattr(OrtEngine, "infer_now", infer_now)
    yield Gate
    Gate.release.set()


def test_health_of_server_and_services(address):
    assert {probe(address, name) for name in ("", *SERVICES)} == {"SERVING"}
    with pytest.raises(ServingError, match="NOT_FOUND"):
        probe(address, "no.such.Service")


def test_comes_up_when_a_model_is_promoted(start_server, registry, tiny, tmp_path):
    card = tiny.make_card()
    folder = tmp_path / "export"
    folder.mkdir()
    tiny.write_manifest(tiny.write_onnx(folder / "model.onnx", card), card)
    version = registry.register(folder, "late", promote=False)
    thread = start_server(
        ServerConfig(
            model_name="late",
            tracking_uri=registry.uri,
            cache_dir=tmp_path / "cache",
            port=0,
            num_threads=1,
            poll_interval_s=0.05,
        )
    )
    address = thread.server.address
    assert {probe(address, name) for name in ("", *SERVICES)} == {"NOT_SERVING"}
    with SegmentationClient(address) as client, grpc.insecure_channel(address) as channel:
        with pytest.raises(NoModelError, match="no model yet"):
            client.segment(tiny.street())
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        states = (update.status for update in watch)
        assert next(states) == health_pb2.HealthCheckResponse.NOT_SERVING
        registry.promote("late", version)
        assert next(states) == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        assert client.segment(tiny.street()).model_version == version


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


def test_calls_given_up_leave_no_frame_behind(start_server, model_file, tiny, held_engine):
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


def wait_until(condition):
    for _ in range(int(TIMEOUT_S / 0.01)):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("never came true")


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


def test_reflection_only_when_asked_for(start_server, address, model_file):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, reflection=True)).server
    with grpc.insecure_channel(server.address) as channel:
        assert set(SERVICES) < set(ProtoReflectionDescriptorDatabase(channel).get_services())
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_port_that_is_taken(start_server, address, model_file):
    with pytest.raises(ServingError, match="cannot listen"):
        start_server(ServerConfig(model_file=model_file, port=int(address.rsplit(":", 1)[1]), num_threads=1))


def test_bad_model_file_stops_the_start(start_server, tmp_path, tiny):
    with pytest.raises(ContractError, match="no model card"):
        start_server(ServerConfig(model_file=tiny.write_onnx(tmp_path / "m.onnx"), port=0, num_threads=1))


def test_required_gpu_stops_the_start(start_server, model_file):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a CUDA provider; the test is about one without")
    with pytest.raises(ProviderError, match=r"no CUDA provider.*isthmus\[serve,gpu\]"):
        start_server(ServerConfig(model_file=model_file, port=0, provider_policy=ProviderPolicy.REQUIRE_CUDA))


def test_open_address_needs_insecure(model_file):
    with pytest.raises(ConfigurationError, match="--insecure"):
        ServerConfig(model_file=model_file, host="0.0.0.0")
    assert ServerConfig(model_file=model_file, host="0.0.0.0", insecure=True).insecure


@pytest.mark.parametrize("fields", [{}, {"model_name": "a", "tracking_uri": "b", "model_file": Path("c")}])
def test_one_source_of_models(fields):
    with pytest.raises(ConfigurationError, match="exactly one"):
        ServerConfig(**fields)


@pytest.mark.parametrize(
    "source",
    [
        {"model_file": Path("m.onnx")},
        {"engine": EngineConfig(backend=BackendConfig(address="127.0.0.1:8001", model="m"))},
    ],
)
@pytest.mark.parametrize(
    "swap",
    [
        {"public_keys": (Path("gate.key.pub"),)},
        {"shadow_percent": 1.0},
        {"guard": GuardConfig(min_frames=10)},
        {"allow_label_space_change": True},
    ],
)
def test_options_of_promotion_are_not_ignored_where_nothing_is_promoted(source, swap):
    ServerConfig(**source)
    with pytest.raises(ConfigurationError, match="registered model"):
        ServerConfig(**source, swap=SwapConfig(**swap))


def test_a_registered_model_needs_its_registry():
    with pytest.raises(ConfigurationError, match="without tracking_uri"):
        ServerConfig(model_name="a")


def test_port_file_that_cannot_be_written(start_server, model_file, tmp_path):
    with pytest.raises(ConfigurationError, match="--port-file"):
        start_server(ServerConfig(model_file=model_file, port=0, port_file=tmp_path / "missing" / "port"))


def test_port_file_is_there_while_the_server_listens(start_server, tiny, model_file, tmp_path):
    path = tmp_path / "port"
    path.write_text("of another server")
    bad = tiny.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(ContractError):
        start_server(ServerConfig(model_file=bad, port=0, port_file=path))
    assert not path.exists()
    thread = start_server(ServerConfig(model_file=model_file, port=0, port_file=path))
    assert int(path.read_text()) == thread.server.port
    thread.call(thread.server.stop())
    assert not path.exists()


def test_stop_does_not_wait_longer_than_it_says(start_server, model_file, tiny, held_engine):
    config = ServerConfig(model_file=model_file, port=0, num_threads=1, drain_timeout_s=0.1)
    thread = start_server(config)
    with SegmentationClient(thread.server.address) as client, ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.segment, tiny.street())
        assert held_engine.running.wait(TIMEOUT_S)
        thread.call(thread.server.stop())  # the engine is held until the test ends
        with pytest.raises(ServingError):
            running.result(TIMEOUT_S)


SERVE_AND_HANG = """
import sys, threading
from pathlib import Path
from isthmus.serving import engine, model_store, server
from isthmus.serving.config import ServerConfig

def hang(*_):
    print("hangs", flush=True)
    threading.Event().wait()

def hang_unless_golden(self, images, run=engine.OrtEngine.infer_now):
    return hang() if threading.current_thread().name.startswith("engine") else run(self, images)

if sys.argv[1] == "registry":
    model_store.ModelStore.load = hang
else:
    engine.OrtEngine.infer_now = hang_unless_golden
server.serve(ServerConfig(model_file=Path(sys.argv[2]), port=0, port_file=Path(sys.argv[3]), drain_timeout_s=0.1))
"""


@pytest.mark.parametrize("where", ["registry", "engine"])
def test_process_ends_on_sigterm_whatever_hangs(model_file, tmp_path, tiny, where):
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", SERVE_AND_HANG, where, str(model_file), str(port_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            if where == "engine":
                assert next(lines).startswith("isthmus listens")
                address = f"127.0.0.1:{port_file.read_text().strip()}"
                with SegmentationClient(address, timeout_s=0.5) as client, pytest.raises(ServingError):
                    client.segment(tiny.street())
            assert next(lines) == "hangs\n"
            assert port_file.exists()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert "still at work" in log
    assert not port_file.exists()


FAIL_WHILE_A_THREAD_HANGS = """
import sys, threading
from pathlib import Path
from isthmus.serving import server
from isthmus.serving.config import ServerConfig

threading.Thread(target=threading.Event().wait, name="engine-hangs").start()
server.serve(ServerConfig(model_file=Path(sys.argv[1]), port=0))
"""


def test_process_ends_after_an_error_whatever_hangs(tmp_path):
    command = [sys.executable, "-c", FAIL_WHILE_A_THREAD_HANGS, str(tmp_path / "missing.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1
    assert "engine-hangs is still at work" in done.stderr
    assert "missing.onnx" in done.stderr


def test_process_drains_on_sigterm(model_file, tmp_path, tiny):
    code = (
        "import sys; from pathlib import Path; from isthmus.serving.config import ServerConfig;"
        "from isthmus.serving.server import serve;"
        "serve(ServerConfig(model_file=Path(sys.argv[1]), port=0, port_file=Path(sys.argv[2]), num_threads=1))"
    )
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", code, str(model_file), str(port_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = int(port_file.read_text())
        assert line == f"isthmus listens on 127.0.0.1:{port}\n"
        probing = [sys.executable, "-m", "isthmus.serving.probe", "--port-file", str(port_file)]
        assert subprocess.run(probing, timeout=TIMEOUT_S, capture_output=True, check=False).returncode == 0
        with SegmentationClient(f"127.0.0.1:{port}") as client:
            assert client.segment(tiny.street()).model_version == "file"
        os.kill(process.pid, signal.SIGTERM)
        _, log = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, log
        assert "Traceback" not in log
        assert subprocess.run(probing, timeout=TIMEOUT_S, capture_output=True, check=False).returncode == 1
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


LOSE_THE_ENGINE = """
import sys, threading
from pathlib import Path
from onnxruntime.capi import _pybind_state
from isthmus.serving import server, session
from isthmus.serving.config import ServerConfig

class Lost:
    def __init__(self, inner): self.inner = inner
    def run(self, *arguments):
        if threading.current_thread().name.startswith("engine"):  # not the golden frame's check
            raise _pybind_state.EPFail("CUDA failure 700")
        return self.inner.run(*arguments)
    def __getattr__(self, name): return getattr(self.inner, name)

def card(session, where, read=session._card):
    session._sess = Lost(session._sess)
    return read(session, where)

session._card = card
server.serve(ServerConfig(model_file=Path(sys.argv[1]), port=0, num_threads=1))
"""


def test_lost_engine_ends_the_process(model_file, tiny):
    command = [sys.executable, "-c", LOSE_THE_ENGINE, str(model_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[-1]
            with SegmentationClient(address) as client, pytest.raises(EngineLostError, match="provider has failed"):
                client.segment(tiny.street())
            _, log = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "CUDA failure 700" in log
    with pytest.raises(ServingError, match="no health"):
        probe(address)


def test_services_are_registered_under_their_names():
    assert SERVICES == ("isthmus.serving.v1.SegmentationService", "inference.GRPCInferenceService")
