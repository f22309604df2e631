"""The line before the engine: order, cancellation, deadlines, failures."""

import asyncio
import math

import numpy as np
import pytest

from isthmus.errors import DrainingError, EngineLostError, FrameExpiredError, OverloadedError
from isthmus.serving.engine import Prediction
from isthmus.serving.scheduler import Scheduler

IMAGES = np.zeros((1, 2, 2, 3), np.uint8)


class FakeEngine:
    """Remembers what ran; waits at a gate."""

    def __init__(self, failure=None):
        self.ran = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.failure = failure

    async def infer(self, images):
        self.ran.append(int(images[0, 0, 0, 0]))
        self.started.set()
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return Prediction(images[..., 0], images[..., 0])

    def close(self):
        pass


@pytest.fixture
async def scheduler():
    scheduler = Scheduler(2)
    scheduler.start()
    yield scheduler
    await scheduler.stop()


def marked(number):
    return np.full((1, 2, 2, 3), number, np.uint8)


async def test_first_in_first_out(scheduler):
    engine = FakeEngine()
    engine.gate.set()
    results = await asyncio.gather(*(scheduler.infer(engine, marked(i), math.inf) for i in range(5)))
    assert engine.ran == [0, 1, 2, 3, 4]
    assert [int(item.prediction.labels[0, 0, 0]) for item in results] == [0, 1, 2, 3, 4]
    assert all(item.queue_s >= 0 and item.infer_s >= 0 for item in results)


async def test_cancelled_work_leaves_the_line_at_once(scheduler):
    engine = FakeEngine()
    first = asyncio.create_task(scheduler.infer(engine, marked(1), math.inf))
    await engine.started.wait()
    second = asyncio.create_task(scheduler.infer(engine, marked(2), math.inf))
    third = asyncio.create_task(scheduler.infer(engine, marked(3), math.inf))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    assert [int(work.images[0, 0, 0, 0]) for work in scheduler._line] == [3]
    engine.gate.set()
    await asyncio.gather(first, third)
    assert engine.ran == [1, 3]


@pytest.mark.parametrize("failure", [None, RuntimeError("nobody hears this")])
async def test_caller_cancelled_while_its_work_runs_keeps_its_place(scheduler, failure):
    engine = FakeEngine(failure)

    async def call():
        with scheduler.admission():
            await scheduler.infer(engine, marked(1), math.inf)

    first = asyncio.create_task(call())
    await engine.started.wait()
    first.cancel()
    await asyncio.sleep(0)
    with scheduler.admission(), pytest.raises(OverloadedError), scheduler.admission():
        pass
    engine.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    engine.failure = None
    assert int((await scheduler.infer(engine, marked(2), math.inf)).prediction.labels[0, 0, 0]) == 2


async def test_expired_work_never_reaches_the_engine(scheduler):
    engine = FakeEngine()
    with pytest.raises(FrameExpiredError):
        await scheduler.infer(engine, IMAGES, -math.inf)
    assert engine.ran == []


async def test_work_that_expires_in_the_engine_is_not_answered():
    now = [100.0]
    scheduler, engine = Scheduler(2, clock=lambda: now[0]), FakeEngine()
    scheduler.start()
    for ends_at, in_time in ((104.9, True), (105.0, False)):
        now[0], engine.gate, engine.started = 100.0, asyncio.Event(), asyncio.Event()
        work = asyncio.create_task(scheduler.infer(engine, IMAGES, 105.0))
        await engine.started.wait()
        now[0] = ends_at
        engine.gate.set()
        if in_time:
            result = await work
            assert (result.queue_s, result.infer_s) == (0.0, pytest.approx(4.9))
        else:
            with pytest.raises(FrameExpiredError):
                await work
    await scheduler.stop()


async def test_failure_belongs_to_its_own_work(scheduler):
    broken, sound = FakeEngine(RuntimeError("CUDA error")), FakeEngine()
    broken.gate.set()
    sound.gate.set()
    with pytest.raises(RuntimeError, match="CUDA error"):
        await scheduler.infer(broken, IMAGES, math.inf)
    assert (await scheduler.infer(sound, IMAGES, math.inf)).prediction.labels.shape == (1, 2, 2)


async def test_lost_engine_ends_all_work():
    scheduler, engine = Scheduler(3), FakeEngine(EngineLostError("gone"))
    worker = scheduler.start()
    running = asyncio.create_task(scheduler.infer(engine, marked(1), math.inf))
    await engine.started.wait()
    waiting = asyncio.create_task(scheduler.infer(engine, marked(2), math.inf))
    await asyncio.sleep(0)
    engine.gate.set()
    for call in (running, waiting, worker, scheduler.infer(engine, marked(3), math.inf)):
        with pytest.raises(EngineLostError, match="gone"):
            await call
    with pytest.raises(DrainingError), scheduler.admission():
        pass
    assert engine.ran == [1]
    await scheduler.stop()


async def test_admission_is_bounded_and_given_back(scheduler):
    with scheduler.admission(), scheduler.admission(), pytest.raises(OverloadedError), scheduler.admission():
        pass
    with scheduler.admission(), scheduler.admission():
        pass


async def test_stop_cancels_what_waits():
    scheduler, engine = Scheduler(2), FakeEngine()
    scheduler.start()
    running = asyncio.create_task(scheduler.infer(engine, marked(1), math.inf))
    await engine.started.wait()
    waiting = asyncio.create_task(scheduler.infer(engine, marked(2), math.inf))
    await asyncio.sleep(0)
    await scheduler.stop()
    outcomes = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(item) for item in outcomes] == [asyncio.CancelledError] * 2
