"""A gateway before a back end: real servers, one behind the other."""

import asyncio
import queue
import socket
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.artifact import METADATA_KEY, sha256_of
from isthmus.errors import (
    BackendUnavailableError,
    ConfigurationError,
    ContractError,
    FrameExpiredError,
    FrameTooLargeError,
    OverloadedError,
    ServingError,
)
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving import remote_engine
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.engine_config import BackendConfig, EngineConfig
from isthmus.serving.events import Change, ModelChanged
from isthmus.serving.remote_engine import OipEngine
from isthmus.serving.remote_model import load_remote

TIMEOUT_S = 30.0


class Triton(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """A back end that is not ours: fails as it is told, and keeps what it was asked."""

    def __init__(self, card):
        self.card = card
        self.versions = ["1"]
        self.failure = None
        self.wait = threading.Event()
        self.wait.set()
        self.asked = []
        self.time_left = []
        self.labels_shape = None

    def ModelConfig(self, request, context):
        if self.card is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
        parameters = {METADATA_KEY: pb.ModelParameter(string_value=self.card.to_json())}
        return pb.ModelConfigResponse(config=pb.ModelConfig(name="tiny", parameters=parameters))

    def ModelMetadata(self, request, context):
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name="tiny",
            versions=self.versions,
            inputs=[tensor(name="image", datatype="UINT8")],
            outputs=[tensor(name="labels", datatype="UINT8"), tensor(name="confidence", datatype="UINT8")],
        )

    def ModelReady(self, request, context):
        return pb.ModelReadyResponse(ready=request.version in self.versions)

    def ModelInfer(self, request, context):
        self.asked.append((request.model_version, tuple(request.inputs[0].shape)))
        self.time_left.append(context.time_remaining())
        self.wait.wait(TIMEOUT_S)
        if self.failure is not None:
            context.abort(*self.failure)
        shape = tuple(request.inputs[0].shape)
        red = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(shape)[..., 0]
        labels = np.where(red == 0, 255, np.where(red > 127, 0, 1)).astype(np.uint8)
        response = pb.ModelInferResponse(model_name="tiny", model_version=request.model_version or self.versions[-1])
        response.outputs.add(name="labels", datatype="UINT8", shape=self.labels_shape or labels.shape)
        response.outputs.add(name="confidence", datatype="UINT8", shape=(shape[0], 1, 1))
        response.raw_output_contents.extend([labels.tobytes(), bytes([200]) * shape[0]])
        return response


@pytest.fixture
def triton(tiny):
    """A running back end, and its address."""
    servicer = Triton(tiny.make_card())
    server = grpc.server(futures.ThreadPoolExecutor(4))
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    servicer.wait.set()
    server.stop(None).wait()


def gateway(address, **fields):
    backend = BackendConfig(address=address, model="tiny", probe_interval_s=0.05, **fields)
    return ServerConfig(engine=EngineConfig(backend=backend), port=0, num_threads=1, poll_interval_s=0.05)


@pytest.fixture
def engine(triton):
    backend = BackendConfig(address=triton.address, model="tiny", timeout_s=TIMEOUT_S)
    engine = OipEngine(backend, LimitsConfig(), 1)
    yield engine
    engine.close()


def health_of(address):
    with grpc.insecure_channel(address) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status


def watch_health(address, wanted):
    """Return when the server says `wanted`."""
    with grpc.insecure_channel(address) as channel:
        for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S):
            if answer.status == wanted:
                return


SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_one_of_our_servers_behind_another(start_server, address, tiny, model_file):
    front = start_server(gateway(address)).server
    image = tiny.street()
    with SegmentationClient(front.address) as client:
        np.testing.assert_array_equal(client.segment(image).mask, tiny.expected_labels(image))
        info = client.model_info()
    assert (info.name, info.version, info.provider) == ("tiny", "file", f"oip://{address}")
    assert info.sha256 == sha256_of(model_file)
    # a gateway tells the card on, so that gateways can be stacked
    second = start_server(gateway(front.address)).server
    with SegmentationClient(second.address) as client:
        np.testing.assert_array_equal(client.segment(image).mask, tiny.expected_labels(image))


