"""`StreamSegment` and `WatchModel` on a real server with an engine that the test holds."""

import contextlib
import dataclasses
import gc
import math
import queue
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.protobuf import duration_pb2

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import OrtEngine, Prediction
from isthmus.serving.events import Change, FrameDone, ModelChanged
from isthmus.serving.identity import is_named, payer_of
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.streams import CameraStream

TIMEOUT_S = 30.0


class GateEngine(OrtEngine):
    """Answers each image's first value, on the engine's thread, when the gate is open; fails on value 66."""

    def __init__(self):
        super().__init__(session=None)
        self.running = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.ran = []

    def infer_now(self, images):
        self.ran.append(int(images[0, 0, 0, 0]))
        self.running.release()
        assert self.gate.acquire(timeout=TIMEOUT_S)
        if 66 in images:
            raise RuntimeError("the secret path /srv")
        return Prediction(images[..., 0].copy(), np.full((len(images), 1, 1), 200, np.uint8))

    def open(self, times=1_000):
        self.gate.release(times)


class Ear:
    def __init__(self):
        self.frames = []

    def heard(self, event):
        if isinstance(event, FrameDone):
            self.frames.append(event)


class Room:
    """A server, its engine, what it told, and how to change its model."""

    def __init__(self, thread):
        self.thread, self.server, self.ear = thread, thread.server, Ear()
        self.pipeline = thread.server._pipeline
        self.pipeline.events.subscribe(self.ear)
        self.channel = grpc.insecure_channel(self.server.address)
        self.stub = segmentation_pb2_grpc.SegmentationServiceStub(self.channel)
        self.engine = self.swap("1")

    def on_loop(self, work):
        async def call():
            return work()

        return self.thread.call(call())

    def swap(self, version):
        """Serve a model of this version with an engine of its own."""
        engine = GateEngine()
        model = dataclasses.replace(self.pipeline.current, version=version, engine=engine)
        self.on_loop(lambda: self.pipeline.serve(model))
        return engine

    def camera(self, camera_id="front"):
        return Camera(self.stub, camera_id)

    @property
    def verdicts(self):
        return Counter(frame.verdict for frame in self.ear.frames)


class Camera:
    """A client's end of a stream."""

    def __init__(self, stub, camera_id):
        self.camera_id = camera_id
        self._requests = queue.SimpleQueue()
        self.call = stub.StreamSegment(iter(self._requests.get, None), timeout=TIMEOUT_S)

    def send(self, number, value=None, **fields):
        data = bytes([number if value is None else value]) * (2 * 3 * 3)
        frame = {"encoding": pb.FRAME_ENCODING_RGB8, "width": 3, "height": 2, "data": data} | fields
        frame = pb.Frame(**{"camera_id": self.camera_id, "sequence_number": number, **frame})
        self._requests.put(pb.StreamSegmentRequest(frame=frame))

    def end(self):
        self._requests.put(None)

    def next(self, kind="result"):
        event = next(self.call)
        assert event.WhichOneof("event") == kind, event
        return getattr(event, kind)

    def rest(self):
        self.end()
        return [getattr(event, event.WhichOneof("event")) for event in self.call]


@pytest.fixture
def make_room(start_server, model_file):
    with contextlib.ExitStack() as stack:

        def make(**scheduler):
            scheduler = {"reconnect_grace_s": 30.0, **scheduler}
            config = ServerConfig(
                model_file=model_file,
                port=0,
                num_threads=1,
                scheduler=SchedulerConfig(**scheduler),
                drain_timeout_s=5.0,
            )
            room = Room(start_server(config))
            stack.callback(room.channel.close)
            return room

        yield make


@pytest.fixture
def room(make_room):
    return make_room()


def until(condition):
    for _ in range(int(TIMEOUT_S / 0.005)):
        if condition():
            return
        threading.Event().wait(0.005)
    pytest.fail("never came true")


def test_first_the_model_then_each_frame_in_order(room):
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
    until(lambda: len(room.ear.frames) == 3)
    assert {frame.rpc for frame in room.ear.frames} == {"StreamSegment"}


def test_newest_frame_wins_and_each_gets_its_answer(room):
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    camera.send(2)
    until(lambda: room.pipeline.dispatcher._ahead is not None)
    for number in (3, 4, 5):
        camera.send(number)
    until(lambda: room.pipeline.places.bytes == 3 * 18)  # 1 runs, 2 is ready, 5 waits
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


def test_cameras_do_not_replace_each_other(room):
    cameras = [room.camera(name) for name in ("front", "rear", "left")]
    for camera in cameras:
        camera.next("model")
        camera.send(1)
    until(lambda: room.pipeline.places.bytes == 3 * 18)
    room.engine.open()
    for camera in cameras:
        assert [item.verdict for item in camera.rest()] == [pb.VERDICT_SEGMENTED]


def test_unnamed_vehicles_behind_one_connection_do_not_replace_each_others_frames(room):
    cameras = [room.camera("front") for _ in range(5)]
    for camera in cameras:
        camera.next("model")
        camera.send(1)
    until(lambda: room.pipeline.places.bytes == 5 * 18 and room.pipeline.dispatcher.num_waiting == 3)
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
    assert room.verdicts == {"segmented": 2, "invalid": 8, "expired": 1, "failed": 1}


