"""Frames that cannot be read, batches that fail, an engine that is lost: who is told what."""

import asyncio
from collections import Counter

import pytest

from isthmus.errors import DrainingError, EngineLostError, InvalidFrameError

TIMEOUT_S = 30.0


async def test_poison_is_isolated(make_bench, settled, outcomes):
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


async def test_bad_bytes_do_not_harm_batch_mates(make_bench, settled, outcomes):
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


async def test_lost_engine_answers_everybody(make_bench, settled, outcomes):
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
