"""How much is let in, and what becomes of it when the pipeline drains or stops."""

import asyncio
import contextlib
from collections import Counter

import pytest

from isthmus.errors import DrainingError, OverloadedError, QuotaExceededError

TIMEOUT_S = 30.0


class OnlyOne:
    @contextlib.contextmanager
    def admit(self, vehicle, service_class=None):
        assert service_class in {"live", "bulk"}
        if vehicle != "car":
            raise QuotaExceededError("used up")
        yield

    def weight(self, vehicle):
        return 1.0


async def test_bounds_and_quotas(make_bench, settled, outcomes):
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


async def test_drain_finishes_what_is_there(make_bench, outcomes):
    bench = make_bench()
    tasks = [bench.start(value) for value in (1, 2, 3)]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    bench.pipeline.drain()
    with pytest.raises(DrainingError):
        await bench.call(4)
    bench.engine.gate.set()
    assert all(isinstance(item, tuple) for item in await outcomes(tasks))
    assert Counter(bench.verdicts) == {"segmented": 3, "failed": 1}


async def test_stop_leaves_nobody_waiting(make_bench, settled, outcomes):
    bench = make_bench()
    tasks = [bench.start(value) for value in (1, 2, 3)]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    await settled()
    await bench.pipeline.stop()
    assert [type(item) for item in await outcomes(tasks)] == [asyncio.CancelledError] * 3
    assert bench.verdicts == ["cancelled"] * 3
    assert bench.engine.is_closed
