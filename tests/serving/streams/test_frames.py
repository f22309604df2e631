"""Frames of a `StreamSegment`: their order, whose place they take, and what bad ones are told."""

import math

import pytest
from google.protobuf import duration_pb2

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.identity import is_named, payer_of
from isthmus.serving.streams import CameraStream

TIMEOUT_S = 30.0


def test_first_the_model_then_each_frame_in_order(room, wait_until):
    room.engine.open()
    camera = room.camera()
    model = camera.next("model")
    assert (model.name, model.version) == ("tiny", "1")
    for number in (3, 4, 9):
        camera.send(number)
        result = camera.next()
        assert (result.sequence_number, result.camera_id, result.verdict) == (number, "front", pb.VERDICT_SEGMENTED)
        assert (result.model_version, result.label_space_id) == ("1", "0123456789ab")
        assert result.mask == bytes([number]) * 6
        assert result.timings.infer_us > 0
    assert camera.rest() == []
    wait_until(lambda: len(room.ear.frames) == 3)
    assert {frame.rpc for frame in room.ear.frames} == {"StreamSegment"}


def test_newest_frame_wins_and_each_gets_its_answer(room, wait_until):
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    camera.send(2)
    wait_until(lambda: room.pipeline.dispatcher._ahead is not None)
    for number in (3, 4, 5):
        camera.send(number)
    wait_until(lambda: room.pipeline.places.bytes == 3 * 18)  # 1 runs, 2 is ready, 5 waits
    room.engine.open()
    results = camera.rest()
    assert [item.sequence_number for item in results] == [1, 2, 3, 4, 5]
    assert [item.verdict for item in results] == [
        pb.VERDICT_SEGMENTED,
        pb.VERDICT_SEGMENTED,
        pb.VERDICT_SUPERSEDED,
        pb.VERDICT_SUPERSEDED,
        pb.VERDICT_SEGMENTED,
    ]
    assert results[2].reason_code == "FRAME_SUPERSEDED"
    assert room.engine.ran == [1, 2, 5]
    assert room.verdicts == {"segmented": 3, "superseded": 2}


def test_cameras_do_not_replace_each_other(room, wait_until):
    cameras = [room.camera(name) for name in ("front", "rear", "left")]
    for camera in cameras:
        camera.next("model")
        camera.send(1)
    wait_until(lambda: room.pipeline.places.bytes == 3 * 18)
    room.engine.open()
    for camera in cameras:
        assert [item.verdict for item in camera.rest()] == [pb.VERDICT_SEGMENTED]


def test_unnamed_vehicles_behind_one_connection_do_not_replace_each_others_frames(room, wait_until):
    cameras = [room.camera("front") for _ in range(5)]
    for camera in cameras:
        camera.next("model")
        camera.send(1)
    wait_until(lambda: room.pipeline.places.bytes == 5 * 18 and room.pipeline.dispatcher.num_waiting == 3)
    payers = room.on_loop(lambda: {job.vehicle for job in room.pipeline.dispatcher._line})
    assert [payer.rpartition(":")[2] for payer in payers] == ["*"]
    room.engine.open()
    for camera in cameras:
        assert [item.verdict for item in camera.rest()] == [pb.VERDICT_SEGMENTED]


@pytest.mark.parametrize("is_known", [True, False])
def test_whose_frames_share_a_place_and_an_account(is_known):
    names = ["spiffe://fleet/17" if is_known else "ipv4:10.0.0.7:4000"] * 2
    streams = [CameraStream(None, name, math.inf) for name in names]
    front, rear = pb.Frame(camera_id="front"), pb.Frame(camera_id="rear")
    assert (streams[0]._slot_of(front) == streams[1]._slot_of(front)) is is_known
    assert streams[0]._slot_of(front) == streams[0]._slot_of(front) != streams[0]._slot_of(rear)
    assert [payer_of(name) for name in names] == (names if is_known else ["ipv4:10.0.0.7:*"] * 2)
    assert is_named(payer_of(names[0])) is is_known


BAD = {
    "bytes": ({"data": b"short"}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.data"),
    "encoding": ({"encoding": 0}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.encoding"),
    "class": ({"service_class": 9}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.service_class"),
    "file": ({"encoding": pb.FRAME_ENCODING_JPEG, "data": b"no"}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.data"),
    "size": ({"width": 5000, "height": 5000}, pb.VERDICT_INVALID, "FRAME_TOO_LARGE", "frame.width"),
    "camera": ({"camera_id": "rear"}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.camera_id"),
    "number": ({"sequence_number": 1}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.sequence_number"),
    "no age": ({"max_age": duration_pb2.Duration()}, pb.VERDICT_INVALID, "INVALID_FRAME", "frame.max_age"),
    "too old": ({"max_age": duration_pb2.Duration(nanos=1)}, pb.VERDICT_EXPIRED, "FRAME_EXPIRED", "deadline passed"),
    "poison": ({"data": bytes([66]) * 18}, pb.VERDICT_FAILED, "INTERNAL", "the server failed"),
}


def test_bad_frames_never_end_the_stream(room, caplog):
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert camera.next().verdict == pb.VERDICT_SEGMENTED
    for number, (fields, verdict, code, words) in enumerate(BAD.values(), start=2):
        camera.send(number, **fields)
        result = camera.next()
        assert (result.verdict, result.reason_code, result.mask) == (verdict, code, b"")
        assert words in result.reason
        assert "secret" not in result.reason
    camera.send(100)
    assert camera.next().verdict == pb.VERDICT_SEGMENTED
    assert camera.rest() == []
    assert "secret path" in caplog.text
    assert [line.camera for line in caplog.records if "failed" in line.message] == ["front"]
    assert {frame.camera for frame in room.ear.frames} == {"front"}
    assert room.verdicts == {"segmented": 2, "invalid": 8, "expired": 1, "failed": 1}


def test_bulk_frames_are_marked(room):
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    camera.send(1, service_class=pb.SERVICE_CLASS_BULK)
    camera.next()
    camera.end()
    assert [frame.service_class for frame in room.ear.frames] == ["bulk"]
