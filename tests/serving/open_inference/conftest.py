"""A raw stub of the Open Inference Protocol, and requests to infer."""

import struct

import grpc
import numpy as np
import pytest

from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc

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


@pytest.fixture(scope="session")
def make_request():
    """The function above: `request` is pytest's own."""
    return request


@pytest.fixture
def tiny_files(tiny):
    """Makes requests with files of one pixel."""
    file = tiny.png(np.zeros((1, 1, 3), np.uint8))

    def make(count):
        return request("image_bytes", "BYTES", [count], [(struct.pack("<I", len(file)) + file) * count])

    return make
