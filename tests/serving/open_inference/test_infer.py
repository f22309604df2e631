"""Unary `ModelInfer` through raw stubs: tensors, files, parameters, deadlines."""

import math
import struct
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from isthmus.errors import FrameExpiredError
from isthmus.serving.errors import error_of

TIMEOUT_S = 30.0


def test_batch_of_raw_images(stub, tiny, make_request):
    batch = np.stack([tiny.street(seed=seed) for seed in range(3)])
    answer = stub.ModelInfer(make_request(shape=batch.shape, raw=[batch.tobytes()], id="42"), timeout=TIMEOUT_S)
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "tiny", "file")
    assert [(item.name, list(item.shape)) for item in answer.outputs] == [
        ("labels", [3, 48, 64]),
        ("confidence", [3, 24, 32]),
    ]
    assert answer.raw_output_contents[0] == tiny.expected_labels(batch).tobytes()
    assert answer.raw_output_contents[1] == bytes([200]) * (3 * 24 * 32)


def test_files_in_bytes_tensor_and_one_output(stub, tiny, make_request):
    batch = np.stack([tiny.street(seed=seed) for seed in range(2)])
    data = b"".join(struct.pack("<I", len(file)) + file for file in map(tiny.png, batch))
    answer = stub.ModelInfer(
        make_request("image_bytes", "BYTES", [2], [data], outputs=["labels"], model_version="file"), timeout=TIMEOUT_S
    )
    assert [item.name for item in answer.outputs] == ["labels"]
    assert list(answer.raw_output_contents) == [tiny.expected_labels(batch).tobytes()]


def test_late_answer_says_so_and_stops_between_files(stub, tiny, monkeypatch, tiny_files):
    decoded = []

    def decode_for_ages(file, max_pixels, *, field):
        decoded.append(file)
        monkeypatch.setattr("isthmus.serving.pipeline.time", SimpleNamespace(monotonic=lambda: math.inf))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("isthmus.serving.codec.decode_image", decode_for_ages)
    with pytest.raises(grpc.RpcError, match="deadline passed") as caught:
        stub.ModelInfer(tiny_files(3), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert isinstance(error_of(caught.value, "server"), FrameExpiredError)
    assert len(decoded) == 1


@pytest.mark.parametrize(
    ("model", "named"),
    [({"model_name": "other"}, "'other'"), ({"model_version": "3"}, "'tiny' version 3"), ({"model_name": ""}, "''")],
)
def test_other_model_is_not_found(stub, model, named, make_request):
    with pytest.raises(grpc.RpcError, match=f"model {named} is not loaded") as caught:
        stub.ModelInfer(make_request(raw=[bytes(48 * 64 * 3)], **model), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [("priority", 1, r"parameters\[priority\]: no such"), ("timeout", 0, r"parameters\[timeout\]: is no positive")],
)
def test_parameters_are_never_ignored(stub, name, value, named, make_request):
    message = make_request(raw=[bytes(48 * 64 * 3)])
    message.parameters[name].int64_param = value
    with pytest.raises(grpc.RpcError, match=named):
        stub.ModelInfer(message, timeout=TIMEOUT_S)
    message = make_request(raw=[bytes(48 * 64 * 3)])
    message.inputs[0].parameters[name].int64_param = value
    with pytest.raises(grpc.RpcError, match=r"inputs\[image\].parameters"):
        stub.ModelInfer(message, timeout=TIMEOUT_S)


@pytest.mark.parametrize(("timeout_us", "in_time"), [(30_000_000, True), (1, False)])
def test_timeout_parameter_is_a_deadline(stub, timeout_us, in_time, make_request):
    message = make_request(raw=[bytes(48 * 64 * 3)])
    message.parameters["timeout"].int64_param = timeout_us
    if in_time:
        assert stub.ModelInfer(message, timeout=TIMEOUT_S).outputs
    else:
        with pytest.raises(grpc.RpcError, match="deadline passed"):
            stub.ModelInfer(message, timeout=TIMEOUT_S)
