"""The Open Inference Protocol through raw stubs, and through tritonclient in a process of its own."""

import dataclasses
import math
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from isthmus.artifact import SHA256_KEY, ModelCard
from isthmus.errors import FrameExpiredError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.errors import error_of
from isthmus.serving.events import BatchDone, FrameDone
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.statistics import Statistics

TIMEOUT_S = 30.0


@pytest.fixture
def stub(address):
    with grpc.insecure_channel(address) as channel:
        yield open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


def request(name="image", datatype="UINT8", shape=(1, 48, 64, 3), raw=(b"",), outputs=(), **fields):
    tensor = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=item) for item in outputs]
    fields = {"model_name": "tiny", **fields}
    return pb.ModelInferRequest(inputs=[tensor], outputs=wanted, raw_input_contents=raw, **fields)


def test_health_and_metadata(stub):
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=TIMEOUT_S).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=TIMEOUT_S).ready
    for name, version, ready in (("tiny", "", True), ("tiny", "file", True), ("tiny", "3", False), ("x", "", False)):
        assert stub.ModelReady(pb.ModelReadyRequest(name=name, version=version), timeout=TIMEOUT_S).ready is ready
    server = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=TIMEOUT_S)
    assert server.name == "isthmus"
    offered = ["model_configuration", "statistics", "model_repository(index)"]
    assert list(server.extensions) == [*offered, "provider:CPUExecutionProvider"]
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=TIMEOUT_S)
    assert (model.name, list(model.versions)) == ("tiny", ["file"])
    assert [(item.name, item.datatype, list(item.shape)) for item in model.inputs] == [
        ("image", "UINT8", [-1, -1, -1, 3]),
        ("image_bytes", "BYTES", [-1]),
    ]
    assert [item.name for item in model.outputs] == ["labels", "confidence"]


def test_batch_of_raw_images(stub, tiny):
    batch = np.stack([tiny.street(seed=seed) for seed in range(3)])
    answer = stub.ModelInfer(request(shape=batch.shape, raw=[batch.tobytes()], id="42"), timeout=TIMEOUT_S)
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "tiny", "file")
    assert [(item.name, list(item.shape)) for item in answer.outputs] == [
        ("labels", [3, 48, 64]),
        ("confidence", [3, 24, 32]),
    ]
    assert answer.raw_output_contents[0] == tiny.expected_labels(batch).tobytes()
    assert answer.raw_output_contents[1] == bytes([200]) * (3 * 24 * 32)


def test_files_in_bytes_tensor_and_one_output(stub, tiny):
    batch = np.stack([tiny.street(seed=seed) for seed in range(2)])
    data = b"".join(struct.pack("<I", len(file)) + file for file in map(tiny.png, batch))
    answer = stub.ModelInfer(
        request("image_bytes", "BYTES", [2], [data], outputs=["labels"], model_version="file"), timeout=TIMEOUT_S
    )
    assert [item.name for item in answer.outputs] == ["labels"]
    assert list(answer.raw_output_contents) == [tiny.expected_labels(batch).tobytes()]