def test_health_follows_the_back_end(start_server, model_file, tiny):
    back = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    port = back.server.port
    front = start_server(gateway(back.server.address)).server
    assert health_of(front.address) == SERVING
    back.call(back.server.stop())
    watch_health(front.address, NOT_SERVING)
    with grpc.insecure_channel(front.address) as channel:
        oip = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert not oip.ServerReady(pb.ServerReadyRequest(), timeout=TIMEOUT_S).ready
    with SegmentationClient(front.address) as client, pytest.raises(ServingError, match="does not answer"):
        client.segment(tiny.street())
    start_server(ServerConfig(model_file=model_file, port=port, num_threads=1))
    watch_health(front.address, SERVING)
    with SegmentationClient(front.address) as client:
        client.segment(tiny.street())


def test_gateway_waits_for_its_back_end(start_server, triton, tiny):
    triton.card = None
    front = start_server(gateway(triton.address)).server
    assert health_of(front.address) == NOT_SERVING
    triton.card = tiny.make_card()
    watch_health(front.address, SERVING)


def test_new_version_is_checked_and_served(start_server, triton, tiny):
    front = start_server(gateway(triton.address)).server
    with SegmentationClient(front.address) as client:
        assert client.segment(tiny.street()).model_version == "1"
        triton.versions = ["1", "2"]
        until = time.monotonic() + TIMEOUT_S
        while client.segment(tiny.street()).model_version != "2":  # no frame fails meanwhile
            assert time.monotonic() < until
    assert {version for version, _ in triton.asked} == {"", "1", "2"}


class Changes:
    """What a gateway tells of its model, to wait for."""

    def __init__(self, server):
        self.told = queue.SimpleQueue()
        server._events.subscribe(self)

    def heard(self, event):
        if isinstance(event, ModelChanged):
            self.told.put(event)

    def next(self):
        return self.told.get(timeout=TIMEOUT_S)


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL])
def test_a_back_end_in_trouble_does_not_end_its_gateway(start_server, triton, tiny, code, wait_until):
    triton.failure = (code, "trouble")  # already at the start
    front = start_server(gateway(triton.address)).server
    assert health_of(front.address) == NOT_SERVING
    wait_until(lambda: "golden frame" in front._models.problem)
    triton.failure = None
    watch_health(front.address, SERVING)
    wait_until(lambda: not front._models.problem)
    changes = Changes(front)
    triton.failure, triton.versions = (code, "trouble"), ["1", "2"]
    refused = changes.next()
    assert (refused.change, refused.model_version, refused.refused_version) == (Change.REFUSED, "1", "2")
    triton.failure = None
    assert (changes.next().change, front._pipeline.current.version) == (Change.SWAPPED, "2")


def test_another_label_space_of_the_back_end_is_refused(start_server, triton, tiny):
    front = start_server(gateway(triton.address)).server
    changes = Changes(front)
    card = tiny.make_card()
    triton.card = card.model_copy(
        update={"label_space": card.label_space.model_copy(update={"id_hash": "ba9876543210"})}
    )
    triton.versions = ["1", "2"]
    refused = changes.next()
    assert refused.change is Change.REFUSED
    assert "its label space is ba9876543210" in refused.reason
    assert front._pipeline.current.version == "1"
    assert front._models.refused == {"2": refused.reason}
    triton.card, triton.versions = card, ["1", "3"]  # looked at without waiting for the pause
    assert (changes.next().change, front._pipeline.current.version) == (Change.SWAPPED, "3")
    assert front._models.refused == {}


@pytest.mark.parametrize("kind", ["onnx", "json"])
def test_card_from_a_file(triton, tiny, model_file, tmp_path, kind):
    triton.card = None
    with pytest.raises(ContractError, match=r"does not tell the card of 'tiny'.*--backend-card"):
        load_remote(gateway(triton.address))
    path = model_file
    if kind == "json":
        path = tmp_path / "model_card.json"
        path.write_text(tiny.make_card().to_json())
    model = load_remote(gateway(triton.address, card=path))
    assert model.card == tiny.make_card()
    assert (model.version, model.sha256) == ("1", sha256_of(path) if kind == "onnx" else "")
    model.engine.close()


def test_a_card_that_cannot_be_read_ends_the_start(start_server, triton, tmp_path):
    card = tmp_path / "a.txt"
    card.write_text("no model")
    for path, message in ((card, "a.txt"), (tmp_path / "nope.onnx", "no such file")):
        with pytest.raises(ContractError, match=message):
            start_server(gateway(triton.address, card=path))


