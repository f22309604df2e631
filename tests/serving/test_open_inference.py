"""The Open Inference Protocol through raw stubs, and through tritonclient in a process of its own."""

import math
import struct
import subprocess
import sys
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from isthmus.errors import FrameExpiredError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.errors import error_of

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


TRITON = """
import sys
import numpy as np
import tritonclient.grpc as triton

address, image_file, labels_file = sys.argv[1:]
client = triton.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
assert client.get_model_metadata("tiny").platform == "onnxruntime_onnx"
image = np.load(image_file)
tensor = triton.InferInput("image", list(image.shape), "UINT8")
tensor.set_data_from_numpy(image)
wanted = [triton.InferRequestedOutput("labels"), triton.InferRequestedOutput("confidence")]
settings = {"request_id": "t", "client_timeout": 30, "timeout": 30_000_000}
result = client.infer("tiny", [tensor], model_version="file", outputs=wanted, **settings)
np.save(labels_file, result.as_numpy("labels"))
"""


def test_tritonclient_gets_the_same_mask(address, tiny, tmp_path):
    # In a process of its own: its generated code and ours claim the same protobuf names.
    image = tiny.street()[None]
    np.save(tmp_path / "image.npy", image)
    command = [sys.executable, "-c", TRITON, address, str(tmp_path / "image.npy"), str(tmp_path / "labels.npy")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), tiny.expected_labels(image))
