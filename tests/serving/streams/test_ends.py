"""How a `StreamSegment` ends, or does not begin."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import ServerConfig

TIMEOUT_S = 30.0


def test_cancelled_stream_leaves_nothing_and_counts_everything(room, wait_until):
    camera = room.camera()
    camera.next("model")
    for number in (1, 2):
        camera.send(number)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    wait_until(lambda: room.pipeline.dispatcher._ahead is not None)
    camera.send(3)
    wait_until(lambda: room.pipeline.places.bytes == 3 * 18)
    camera.call.cancel()
    wait_until(lambda: room.pipeline.places.bytes == 18)  # the engine still has the first
    room.engine.open()
    wait_until(lambda: room.pipeline.places.streams == 0)
    assert room.verdicts == {"cancelled": 3}
    assert (room.pipeline.places.bytes, room.pipeline.dispatcher.num_open) == (0, 0)
    other = room.camera()
    other.next("model")
    other.send(1)
    assert other.next().verdict == pb.VERDICT_SEGMENTED
    other.end()


def test_draining_server_asks_to_reconnect_and_finishes(room):
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(room.thread.call, room.server.stop())
        assert "shutting down" in camera.next("reconnect").reason
        camera.send(2)
        room.engine.open()
        first, second = camera.rest()
        assert (first.sequence_number, first.verdict) == (1, pb.VERDICT_SEGMENTED)
        assert (second.sequence_number, second.verdict, second.reason_code) == (2, pb.VERDICT_FAILED, "DRAINING")
        assert camera.call.code() is grpc.StatusCode.OK
        stopping.result(TIMEOUT_S)


def test_old_stream_is_asked_to_reconnect_and_then_ended(make_room):
    room = make_room(max_stream_age_s=0.05, reconnect_grace_s=0.05)
    camera = room.camera()
    camera.next("model")
    assert camera.next("reconnect").reason == "the stream is old"
    assert list(camera.call) == []  # the client has not ended it
    assert camera.call.code() is grpc.StatusCode.OK
    assert room.pipeline.places.streams == 0


def test_streams_are_bounded(make_room):
    room = make_room(max_streams=1)
    camera = room.camera()
    camera.next("model")
    with pytest.raises(grpc.RpcError, match="1 streams are open") as caught:
        room.camera().next("model")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert camera.rest() == []


def test_without_a_model_a_stream_is_refused(start_server, registry, tmp_path):
    config = ServerConfig(model_name="none", tracking_uri=registry.uri, cache_dir=tmp_path / "c", port=0)
    with grpc.insecure_channel(start_server(config).server.address) as channel:
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        for call in (stub.StreamSegment(iter(()), timeout=TIMEOUT_S), stub.WatchModel(pb.WatchModelRequest())):
            with pytest.raises(grpc.RpcError, match="no model yet") as caught:
                next(call)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