def test_typed_contents_are_refused(stub):
    message = request(shape=(1, 1, 1, 3), raw=())
    message.inputs[0].contents.uint_contents.extend([1, 2, 3])
    with pytest.raises(grpc.RpcError, match="raw_input_contents") as caught:
        stub.ModelInfer(message, timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "picture"}, r"inputs\[picture\]"),
        ({"datatype": "FP32"}, r"inputs\[image\].datatype"),
        ({"shape": (48, 64, 3)}, r"inputs\[image\].shape"),
        ({"shape": (1, 48, 64, 4)}, r"inputs\[image\].shape"),
        ({"shape": (0, 48, 64, 3)}, r"inputs\[image\].shape"),
        ({"shape": (-1, 48, 64, 3)}, r"inputs\[image\].shape"),
        ({"raw": [b"short"]}, r"raw_input_contents\[0\]"),
        ({"raw": []}, "raw_input_contents"),
        ({"outputs": ["logits"]}, r"outputs\[logits\]"),
        ({"outputs": ["labels", "labels"]}, "outputs: an output is named twice"),
        ({"name": "image_bytes", "datatype": "BYTES", "shape": [1], "raw": [b"\xff"]}, r"raw_input_contents\[0\]"),
        (
            {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "raw": [b"\xff\xff\xff\xffabc"]},
            r"raw_input_contents\[0\]",
        ),
    ],
)
def test_wrong_tensor_is_named(stub, fields, named):
    with pytest.raises(grpc.RpcError, match=named) as caught:
        stub.ModelInfer(request(**fields), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_files_of_different_size_are_refused(stub, tiny):
    files = [tiny.png(tiny.street()), tiny.png(tiny.street(8, 8))]
    data = b"".join(struct.pack("<I", len(file)) + file for file in files)
    with pytest.raises(grpc.RpcError, match="differ in size"):
        stub.ModelInfer(request("image_bytes", "BYTES", [2], [data]), timeout=TIMEOUT_S)


def test_pixel_cap_holds_for_the_whole_batch(start_server, model_file, tiny):
    limits = LimitsConfig(max_frame_pixels=3 * 96 * 64 - 1)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    batch = np.stack([tiny.street(96, 64, seed=seed) for seed in range(3)])
    data = b"".join(struct.pack("<I", len(file)) + file for file in map(tiny.png, batch))
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for message in (
            request(shape=batch.shape, raw=[batch.tobytes()]),
            request("image_bytes", "BYTES", [3], [data]),
        ):
            with pytest.raises(grpc.RpcError, match="more than the") as caught:
                stub.ModelInfer(message, timeout=TIMEOUT_S)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def tiny_files(tiny, count):
    file = tiny.png(np.zeros((1, 1, 3), np.uint8))
    return request("image_bytes", "BYTES", [count], [(struct.pack("<I", len(file)) + file) * count])


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(
    ("limits", "largest"),
    [
        (LimitsConfig(max_batch_size=2), 2),
        (LimitsConfig(max_frame_pixels=4 * 48 * 64 - 1), 3),  # the network's size is 48x64
        (LimitsConfig(max_frame_pixels=48 * 64 - 1), 1),
    ],
)
def test_batch_of_the_smallest_frames_is_bounded_too(start_server, model_file, tiny, limits, largest, encoded):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)

        def infer(count):
            raw = request(shape=(count, 1, 1, 3), raw=[bytes(3 * count)])
            return stub.ModelInfer(tiny_files(tiny, count) if encoded else raw, timeout=TIMEOUT_S)

        assert list(infer(largest).outputs[0].shape) == [largest, 1, 1]
        with pytest.raises(grpc.RpcError, match=f"{largest + 1} frames are more than the {largest}") as caught:
            infer(largest + 1)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_late_answer_says_so_and_stops_between_files(stub, tiny, monkeypatch):
    decoded = []

    def decode_for_ages(file, max_pixels, *, field):
        decoded.append(file)
        monkeypatch.setattr("isthmus.serving.pipeline.time", SimpleNamespace(monotonic=lambda: math.inf))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("isthmus.serving.codec.decode_image", decode_for_ages)
    with pytest.raises(grpc.RpcError, match="deadline passed") as caught:
        stub.ModelInfer(tiny_files(tiny, 3), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert isinstance(error_of(caught.value, "server"), FrameExpiredError)
    assert len(decoded) == 1


@pytest.mark.parametrize(
    ("model", "named"),
    [({"model_name": "other"}, "'other'"), ({"model_version": "3"}, "'tiny' version 3"), ({"model_name": ""}, "''")],
)
def test_other_model_is_not_found(stub, model, named):
    with pytest.raises(grpc.RpcError, match=f"model {named} is not loaded") as caught:
        stub.ModelInfer(request(raw=[bytes(48 * 64 * 3)], **model), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [("priority", 1, r"parameters\[priority\]: no such"), ("timeout", 0, r"parameters\[timeout\]: is no positive")],
)
def test_parameters_are_never_ignored(stub, name, value, named):
    message = request(raw=[bytes(48 * 64 * 3)])
    message.parameters[name].int64_param = value
    with pytest.raises(grpc.RpcError, match=named):
        stub.ModelInfer(message, timeout=TIMEOUT_S)
    message = request(raw=[bytes(48 * 64 * 3)])
    message.inputs[0].parameters[name].int64_param = value
    with pytest.raises(grpc.RpcError, match=r"inputs\[image\].parameters"):
        stub.ModelInfer(message, timeout=TIMEOUT_S)


@pytest.mark.parametrize(("timeout_us", "in_time"), [(30_000_000, True), (1, False)])
def test_timeout_parameter_is_a_deadline(stub, timeout_us, in_time):
    message = request(raw=[bytes(48 * 64 * 3)])
    message.parameters["timeout"].int64_param = timeout_us
    if in_time:
        assert stub.ModelInfer(message, timeout=TIMEOUT_S).outputs
    else:
        with pytest.raises(grpc.RpcError, match="deadline passed"):
            stub.ModelInfer(message, timeout=TIMEOUT_S)


def test_configuration(stub):
    config = stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S).config
    assert (config.name, config.backend, config.max_batch_size) == ("tiny", "onnxruntime", 8)
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [
        ("image", pb.TYPE_UINT8, [-1, -1, 3]),
        ("image_bytes", pb.TYPE_STRING, [1]),
    ]
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        ("labels", pb.TYPE_UINT8, [-1, -1]),
        ("confidence", pb.TYPE_UINT8, [-1, -1]),
    ]
    assert not config.HasField("dynamic_batching")  # on a CPU each caller's frames run alone
    with pytest.raises(grpc.RpcError, match="not loaded"):
        stub.ModelConfig(pb.ModelConfigRequest(name="tiny", version="3"), timeout=TIMEOUT_S)


