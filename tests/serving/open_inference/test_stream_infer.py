"""`ModelStreamInfer`: order, errors in between, slow readers, and how a stream ends."""

import struct
import threading
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.events import FrameDone
from isthmus.serving.scheduling.config import SchedulerConfig

TIMEOUT_S = 30.0


def test_stream_answers_in_order_and_survives_errors(stub, tiny, make_request):
    batch = tiny.street()[None]
    good = make_request(shape=batch.shape, raw=[batch.tobytes()], id="good")
    asking = make_request(shape=batch.shape, raw=[batch.tobytes()], id="last", outputs=["labels"])
    asking.parameters["triton_enable_empty_final_response"].bool_param = True
    sent = [
        good,
        make_request(raw=[b"short"], id="bad"),
        *[good] * 8,
        make_request(model_version="9", id="other"),
        asking,
    ]
    answers = list(stub.ModelStreamInfer(iter(sent), timeout=TIMEOUT_S))
    assert [answer.infer_response.id for answer in answers] == [item.id for item in sent]
    failed = [answer.error_message for answer in answers if answer.error_message]
    assert len(failed) == 2
    assert "raw_input_contents[0]: 5 bytes" in failed[0]
    assert "version 9 is not loaded" in failed[1]
    assert answers[-2].infer_response.outputs == []
    assert answers[-1].infer_response.parameters["triton_final_response"].bool_param
    assert answers[0].infer_response.raw_output_contents[0] == tiny.expected_labels(batch).tobytes()


def test_stream_of_a_draining_server(start_server, model_file, tiny, make_request):
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    batch = tiny.street()[None]
    hold = threading.Event()

    def requests():
        yield make_request(shape=batch.shape, raw=[batch.tobytes()])
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


def test_slow_readers_answers_are_counted_and_bounded(start_server, model_file, tiny, make_request):
    scheduler = SchedulerConfig(max_waiting_bytes=12_000_000)  # one mask may wait
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, scheduler=scheduler))
    places = thread.server._pipeline.places
    told = []
    thread.server._pipeline.events.subscribe(
        SimpleNamespace(heard=lambda event: told.append(event) if isinstance(event, FrameDone) else None)
    )
    # Small files, whose masks are so large that HTTP/2 lets one or two through to a client that reads nothing.
    file = tiny.jpeg(np.zeros((1500, 2500, 3), np.uint8))
    asking = make_request("image_bytes", "BYTES", (1,), [struct.pack("<I", len(file)) + file], outputs=["labels"])
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
