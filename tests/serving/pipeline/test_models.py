"""Which model answers: swaps between batches, versions beside the champion, no model at all."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from isthmus.errors import ModelNotLoadedError, NoModelError
from isthmus.serving.config import ServerConfig
from isthmus.serving.pipeline import Pipeline

TIMEOUT_S = 30.0


async def test_swap_between_batches(make_bench, settled, outcomes, make_engine):
    bench = make_bench()
    running = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    ready, waiting = bench.start(2), bench.start(3)
    await settled()
    newer = make_engine()
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
    assert sorted(frame.model_version for frame in bench.ear.frames) == ["1", "2", "2"]


async def test_versions_beside_the_champion(make_bench, settled, outcomes, make_engine):
    bench = make_bench()
    other = make_engine()
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


async def test_previous_is_known_as_long_as_it_is_kept(make_bench, make_engine):
    bench = make_bench()
    slots, second = bench.pipeline.slots, bench.make("2", make_engine())
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


async def test_no_model(tiny):
    pipeline = Pipeline(ServerConfig(model_file=Path("unused")))
    assert (pipeline.current, pipeline.is_ready) == (None, False)
    with pytest.raises(NoModelError):
        pipeline.model()
    await pipeline.stop()