def test_configuration_of_a_server_that_gathers(start_server, model_file):
    scheduler = SchedulerConfig(max_batch_size=6, max_batch_wait_ms=3.0)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, scheduler=scheduler)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        batching = stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S).config.dynamic_batching
        assert list(batching.preferred_batch_size) == [1, 2, 3, 4, 5, 6]  # no padding on a CPU
        assert batching.max_queue_delay_microseconds == 3000


def test_repository_and_statistics(start_server, model_file, tiny):
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        index = stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=TIMEOUT_S).models
        assert [(item.name, item.version, item.state) for item in index] == [("tiny", "file", "READY")]
        batch = np.stack([tiny.street(seed=seed) for seed in range(3)])
        stub.ModelInfer(request(shape=batch.shape, raw=[batch.tobytes()]), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(request(raw=[b"short"]), timeout=TIMEOUT_S)
        (stats,) = stub.ModelStatistics(pb.ModelStatisticsRequest(), timeout=TIMEOUT_S).model_stats
        assert (stats.name, stats.version) == ("tiny", "file")
        assert (stats.inference_count, stats.execution_count) == (3, 1)
        totals = stats.inference_stats
        assert (totals.success.count, totals.fail.count, totals.compute_infer.count) == (3, 1, 3)
        assert totals.success.ns >= totals.compute_infer.ns > 0
        assert [(item.batch_size, item.compute_infer.count) for item in stats.batch_stats] == [(3, 1)]
        assert stats.last_inference > 1_600_000_000_000
        with pytest.raises(grpc.RpcError, match="not loaded"):
            stub.ModelStatistics(pb.ModelStatisticsRequest(name="other"), timeout=TIMEOUT_S)


def test_statistics_forget_the_oldest_versions():
    statistics = Statistics()
    image = np.zeros((1, 2, 2, 3), np.uint8)
    for version in range(40):
        statistics.heard(
            BatchDone(
                model_version=str(version),
                sha256="",
                provider="",
                num_frames=1,
                padded_to=1,
                infer_s=0.5,
                images=image,
                prediction=Prediction(image[..., 0], image[..., 0]),
            )
        )
    assert statistics.of("39").batch_stats[0].compute_infer.ns == 500_000_000
    assert statistics.of("0") == pb.ModelStatistics(version="0")


def test_stream_answers_in_order_and_survives_errors(stub, tiny):
    batch = tiny.street()[None]
    good = request(shape=batch.shape, raw=[batch.tobytes()], id="good")
    asking = request(shape=batch.shape, raw=[batch.tobytes()], id="last", outputs=["labels"])
    asking.parameters["triton_enable_empty_final_response"].bool_param = True
    sent = [good, request(raw=[b"short"], id="bad"), *[good] * 8, request(model_version="9", id="other"), asking]
    answers = list(stub.ModelStreamInfer(iter(sent), timeout=TIMEOUT_S))
    assert [answer.infer_response.id for answer in answers] == [item.id for item in sent]
    failed = [answer.error_message for answer in answers if answer.error_message]
    assert len(failed) == 2
    assert "raw_input_contents[0]: 5 bytes" in failed[0]
    assert "version 9 is not loaded" in failed[1]
    assert answers[-2].infer_response.outputs == []
    assert answers[-1].infer_response.parameters["triton_final_response"].bool_param
    assert answers[0].infer_response.raw_output_contents[0] == tiny.expected_labels(batch).tobytes()


def test_stream_of_a_draining_server(start_server, model_file, tiny):
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    batch = tiny.street()[None]
    hold = threading.Event()

    def requests():
        yield request(shape=batch.shape, raw=[batch.tobytes()])
        hold.wait(TIMEOUT_S)

    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(requests(), timeout=TIMEOUT_S)
        assert next(call).infer_response.outputs
        thread.call(thread.server.stop())
        with pytest.raises(grpc.RpcError, match="shutting down") as caught:
            next(call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        hold.set()


def test_the_card_is_written_once_a_model(start_server, model_file, monkeypatch):
    written = []
    original = ModelCard.to_json
    monkeypatch.setattr(ModelCard, "to_json", lambda card: written.append(card) or original(card))
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    written.clear()
    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = [stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S) for _ in range(3)]
        assert len(written) == 1
        pipeline = thread.server._pipeline
        newer = dataclasses.replace(pipeline.current, version="2", sha256="0" * 64)

        async def serve():
            pipeline.serve(newer)

        thread.call(serve())
        answers.append(stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S))
    assert len(written) == 2
    assert answers[0] == answers[2]
    assert answers[3].config.parameters[SHA256_KEY].string_value == "0" * 64


