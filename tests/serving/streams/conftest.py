"""A real server with an engine that the test holds, and a client's end of a stream."""

import contextlib
import dataclasses
import queue
import threading
from collections import Counter

import grpc
import numpy as np
import pytest

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import OrtEngine, Prediction
from isthmus.serving.events import FrameDone
from isthmus.serving.scheduling.config import SchedulerConfig

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
