"""Tensors that `ModelInfer` refuses: wrong ones by name, large ones by their pixels and their count."""

import struct

import grpc
import numpy as np
import pytest

from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import LimitsConfig, ServerConfig

TIMEOUT_S = 30.0


def test_typed_contents_are_refused(stub, make_request):
    message = make_request(shape=(1, 1, 1, 3), raw=())
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
def test_wrong_tensor_is_named(stub, fields, named, make_request):
    with pytest.raises(grpc.RpcError, match=named) as caught:
        stub.ModelInfer(make_request(**fields), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_files_of_different_size_are_refused(stub, tiny, make_request):
    files = [tiny.png(tiny.street()), tiny.png(tiny.street(8, 8))]
    data = b"".join(struct.pack("<I", len(file)) + file for file in files)
    with pytest.raises(grpc.RpcError, match="differ in size"):
        stub.ModelInfer(make_request("image_bytes", "BYTES", [2], [data]), timeout=TIMEOUT_S)


def test_pixel_cap_holds_for_the_whole_batch(start_server, model_file, tiny, make_request):
    limits = LimitsConfig(max_frame_pixels=3 * 96 * 64 - 1)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    batch = np.stack([tiny.street(96, 64, seed=seed) for seed in range(3)])
    data = b"".join(struct.pack("<I", len(file)) + file for file in map(tiny.png, batch))
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for message in (
            make_request(shape=batch.shape, raw=[batch.tobytes()]),
            make_request("image_bytes", "BYTES", [3], [data]),
        ):
            with pytest.raises(grpc.RpcError, match="more than the") as caught:
                stub.ModelInfer(message, timeout=TIMEOUT_S)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(
    ("limits", "largest"),
    [
        (LimitsConfig(max_batch_size=2), 2),
        (LimitsConfig(max_frame_pixels=4 * 48 * 64 - 1), 3),  # the network's size is 48x64
        (LimitsConfig(max_frame_pixels=48 * 64 - 1), 1),
    ],
)
def test_batch_of_the_smallest_frames_is_bounded_too(
    start_server, model_file, tiny, limits, largest, encoded, make_request, tiny_files
):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)

        def infer(count):
            raw = make_request(shape=(count, 1, 1, 3), raw=[bytes(3 * count)])
            return stub.ModelInfer(tiny_files(count) if encoded else raw, timeout=TIMEOUT_S)

        assert list(infer(largest).outputs[0].shape) == [largest, 1, 1]
        with pytest.raises(grpc.RpcError, match=f"{largest + 1} frames are more than the {largest}") as caught:
            infer(largest + 1)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
