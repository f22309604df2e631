"""The Open Inference Protocol through tritonclient, in a process of its own."""

import subprocess
import sys

import numpy as np

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