def test_swap_is_announced_before_the_first_mask_of_the_new_model(room):
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    camera.send(2)
    until(lambda: room.pipeline.places.bytes == 2 * 18)
    newer = room.swap("2")
    newer.open()
    room.engine.open()
    assert camera.next().model_version == "1"
    assert camera.next("model").version == "2"
    assert camera.next().model_version == "2"
    camera.send(3)
    assert camera.next().model_version == "2"
    assert camera.rest() == []


def test_slow_reader_loses_the_oldest_masks_but_no_verdict(make_room):
    room = make_room(outbox_size=2)
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    # Masks so large that HTTP/2 lets only the first few through to a client that reads nothing.
    height, width = 1000, 3000
    data = bytes(height * width * 3)
    for number in range(1, 15):
        camera.send(number, data=data, height=height, width=width)
        until(lambda number=number: len(room.engine.ran) == number)
    camera.send(15)
    until(lambda: len(room.engine.ran) == 15)
    # What waits: one mask that is being sent, and in the outbox one and the small one of the last frame.
    until(lambda: 0 < room.pipeline.places.bytes - 2 * height * width < 1000)
    gc.collect()
    kept = [item for item in gc.get_objects() if type(item) is Prediction and item.labels.size == height * width]
    assert kept == [], "predictions must not wait for the reader"
    results = camera.rest()
    assert [item.sequence_number for item in results] == list(range(1, 16))
    counts = Counter(item.verdict for item in results)
    assert counts.keys() == {pb.VERDICT_SEGMENTED, pb.VERDICT_SUPERSEDED}
    assert results[-1].verdict == pb.VERDICT_SEGMENTED
    assert "reads too slowly" in next(item for item in results if item.verdict == pb.VERDICT_SUPERSEDED).reason
    assert room.verdicts == {"segmented": counts[pb.VERDICT_SEGMENTED], "superseded": counts[pb.VERDICT_SUPERSEDED]}
    until(lambda: room.pipeline.places.bytes == 0)


def test_slow_readers_masks_are_bounded_in_all(make_room):
    room = make_room(max_waiting_bytes=20_000_000)
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    height, width = 1000, 3000
    for number in range(1, 9):
        camera.send(number, data=bytes(height * width * 3), height=height, width=width)
        # Masks may hold half of the limit; the next frame needs the place of this one's pixels.
        until(lambda number=number: len(room.engine.ran) == number and room.pipeline.places.bytes <= 10_000_000)
    counts = Counter((item.verdict, item.reason_code) for item in camera.rest())
    assert counts[pb.VERDICT_OVERLOADED, "OVERLOADED"] > 0
    assert counts[pb.VERDICT_SEGMENTED, ""] >= 3
    until(lambda: room.pipeline.places.bytes == 0)


def test_cancelled_stream_leaves_nothing_and_counts_everything(room):
    camera = room.camera()
    camera.next("model")
    for number in (1, 2):
        camera.send(number)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    until(lambda: room.pipeline.dispatcher._ahead is not None)
    camera.send(3)
    until(lambda: room.pipeline.places.bytes == 3 * 18)
    camera.call.cancel()
    until(lambda: room.pipeline.places.bytes == 18)  # the engine still has the first
    room.engine.open()
    until(lambda: room.pipeline.places.streams == 0)
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


def test_watch_tells_of_each_change(room):
    watch = room.stub.WatchModel(pb.WatchModelRequest(), timeout=TIMEOUT_S)
    first = next(watch)
    assert (first.change, first.model.version) == (pb.MODEL_CHANGE_CURRENT, "1")
    assert first.changed_at.seconds > 0
    room.swap("2")
    told = (
        ModelChanged(change=Change.SWAPPED, model_version="2"),
        ModelChanged(change=Change.REFUSED, model_version="2", reason="wrong digest", refused_version="3"),
    )
    for event in told:
        room.on_loop(lambda event=event: room.pipeline.events.tell(event))
    second, third = next(watch), next(watch)
    assert (second.change, second.model.version) == (pb.MODEL_CHANGE_SWAPPED, "2")
    assert (third.change, third.model.version) == (pb.MODEL_CHANGE_REFUSED, "2")
    assert (third.reason, third.refused_version) == ("wrong digest", "3")
    room.on_loop(room.pipeline.drain)
    assert list(watch) == []


def test_model_info_names_previous_and_challenger(room):
    before = room.pipeline.current
    room.swap("2")
    room.on_loop(lambda: room.pipeline.also(before))
    room.pipeline.slots.shadowed = lambda: dataclasses.replace(before, version="3")
    info = room.stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S)
    assert (info.model.version, info.previous.version, info.challenger.version) == ("2", "1", "3")
    room.on_loop(lambda: room.pipeline.forget(before))
    info = room.stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S)
    assert not info.HasField("previous")


def test_bulk_frames_are_marked(room):
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    camera.send(1, service_class=pb.SERVICE_CLASS_BULK)
    camera.next()
    camera.end()
    assert [frame.service_class for frame in room.ear.frames] == ["bulk"]
