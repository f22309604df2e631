"""What a candidate must show on this machine; engines and clock are fakes."""

import pytest

from isthmus.errors import ContractError, EngineLostError, ModelRefusedError
from isthmus.serving.config import LimitsConfig
from isthmus.serving.swap import checks
from isthmus.serving.swap.checks import check_speed, sizes_to_warm, warm_up
from isthmus.serving.swap.live import LiveRecord

GPU = "CUDAExecutionProvider"


@pytest.fixture
def clock(fakes, monkeypatch):
    clock = fakes.Clock()
    monkeypatch.setattr(checks.time, "perf_counter", clock)
    return clock


@pytest.mark.parametrize(("largest", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_batch_sizes(largest, sizes):
    assert sizes_to_warm(largest, GPU) == sizes


async def test_every_batch_size_is_warmed(fakes, clock):
    model = fakes.model("2", fakes.Engine(seconds=0.5, clock=clock), provider=GPU)
    assert await warm_up(model, LimitsConfig(max_batch_size=4)) == {1: 0.5, 2: 0.5, 4: 0.5}
    sizes = [shape[0] for shape in model.engine.shapes]
    assert sizes == [1, 1, 2, 2, 4, 4]  # the first of a shape is not timed
    assert {shape[1:] for shape in model.engine.shapes} == {(48, 64, 3)}  # the network's own size


async def test_frames_that_come_decide_what_is_warmed(fakes):
    live = LiveRecord("1", fakes.Clock())
    for hw in ((8, 8), (4, 4), (4, 4), (6, 6), (6, 6), (6, 6)):
        live.heard(fakes.batch("1", hw=hw))
    live.heard(fakes.batch("1", size=3, hw=(6, 6)))
    model = fakes.model("2")
    await warm_up(model, LimitsConfig(), live)
    assert model.engine.shapes == [(1, 6, 6, 3), (3, 6, 6, 3), (1, 4, 4, 3), (3, 4, 4, 3)]


async def test_a_model_that_fails_on_a_batch_is_refused(fakes):
    model = fakes.model("2", fakes.Engine(fails=RuntimeError("no kernel")))
    with pytest.raises(ContractError, match=r"fails on 1 frames of 64 x 48: no kernel.*--max-batch-size"):
        await warm_up(model, LimitsConfig())
    lost = fakes.model("2", fakes.Engine(fails=EngineLostError("gone")))
    with pytest.raises(EngineLostError):
        await warm_up(lost, LimitsConfig())


@pytest.mark.parametrize(("seconds", "serves"), [(0.150, True), (0.151, False)])
async def test_at_rest_both_are_measured_in_turns(fakes, clock, seconds, serves):
    current = fakes.model("1", fakes.Engine(seconds=0.1, clock=clock))
    candidate = fakes.model("2", fakes.Engine(seconds=seconds, clock=clock))
    if serves:
        await check_speed(candidate, current, LiveRecord("1"), 1.5 + 1e-9)
    else:
        with pytest.raises(ModelRefusedError, match=r"takes 151.0 ms, version 1 takes 100.0 ms, and 1.5 times"):
            await check_speed(candidate, current, LiveRecord("1"), 1.5)
    assert len(current.engine.shapes) == len(candidate.engine.shapes) == 5


async def test_beside_frames_the_current_model_is_left_alone(fakes, clock):
    live = LiveRecord("1", lambda: 0.0)
    for _ in range(5):
        live.heard(fakes.batch("1", size=2, hw=(4, 6), infer_s=0.001))
    current = fakes.model("1")
    candidate = fakes.model("2", fakes.Engine(seconds=0.010, clock=clock))
    with pytest.raises(ModelRefusedError, match=r"a batch of 2 takes 10.0 ms, version 1 takes 1.0 ms"):
        await check_speed(candidate, current, live, 1.5)
    assert (current.engine.shapes, set(candidate.engine.shapes)) == ([], {(2, 4, 6, 3)})


async def test_only_frames_that_came_beside_the_candidate_count(fakes, clock):
    live = LiveRecord("1", clock)
    for _ in range(50):
        live.heard(fakes.batch("1", size=2, hw=(4, 6), infer_s=0.001))  # before the check, the machine at rest
    clock.now += 0.5
    current = fakes.model("1", fakes.Engine(seconds=0.010, clock=clock))
    candidate = fakes.model("2", fakes.Engine(seconds=0.010, clock=clock))
    await check_speed(candidate, current, live, 1.5)  # else: 10 ms against 1 ms
    assert len(current.engine.shapes) == 5


async def test_too_few_frames_to_compare_with(fakes, clock):
    live = LiveRecord("1", lambda: 0.0)
    live.heard(fakes.batch("1", infer_s=1e-6))
    current = fakes.model("1", fakes.Engine(seconds=0.010, clock=clock))
    candidate = fakes.model("2", fakes.Engine(seconds=0.010, clock=clock))
    await check_speed(candidate, current, live, 1.5)
    assert len(current.engine.shapes) == 5


async def test_milliseconds_are_no_slowdown(fakes, clock):
    current = fakes.model("1", fakes.Engine(seconds=0.001, clock=clock))
    await check_speed(fakes.model("2", fakes.Engine(seconds=0.005, clock=clock)), current, LiveRecord("1"), 1.5)
