"""A pipeline with an engine that the test holds, and what it told."""

import asyncio
import contextlib
import math
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import EngineLostError
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone, Events, FrameDone
from isthmus.serving.jobs import Job
from isthmus.serving.model import LoadedModel
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.scheduling.work import Group, ServiceClass

TIMEOUT_S = 30.0
SHAPE = (2, 3)


class HeldEngine:
    """Waits at a gate; answers each image's first value; fails on value 66, and for good on 99."""

    def __init__(self):
        self.ran = []
        self.sizes = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.is_closed = False

    async def infer(self, images, *, deadline=math.inf):
        values = [int(image[0, 0, 0]) for image in images]
        self.ran.append(values)
        self.sizes.append(len(images))
        self.started.set()
        await self.gate.wait()
        if 99 in values:
            raise EngineLostError("gone")
        if 66 in values:
            raise RuntimeError("poison")
        return Prediction(images[..., 0].copy(), np.full((len(images), 1, 1), 51, np.uint8))

    def close(self):
        self.is_closed = True


class Ear:
    def __init__(self):
        self.frames, self.batches = [], []

    def heard(self, event):
        {FrameDone: self.frames, BatchDone: self.batches}[type(event)].append(event)


class Bench:
    """A pipeline, its engine and what it told."""

    shape = SHAPE

    def __init__(self, card, provider="CPUExecutionProvider", quotas=None, **scheduler):
        config = ServerConfig(
            model_file=Path("unused"),
            limits=LimitsConfig(max_in_flight=8),
            scheduler=SchedulerConfig(**scheduler),
        )
        self.ear, self.events = Ear(), Events()
        self.events.subscribe(self.ear)
        self.pipeline = Pipeline(config, self.events, quotas)
        self.card, self.provider = card, provider
        self.engine = HeldEngine()
        self.model = self.make("1", self.engine)
        self.pipeline.serve(self.model)
        self.worker = self.pipeline.start()

    def make(self, version, engine):
        return LoadedModel(
            name="tiny",
            version=version,
            sha256="0" * 64,
            card=self.card,
            engine=engine,
            provider=self.provider,
            provider_fallback=False,
            from_cache=False,
        )

    async def call(self, value, *, stream=None, left_s=math.inf, version="", decode=None, count=1, vehicle="car"):
        """What a servicer does for a request; the values of its mask."""
        images = np.full((count, *SHAPE, 3), value, np.uint8)
        with self.pipeline.record("Segment", vehicle) as record:
            record.count = count
            record.deadline = record.arrived + left_s
            with self.pipeline.admission(vehicle, num_bytes=images.nbytes, in_stream=stream is not None):
                job = Job(
                    vehicle=vehicle,
                    service_class=ServiceClass.LIVE,
                    stream=stream,
                    arrived=record.arrived,
                    deadline=record.deadline,
                    group=Group(SHAPE, version),
                    count=count,
                    decode=decode or (lambda: images),
                    is_cheap=decode is None,
                )
                return await self.pipeline.answer(job, record, lambda done, facts: (done, done.prediction.labels))

    def start(self, value, **fields):
        return asyncio.create_task(self.call(value, **fields))

    @property
    def verdicts(self):
        return [frame.verdict for frame in self.ear.frames]


@pytest.fixture
def ear():
    """Hears the events of frames and batches."""
    return Ear()


@pytest.fixture
def make_engine():
    """Makes engines that wait."""
    return HeldEngine


@pytest.fixture
async def make_bench(tiny):
    async with contextlib.AsyncExitStack() as stack:

        def make(**fields):
            bench = Bench(tiny.make_card(), **fields)
            stack.push_async_callback(bench.pipeline.stop)
            return bench

        yield make


@pytest.fixture
def settled():
    """Lets everything happen that can happen now, threads included."""

    async def settle():
        for _ in range(20):
            await asyncio.sleep(0.001)

    return settle


@pytest.fixture
def outcomes():
    """What came of tasks: results and errors, in their order."""

    async def gather(tasks):
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), TIMEOUT_S)

    return gather
