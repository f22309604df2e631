"""A challenger that sees frames and never answers."""

import asyncio

import pytest

from isthmus.errors import EngineLostError
from isthmus.serving.events import Events
from isthmus.serving.swap.comparison import ShadowCompared
from isthmus.serving.swap.shadow import Shadow


class Stage:
    def __init__(self, fakes, percent=100.0):
        self.fakes, self.slots, self.events, self.told = fakes, fakes.Slots(), Events(), fakes.Listener()
        self.events.subscribe(self.told)
        self.slots.serve(fakes.model("1"))
        self.shadow = Shadow(self.slots, self.events, percent)

    def batch(self, label=0, size=1, **changes):
        self.events.tell(self.fakes.batch("1", label, size, **changes))

    async def compared(self):
        """What is there once the running comparison has ended."""
        async with asyncio.timeout(10):
            while self.shadow._task is not None:
                await asyncio.sleep(0)
        return [event for event in self.told.events if isinstance(event, ShadowCompared)]


@pytest.fixture
async def stage(fakes):
    stages = []

    def make(percent=100.0):
        stages.append(Stage(fakes, percent))
        return stages[-1]

    yield make
    for at in stages:
        await at.shadow.stop()


async def test_agreement_is_told(stage, fakes):
    at = stage()
    challenger = fakes.model("2", fakes.Engine(1))
    await at.shadow.show_to(challenger)
    at.batch(label=1)
    (first,) = await at.compared()
    assert (first.champion_version, first.challenger_version, first.agreement) == ("1", "2", 1.0)
    assert challenger.engine.shapes == [(1, 8, 8, 3)]
    batch = fakes.batch("1", 0)
    batch.prediction.labels[0, :2] = 1  # a quarter of the pixels
    at.events.tell(batch)
    batch.prediction.labels[:] = 9  # the listener must have copied what it needs
    assert (await at.compared())[-1].agreement == 0.25


async def test_its_share_of_the_frames(stage, fakes):
    at = stage(percent=25.0)
    challenger = fakes.model("2")
    await at.shadow.show_to(challenger)
    for _ in range(16):
        at.batch()
        await at.compared()
    assert len(challenger.engine.shapes) == 4


async def test_frames_that_it_has_no_time_for_are_dropped_and_counted(stage, fakes):
    at = stage()
    await at.shadow.show_to(fakes.model("2"))
    at.batch(size=3)
    at.batch()
    at.batch()
    (compared,) = await at.compared()
    assert compared.num_dropped == 4
    at.batch()
    assert (await at.compared())[-1].num_dropped == 0


async def test_a_busy_engine_is_not_disturbed(stage, fakes):
    at = stage()
    challenger = fakes.model("2")
    await at.shadow.show_to(challenger)
    at.slots.at_rest.clear()
    at.batch()
    assert await at.compared() == []
    assert challenger.engine.shapes == []
    at.slots.at_rest.set()
    at.batch()
    assert [event.num_dropped for event in await at.compared()] == [1]


async def test_nothing_is_shown_of_failures_or_to_the_champion_itself(stage, fakes):
    at = stage()
    challenger = fakes.model("1")
    at.batch()
    await at.shadow.show_to(challenger)
    at.batch()
    at.batch(prediction=None)
    assert await at.compared() == []
    assert challenger.engine.shapes == []


@pytest.mark.parametrize("error", [RuntimeError("bad"), EngineLostError("gone")])
async def test_a_challenger_that_fails_sees_no_more(stage, fakes, caplog, error):
    at = stage()
    challenger = fakes.model("2", fakes.Engine(fails=error))
    await at.shadow.show_to(challenger)
    at.batch()
    assert await at.compared() == []
    assert (at.shadow.model, at.shadow.gave_up, challenger.engine.closed) == (None, "2", True)
    assert "challenger 2 failed on a frame" in caplog.text
    at.batch()
    assert len(challenger.engine.shapes) == 1


async def test_another_challenger_takes_its_place(stage, fakes):
    at = stage()
    first, second = fakes.model("2"), fakes.model("3")
    await at.shadow.show_to(first)
    at.batch()
    await at.shadow.show_to(second)
    assert first.engine.closed
    at.batch()
    assert [event.challenger_version for event in await at.compared()] == ["2", "3"]
