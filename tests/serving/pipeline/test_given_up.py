"""Frames that nobody waits for any more, or that come too late: one verdict each, and no place held."""

import asyncio
import contextlib
import math
import time
from collections import Counter

import numpy as np
import pytest

from isthmus.errors import FrameExpiredError, OverloadedError
from isthmus.serving.events import Events
from isthmus.serving.frame_record import FrameRecord

TIMEOUT_S = 30.0


@pytest.mark.parametrize("provider", ["CPUExecutionProvider", "CUDAExecutionProvider"])
async def test_cancelled_at_any_await_nothing_is_lost(make_bench, provider, outcomes):
    bench = make_bench(provider=provider, max_batch_wait_ms=0.0)
    sent = 0
    for steps in range(1, 15):  # a call that never began is no frame
        bench.engine.gate.clear()
        slow = np.full((1, *bench.shape, 3), 3, np.uint8)
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


async def test_cancelled_frame_holds_its_place_while_the_engine_has_it(make_bench, settled, outcomes):
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


async def test_expired_wherever_it_is(make_bench, outcomes):
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


async def test_what_cannot_be_ready_in_time_is_never_begun(make_bench, settled, outcomes):
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


def test_a_camera_with_a_long_name_is_cut(ear):
    events = Events()
    events.subscribe(ear)
    record = FrameRecord(events, lambda: 5.0, "Segment", "car")
    record.name_camera("front" * 1000)
    record.close()
    (frame,) = ear.frames
    assert frame.camera == ("front" * 1000)[:64]


def test_a_verdict_is_told_once(ear):
    events = Events()
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