def test_slow_readers_answers_are_counted_and_bounded(start_server, model_file, tiny):
    scheduler = SchedulerConfig(max_waiting_bytes=12_000_000)  # one mask may wait
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, scheduler=scheduler))
    places = thread.server._pipeline.places
    told = []
    thread.server._pipeline.events.subscribe(
        SimpleNamespace(heard=lambda event: told.append(event) if isinstance(event, FrameDone) else None)
    )
    # Small files, whose masks are so large that HTTP/2 lets one or two through to a client that reads nothing.
    file = tiny.jpeg(np.zeros((1500, 2500, 3), np.uint8))
    asking = request("image_bytes", "BYTES", (1,), [struct.pack("<I", len(file)) + file], outputs=["labels"])
    with grpc.insecure_channel(thread.server.address, [("grpc.max_receive_message_length", -1)]) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([asking] * 6), timeout=TIMEOUT_S)
        for _ in range(1000):
            if len(told) == 4:
                break
            threading.Event().wait(0.01)
        assert 1500 * 2500 < places._mask_bytes < 2 * 1500 * 2500
        errors = [answer.error_message for answer in call]
        assert len(errors) == 6
        assert any("wait for their readers already" in error for error in errors)
        assert errors[0] == ""
    overloaded = sum("wait for their readers already" in error for error in errors)
    assert sorted(event.verdict for event in told) == sorted(
        ["overloaded"] * overloaded + ["segmented"] * (6 - overloaded)
    )
    for _ in range(1000):
        if not places.bytes:
            break
        threading.Event().wait(0.01)
    assert (places.bytes, places._mask_bytes) == (0, 0)


