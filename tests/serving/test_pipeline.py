"""Frames through the pipeline with an engine that the test holds: one verdict each, whatever happens."""

import asyncio
import contextlib
import gc
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import (
    DrainingError,
    EngineLostError,
    FrameExpiredError,
    FrameSupersededError,
    InvalidFrameError,
    ModelNotLoadedError,
    NoModelError,
    OverloadedError,
    QuotaExceededError,
)
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone, Events, FrameDone
from isthmus.serving.frame_record import FrameRecord
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
async def make_bench(tiny):
    async with contextlib.AsyncExitStack() as stack:

        def make(**fields):
            bench = Bench(tiny.make_card(), **fields)
            stack.push_async_callback(bench.pipeline.stop)
            return bench

        yield make


async def settled():
    """Let everything happen that can happen now, threads included."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def outcomes(tasks):
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), TIMEOUT_S)


async def test_answer_and_what_is_told(make_bench):
    bench = make_bench()
    bench.engine.gate.set()
    done, labels = await bench.call(7, left_s=60)
    assert (labels == 7).all()
    assert labels.shape == (1, *SHAPE)
    assert done.model is bench.model
    (frame,) = bench.ear.frames
    assert (frame.verdict, frame.reason_code, frame.model_version) == ("segmented", "", "1")
    assert frame.confidence_mean == pytest.approx(0.2)
    assert frame.class_fractions == (0.0, 0.0)  # label 7 is no class
    assert min(frame.decode_s, frame.queue_s, frame.infer_s, frame.encode_s) >= 0
    assert frame.total_s >= frame.infer_s
    assert 0 < frame.slack_s < 60
    await settled()
    (batch,) = bench.ear.batches
    assert (batch.num_frames, batch.padded_to, batch.error) == (1, 1, None)
    np.testing.assert_array_equal(batch.prediction.labels, labels)


async def test_batches_on_an_accelerator_are_gathered_and_padded(make_bench):
    bench = make_bench(provider="CUDAExecutionProvider")
    first = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    rest = [bench.start(value) for value in (2, 3, 4)]
    await settled()
    bench.engine.gate.set()
    answers = await outcomes([first, *rest])
    assert [int(labels[0, 0, 0]) for _, labels in answers] == [1, 2, 3, 4]
    assert bench.engine.ran == [[1], [2, 3, 4, 0]]
    await settled()
    assert [(batch.num_frames, batch.padded_to) for batch in bench.ear.batches] == [(1, 1), (3, 4)]
    assert bench.ear.batches[1].images[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert len(bench.ear.batches[1].prediction.labels) == 3


async def test_newest_frame_wins_and_costs_of_the_others_are_nil(make_bench):
    bench = make_bench()
    decoded = []

    def decode(value):
        decoded.append(value)
        return np.full((1, *SHAPE, 3), value, np.uint8)

    frames = [bench.start(1, stream="front")]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    frames.append(bench.start(2))  # the batch that is ready next, so that the slot's frames wait in the line
    await settled()
    for value in (3, 4, 5):
        frames.append(bench.start(value, stream="front", decode=lambda value=value: decode(value)))
        await asyncio.sleep(0)
    await settled()
    bench.engine.gate.set()
    results = await outcomes(frames)
    assert [type(item) for item in results[2:4]] == [FrameSupersededError] * 2
    assert int(results[4][1][0, 0, 0]) == 5
    assert decoded == [5]
    assert Counter(bench.verdicts) == {"segmented": 3, "superseded": 2}


async def test_one_batch_is_decoded_ahead_and_no_more(make_bench):
    bench = make_bench()
    decoded = []
    tasks = []
    for value in range(5):
        images = np.full((1, *SHAPE, 3), value, np.uint8)
        tasks.append(bench.start(value, decode=lambda value=value, images=images: decoded.append(value) or images))
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    await settled()
    assert decoded == [0, 1]
    bench.engine.gate.set()
    await outcomes(tasks)
    assert decoded == [0, 1, 2, 3, 4]


async def test_poison_is_isolated(make_bench):
    bench = make_bench(provider="CUDAExecutionProvider")
    first = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    rest = [bench.start(value) for value in (2, 66, 4)]
    await settled()
    bench.engine.gate.set()
    results = await outcomes([first, *rest])
    assert [int(results[i][1][0, 0, 0]) for i in (0, 1, 3)] == [1, 2, 4]
    assert isinstance(results[2], RuntimeError)
    assert bench.engine.ran == [[1], [2, 66, 4, 0], [2], [66], [4]]
    assert Counter(bench.verdicts) == {"segmented": 3, "failed": 1}
    assert [frame.reason_code for frame in bench.ear.frames if frame.verdict == "failed"] == ["INTERNAL"]
    await settled()
    assert [batch.error is None for batch in bench.ear.batches] == [True, False, True, False, True]


async def test_bad_bytes_do_not_harm_batch_mates(make_bench):
    bench = make_bench(provider="CUDAExecutionProvider")

    def broken():
        raise InvalidFrameError("cannot be decoded")

    first = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    rest = [bench.start(2), bench.start(3, decode=broken), bench.start(4)]
    await settled()
    bench.engine.gate.set()
    results = await outcomes([first, *rest])
    assert [int(results[i][1][0, 0, 0]) for i in (0, 1, 3)] == [1, 2, 4]
    assert isinstance(results[2], InvalidFrameError)
    await settled()
    assert bench.ear.batches[1].images[:, 0, 0, 0].tolist() == [2, 4]  # those that were answered
    assert bench.ear.batches[1].prediction.labels[:, 0, 0].tolist() == [2, 4]


@pytest.mark.parametrize("provider", ["CPUExecutionProvider", "CUDAExecutionProvider"])
async def test_cancelled_at_any_await_nothing_is_lost(make_bench, provider):
    bench = make_bench(provider=provider, max_batch_wait_ms=0.0)
    sent = 0
    for steps in range(1, 15):  # a call that never began is no frame
        bench.engine.gate.clear()
        slow = np.full((1, *SHAPE, 3), 3, np.uint8)
        before = [bench.start(1), bench.start(2)]
        doomed = [
            bench.start(3, decode=lambda slow=slow: slow),
            bench.start(4, stream="front"),
            bench.start(5, count=2),
        ]
        for _ in range(steps):
            await asyncio.sleep(0)
        after = [bench.start(6), bench.start(7)]
        for task in doomed:
            task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        bench.engine.gate.set()
        results = await outcomes([*before, *doomed, *after])
        sent += 8  # one call has two frames
        assert [int(results[i][1][0, 0, 0]) for i in (0, 1, 5, 6)] == [1, 2, 6, 7]
        assert [type(item) for item in results[2:5]] == [asyncio.CancelledError] * 3
        assert len(bench.ear.frames) == sent
        assert bench.pipeline.dispatcher.num_open == 0
        assert (bench.pipeline.places.requests, bench.pipeline.places.bytes) == (0, 0)
    assert Counter(bench.verdicts)["cancelled"] == 4 * 14
    bench.engine.gate.clear()
    bench.engine.gate.set()
    assert int((await bench.call(9))[1][0, 0, 0]) == 9


async def test_cancelled_frame_holds_its_place_while_the_engine_has_it(make_bench):
    bench = make_bench()
    running = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    ready, waiting = bench.start(2), bench.start(3)
    await settled()
    for task in (running, ready, waiting):
        task.cancel()
    await settled()
    assert [task.done() for task in (running, ready, waiting)] == [False, True, True]
    assert bench.pipeline.places.requests == 1
    bench.engine.gate.set()
    await outcomes([running])
    assert bench.pipeline.places.requests == 0
    assert bench.engine.ran == [[1]]
    assert bench.verdicts == ["cancelled"] * 3


async def test_expired_wherever_it_is(make_bench):
    bench = make_bench()
    running = bench.start(1, left_s=0.05)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    late = [bench.start(2, left_s=0.05), bench.start(3, left_s=0.05), bench.start(4, left_s=-1)]
    results = await outcomes(late)  # told while the engine is still busy
    assert [type(item) for item in results] == [FrameExpiredError] * 3
    bench.engine.gate.set()
    assert [type(item) for item in await outcomes([running])] == [FrameExpiredError]
    assert bench.engine.ran == [[1]]
    assert bench.verdicts == ["expired"] * 4


async def test_swap_between_batches(make_bench):
    bench = make_bench()
    running = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    ready, waiting = bench.start(2), bench.start(3)
    await settled()
    newer = HeldEngine()
    newer.gate.set()
    new = bench.make("2", newer)
    assert bench.pipeline.serve(new) is bench.model
    assert bench.pipeline.current is new
    drained = asyncio.create_task(bench.pipeline.drained(bench.model))
    await settled()
    assert not drained.done()
    bench.engine.gate.set()
    results = await outcomes([running, ready, waiting])
    await asyncio.wait_for(drained, TIMEOUT_S)
    await asyncio.wait_for(bench.pipeline.drained(bench.model), TIMEOUT_S)
    assert (bench.engine.ran, newer.ran) == ([[1]], [[2], [3]])
    assert [done.model.version for done, _ in results] == ["1", "2", "2"]
    assert [frame.model_version for frame in bench.ear.frames] == ["1", "2", "2"]


async def test_versions_beside_the_champion(make_bench):
    bench = make_bench()
    other = HeldEngine()
    other.gate.set()
    bench.engine.gate.set()
    third = bench.make("3", other)
    with pytest.raises(ModelNotLoadedError, match=r"version 3 is not loaded.*version 1\."):
        bench.pipeline.model("tiny", "3")
    bench.pipeline.also(third)
    assert bench.pipeline.model(None, "3") is third
    assert (await bench.call(5, version="3"))[0].model is third
    assert (await bench.call(6))[0].model is bench.model
    bench.engine.gate.clear()
    bench.engine.started.clear()
    running = bench.start(7)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    pinned = bench.start(8, version="3")
    await settled()
    bench.pipeline.forget(third)
    bench.engine.gate.set()
    assert [type(item) for item in await outcomes([running, pinned])] == [tuple, ModelNotLoadedError]
    assert Counter(bench.verdicts) == {"segmented": 3, "invalid": 1}


async def test_previous_is_known_as_long_as_it_is_kept(make_bench):
    bench = make_bench()
    slots, second = bench.pipeline.slots, bench.make("2", HeldEngine())
    bench.pipeline.also(second)
    assert slots.previous is None
    bench.pipeline.serve(second)
    assert slots.previous is None
    bench.pipeline.also(bench.model)
    assert slots.previous is bench.model
    assert bench.pipeline.serve(bench.model) is second  # a rollback
    bench.pipeline.also(second)
    assert slots.previous is second
    bench.pipeline.forget(second)
    assert (slots.previous, list(slots)) == (None, [bench.model])


async def test_lost_engine_answers_everybody(make_bench):
    bench = make_bench()
    running = bench.start(99)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    rest = [bench.start(2), bench.start(3), bench.start(4, stream="front")]
    await settled()
    told = []
    bench.pipeline.on_drain(lambda: told.append(1))
    bench.engine.gate.set()
    results = await outcomes([running, *rest, bench.worker])
    assert [type(item) for item in results] == [EngineLostError] * 5
    assert bench.verdicts == ["failed"] * 4
    assert {frame.reason_code for frame in bench.ear.frames} == {"ENGINE_LOST"}
    assert (told, bench.pipeline.is_ready) == ([1], False)
    with pytest.raises(DrainingError):
        await bench.call(5)


async def test_drain_finishes_what_is_there(make_bench):
    bench = make_bench()
    tasks = [bench.start(value) for value in (1, 2, 3)]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    bench.pipeline.drain()
    with pytest.raises(DrainingError):
        await bench.call(4)
    bench.engine.gate.set()
    assert all(isinstance(item, tuple) for item in await outcomes(tasks))
    assert Counter(bench.verdicts) == {"segmented": 3, "failed": 1}


async def test_stop_leaves_nobody_waiting(make_bench):
    bench = make_bench()
    tasks = [bench.start(value) for value in (1, 2, 3)]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    await settled()
    await bench.pipeline.stop()
    assert [type(item) for item in await outcomes(tasks)] == [asyncio.CancelledError] * 3
    assert bench.verdicts == ["cancelled"] * 3
    assert bench.engine.is_closed


class OnlyOne:
    @contextlib.contextmanager
    def admit(self, vehicle, service_class=None):
        assert service_class in {"live", "bulk"}
        if vehicle != "car":
            raise QuotaExceededError("used up")
        yield

    def weight(self, vehicle):
        return 1.0


async def test_bounds_and_quotas(make_bench):
    bench = make_bench(quotas=OnlyOne())
    tasks = [bench.start(value) for value in range(8)]
    await settled()
    with pytest.raises(OverloadedError):
        await bench.call(9)
    with pytest.raises(QuotaExceededError):
        await bench.call(9, vehicle="tram")
    streamed = bench.start(10, stream="front")  # a stream has a place of its own
    await settled()
    bench.engine.gate.set()
    assert all(isinstance(item, tuple) for item in await outcomes([*tasks, streamed]))
    assert Counter(bench.verdicts) == {"overloaded": 2, "segmented": 9}
    assert Counter(frame.reason_code for frame in bench.ear.frames)["QUOTA_EXCEEDED"] == 1


async def test_no_model(tiny):
    pipeline = Pipeline(ServerConfig(model_file=Path("unused")))
    assert (pipeline.current, pipeline.is_ready) == (None, False)
    with pytest.raises(NoModelError):
        pipeline.model()
    await pipeline.stop()


async def test_no_batch_is_kept_when_nothing_comes(make_bench):
    bench = make_bench()
    bench.engine.gate.set()
    await bench.call(1)
    await settled()
    bench.ear.batches.clear()
    gc.collect()
    kept = [item for item in gc.get_objects() if type(item) is Job]  # isinstance wakes torch's lazy objects
    assert kept == []


async def test_what_cannot_be_ready_in_time_is_never_begun(make_bench):
    bench = make_bench()
    latency = bench.pipeline.slots.champion.latency
    running = bench.start(1, left_s=60)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    ready = bench.start(2, left_s=60)
    await settled()
    for _ in range(3):
        latency.observe(1, 100.0, time.monotonic())  # it was said to be fast when the second was taken up
    bench.engine.gate.set()
    results = await outcomes([running, ready, bench.start(3, left_s=20)])
    assert [type(item) for item in results] == [tuple, FrameExpiredError, FrameExpiredError]
    assert bench.engine.ran == [[1]]


def test_a_verdict_is_told_once():
    events, ear = Events(), Ear()
    events.subscribe(ear)
    record = FrameRecord(events, lambda: 5.0, "Segment", "car")
    record.close(OverloadedError("full"))
    record.close()
    with record:
        record.drop(FrameExpiredError("late"))
    with contextlib.suppress(ZeroDivisionError), FrameRecord(events, lambda: 5.0, "Segment", "car"):
        _ = 1 / 0
    with FrameRecord(events, lambda: 5.0, "Segment", "car"):
        pass  # nobody came for the mask
    told = [(frame.verdict, frame.reason_code, frame.total_s, frame.slack_s) for frame in ear.frames]
    assert told == [
        ("overloaded", "OVERLOADED", 0.0, math.inf),
        ("failed", "INTERNAL", 0.0, math.inf),
        ("cancelled", "CANCELLED", 0.0, math.inf),
    ]