def test_golden_frame_is_checked_at_the_back_end(triton, tiny):
    image = tiny.street(seed=7)
    triton.card = tiny.make_card(golden=image, labels=tiny.expected_labels(image) ^ 1)
    with pytest.raises(ContractError, match="agrees with torch on"):
        load_remote(gateway(triton.address))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, BackendUnavailableError),
        (grpc.StatusCode.NOT_FOUND, BackendUnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, OverloadedError),
        (grpc.StatusCode.INTERNAL, ServingError),
        (grpc.StatusCode.INVALID_ARGUMENT, ServingError),
    ],
)
async def test_failures_become_ours(triton, engine, tiny, code, expected):
    triton.failure = (code, "secret detail")
    with pytest.raises(ServingError) as caught:
        await engine.infer(tiny.street()[None])
    assert type(caught.value) is expected
    if expected is not ServingError:  # which clients see as INTERNAL, without the text
        assert "secret" not in str(caught.value)
    triton.failure = None
    assert (await engine.infer(tiny.street()[None])).labels.shape == (1, 48, 64)


async def test_deadline_is_passed_on_and_the_loop_goes_on(triton, engine, tiny):
    await engine.infer(tiny.street()[None], deadline=time.monotonic() + 5)
    assert triton.time_left[-1] <= 5.5  # clocks of two processes
    triton.wait.clear()
    late = asyncio.create_task(engine.infer(tiny.street()[None], deadline=time.monotonic() + 0.2))
    turns = 0
    while not late.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 20
    with pytest.raises(FrameExpiredError):
        await late
    asked = len(triton.asked)
    with pytest.raises(FrameExpiredError, match="before the back end was asked"):
        await engine.infer(tiny.street()[None], deadline=time.monotonic())
    assert len(triton.asked) == asked


async def test_back_end_that_hangs_is_given_up(triton, tiny):
    backend = BackendConfig(address=triton.address, model="tiny", timeout_s=0.2)
    engine = OipEngine(backend, LimitsConfig(), 1)
    triton.wait.clear()
    with pytest.raises(BackendUnavailableError):
        await engine.infer(tiny.street()[None])
    engine.close()


async def test_large_batches_are_split(triton, tiny):
    backend = BackendConfig(address=triton.address, model="tiny")
    engine = OipEngine(backend, LimitsConfig(max_frame_pixels=2 * 48 * 64), 1)
    batch = np.stack([tiny.street(seed=seed) for seed in range(5)])
    prediction = await engine.infer(batch)
    np.testing.assert_array_equal(prediction.labels, tiny.expected_labels(batch))
    assert [shape[0] for _, shape in triton.asked] == [2, 2, 1]
    assert prediction.confidence.shape == (5, 1, 1)
    engine.close()


async def test_answer_that_is_no_mask(triton, engine, tiny):
    triton.labels_shape = (1, 64, 48)
    with pytest.raises(ServingError, match="which is no mask"):
        await engine.infer(tiny.street()[None])


async def test_limits_of_the_back_end_reach_the_client(start_server, model_file, tiny):
    limits = LimitsConfig(max_frame_pixels=48 * 64 - 1)
    back = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    engine = OipEngine(BackendConfig(address=back.address, model="tiny"), LimitsConfig(), 1)
    with pytest.raises(FrameTooLargeError, match="more than the"):
        await engine.infer(tiny.street()[None])
    engine.close()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"address": "host"}, "no HOST:PORT"),
        ({"address": "127.0.0.1:1", "cert_file": "c"}, "needs its key"),
        ({"address": "10.0.0.1:8001"}, "not encrypted"),
    ],
)
def test_wrong_back_ends_are_one_error(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        gateway(fields.pop("address"), **{key: Path(value) for key, value in fields.items()})


async def test_a_back_end_that_hangs_is_soon_known(monkeypatch):
    monkeypatch.setattr(remote_engine, "_PROBE_TIMEOUT_S", 0.1)
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        backend = BackendConfig(address=f"127.0.0.1:{silent.getsockname()[1]}", model="m", timeout_s=600)
        engine = OipEngine(backend, LimitsConfig(), 1)
        assert await asyncio.wait_for(engine.look(), TIMEOUT_S) == (False, None)
        engine.close()