def test_old_stream_is_ended_in_words(start_server, model_file):
    scheduler = SchedulerConfig(max_stream_age_s=0.05)
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, scheduler=scheduler))
    done = threading.Event()

    def requests():
        done.wait(TIMEOUT_S)
        yield from ()

    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="the stream is old") as caught:
            next(stub.ModelStreamInfer(requests(), timeout=TIMEOUT_S))
        done.set()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert stub.ServerReady(pb.ServerReadyRequest(), timeout=TIMEOUT_S).ready


TRITON = """
import asyncio, queue, sys
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

address, image_file, labels_file = sys.argv[1:]
image = np.load(image_file)
tensor = triton.InferInput("image", list(image.shape), "UINT8")
tensor.set_data_from_numpy(image)
wanted = [triton.InferRequestedOutput("labels"), triton.InferRequestedOutput("confidence")]

client = triton.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
assert client.get_model_metadata("tiny").platform == "onnxruntime_onnx"
assert client.get_model_config("tiny").config.max_batch_size == 8
assert [item.name for item in client.get_model_repository_index().models] == ["tiny"]
settings = {"request_id": "t", "client_timeout": 30, "timeout": 30_000_000}
result = client.infer("tiny", [tensor], model_version="file", outputs=wanted, **settings)
assert client.get_inference_statistics("tiny").model_stats[0].inference_count >= 1
np.save(labels_file, result.as_numpy("labels"))

answers = queue.SimpleQueue()
client.start_stream(lambda result, error: answers.put((result, error)))
client.async_stream_infer("tiny", [tensor], request_id="a", enable_empty_final_response=True)
client.async_stream_infer("tiny", [tensor], request_id="b", model_version="9")
client.async_stream_infer("tiny", [tensor], request_id="c", outputs=wanted)
got = [answers.get(timeout=30) for _ in range(3)]
client.stop_stream()
assert [error is None for _, error in got] == [True, False, True], got
assert "version 9 is not loaded" in str(got[1][1])
for streamed in (got[0][0], got[2][0]):
    assert (streamed.as_numpy("labels") == result.as_numpy("labels")).all()
assert got[0][0].get_response().parameters["triton_final_response"].bool_param
client.close()

async def use_aio():
    async with triton_aio.InferenceServerClient(address) as client:
        assert await client.is_model_ready("tiny")
        once = await client.infer("tiny", [tensor])
        async def requests():
            for name in ("x", "y"):
                yield {"model_name": "tiny", "inputs": [tensor], "request_id": name}
        streamed = [answer async for answer, error in client.stream_infer(requests()) if error is None]
        assert [answer.get_response().id for answer in streamed] == ["x", "y"]
        for answer in (once, *streamed):
            assert (answer.as_numpy("labels") == result.as_numpy("labels")).all()

asyncio.run(use_aio())
"""


def test_tritonclient_gets_the_same_mask(address, tiny, tmp_path):
    # In a process of its own: its generated code and ours claim the same protobuf names.
    image = tiny.street()[None]
    np.save(tmp_path / "image.npy", image)
    command = [sys.executable, "-c", TRITON, address, str(tmp_path / "image.npy"), str(tmp_path / "labels.npy")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), tiny.expected_labels(image))
