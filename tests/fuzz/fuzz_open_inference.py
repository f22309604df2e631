"""Throws broken ModelInfer requests at the Open Inference Protocol's reader; libFuzzer, by atheris, breaks them.

    PYTHONSAFEPATH=1 .venv/bin/python tests/fuzz/fuzz_open_inference.py -runs=20000 -seed=1
    PYTHONSAFEPATH=1 .venv/bin/python tests/fuzz/fuzz_open_inference.py -max_total_time=3600 FOLDER

Arguments are libFuzzer's. The bytes are read as a message, as they would come off the wire. A message that is one must
be refused with `InvalidFrameError` or `FrameTooLargeError`, or give exactly the pictures that it says, within the caps.
"""

import math
import struct
import sys
import tempfile
from pathlib import Path

import atheris
import cv2
import numpy as np
from google.protobuf.message import DecodeError

with atheris.instrument_imports(include=["isthmus.serving.codec", "isthmus.serving.oip_requests"]):
    from isthmus.errors import FrameTooLargeError, InvalidFrameError
    from isthmus.protos.inference import open_inference_pb2 as pb
    from isthmus.serving.config import LimitsConfig
    from isthmus.serving.engine import Prediction
    from isthmus.serving.oip_requests import pictures_of, requested_outputs, timeout_s, write_outputs

LIMITS = LimitsConfig(max_frame_pixels=128 * 128, max_batch_size=4)


def one_input(data: bytes) -> None:
    """Read `data`; an exception that is none of the two ends the run with the bytes kept."""
    request = pb.ModelInferRequest()
    try:
        request.ParseFromString(data)
    except DecodeError:  # gRPC itself refuses it
        return
    try:
        outputs = requested_outputs(request)
        seconds = timeout_s(request)
        pictures = pictures_of(request, LIMITS, 32 * 32, math.inf)
        images = pictures.decode()
    except (InvalidFrameError, FrameTooLargeError):
        return
    assert seconds > 0
    assert images.dtype == np.uint8
    assert images.shape == (pictures.count, *pictures.shape_hw, 3)
    assert pictures.count <= LIMITS.max_batch_size
    assert images.shape[0] * images.shape[1] * images.shape[2] <= LIMITS.max_frame_pixels
    response = pb.ModelInferResponse()
    write_outputs(response, Prediction(images[..., 0], images[:, ::2, ::2, 0]), outputs)
    assert [tensor.name for tensor in response.outputs] == list(outputs)


def seeds() -> list[bytes]:
    """Good requests of both kinds, and some that are nearly good."""
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)
    files = [cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png") for picture in image]
    elements = b"".join(struct.pack("<I", len(file)) + file for file in files)
    good = _request("image", "UINT8", image.shape, image.tobytes())
    timed = _request("image_bytes", "BYTES", [len(files)], elements)
    timed.parameters["timeout"].int64_param = 1000
    timed.outputs.add(name="labels")
    typed = _request("image", "UINT8", [1, 1, 1, 3], b"")
    typed.inputs[0].contents.uint_contents.extend([1, 2, 3])
    odd = _request("image", "UINT8", [2**31, 2**31, 2**31, 3], b"abc")
    return [message.SerializeToString() for message in (good, timed, typed, odd)]


def _request(name: str, datatype: str, shape: object, data: bytes) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="street", raw_input_contents=[data])
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    return request


def main() -> None:
    """Run libFuzzer on the seeds and on the folders that are named."""
    with tempfile.TemporaryDirectory() as name:
        for number, data in enumerate(seeds()):
            (Path(name) / f"{number}").write_bytes(data)
        folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
        # What is found goes to the first folder: one of the caller's, if there is one.
        atheris.Setup([sys.argv[0], *options, *folders, name], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
