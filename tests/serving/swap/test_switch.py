"""Which model answers: swaps, trials, ways back, and what is freed when; with fake models and events."""

import asyncio

import pytest

from isthmus.serving.events import Change, Events, ModelChanged
from isthmus.serving.swap.config import GuardConfig, SwapConfig
from isthmus.serving.swap.guard import objection
from isthmus.serving.swap.live import LiveRecord
from isthmus.serving.swap.switch import Switch

GUARD = GuardConfig(min_frames=20)


class Stage:
    """A switch on fakes: model 1 has served 100 good frames."""

    def __init__(self, fakes, config=None):
        self.fakes, self.clock, self.slots, self.events = fakes, fakes.Clock(), fakes.Slots(), Events()
        self.told, self.returns = fakes.Listener(), []
        self.events.subscribe(self.told)
        self.switch = Switch(
            self.slots, self.events, config or SwapConfig(guard=GUARD), self.returns.append, self.clock
        )
        self.one, self.two, self.three = (fakes.model(version) for version in "123")
        self.switch.begin(self.one)
        self.frames("1", 100)

    def frames(self, version, count, **changes):
        for _ in range(count):
            self.events.tell(self.fakes.frame(version, **changes))

    def failures(self, version, count):
        for _ in range(count):
            self.events.tell(self.fakes.batch(version, prediction=None, error=RuntimeError("no kernel")))

    def changes(self):
        return [event for event in self.told.events if isinstance(event, ModelChanged)]


@pytest.fixture
def stage(fakes):
    return lambda config=None: Stage(fakes, config)


async def settled():
    """Let everything happen that has been scheduled."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_swap_keeps_the_model_before_it_addressable(stage):
    at = stage()
    at.switch.swap(at.two, seconds=1.5)
    assert (at.slots.current, at.switch.previous, at.slots.others) == (at.two, at.one, {"1": at.one})
    assert at.changes() == [ModelChanged(change=Change.SWAPPED, model_version="2", seconds=1.5)]
    assert not at.one.engine.closed
    await at.switch.stop()


async def test_a_third_model_frees_the_first(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.switch.swap(at.three, seconds=0)
    await settled()
    assert (at.one.engine.closed, at.two.engine.closed) == (True, False)
    assert at.slots.others == {"2": at.two}
    await at.switch.stop()


async def test_the_model_before_is_freed_in_time_once_no_batch_of_it_runs(stage):
    at = stage(SwapConfig(keep_previous_s=0, guard=GuardConfig(window_s=0)))
    at.slots.at_rest.clear()
    at.switch.swap(at.two, seconds=0)
    await settled()
    assert (at.switch.previous, at.slots.others) == (None, {})
    assert not at.one.engine.closed
    at.slots.at_rest.set()
    await settled()
    assert at.one.engine.closed
    await at.switch.stop()


async def test_room_is_made_only_after_the_trial(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.switch.make_room()
    assert at.switch.previous is at.one
    at.clock.now = GUARD.window_s + 1
    at.switch.make_room()
    await settled()
    assert (at.switch.previous, at.one.engine.closed) == (None, True)
    await at.switch.stop()


async def test_keeping_ends(stage):
    at = stage(SwapConfig(keep_previous_s=0.001, guard=GuardConfig(window_s=0)))
    at.switch.swap(at.two, seconds=0)
    async with asyncio.timeout(10):
        while not at.one.engine.closed:
            await asyncio.sleep(0)
    assert at.switch.previous is None
    await at.switch.stop()


@pytest.mark.parametrize(
    ("changes", "count", "reason"),
    [
        ({"infer_s": 0.021}, 20, "up to 21.0 ms in the engine, those of version 1 10.0 ms; 2 times"),
        ({"confidence_mean": 0.64}, 20, "mean confidence is 0.64, that of version 1 was 0.80"),
        ({"confidence_mean": 0.96}, 20, "mean confidence is 0.96"),
    ],
)
async def test_the_server_goes_back_from_a_bad_model(stage, changes, count, reason):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.frames("2", count - 1, **changes)
    await settled()
    assert at.slots.current is at.two
    at.frames("2", 1, **changes)
    assert at.slots.current is at.two  # not in the middle of what told it
    await settled()
    assert (at.slots.current, at.switch.previous) == (at.one, None)
    assert (at.one.engine.closed, at.two.engine.closed) == (False, True)
    change = at.changes()[-1]
    assert (change.change, change.model_version) == (Change.ROLLED_BACK, "1")
    assert reason in change.reason
    assert [(event.gave_up, event.back_to) for event in at.returns] == [(at.two, at.one)]
    at.frames("1", 50, **changes)
    await settled()
    assert at.slots.current is at.one  # there is nothing to go back to
    await at.switch.stop()


async def test_failures_in_the_engine_are_looked_at_at_once(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.failures("2", 2)
    await settled()
    assert at.slots.current is at.one
    assert at.changes()[-1].reason == "the engine failed 2 times in 2, 2.0% may"
    await at.switch.stop()


async def test_frames_that_fail_outside_the_engine_are_no_fault_of_the_model(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.frames("2", 100, verdict="failed")  # as while the server drains
    await settled()
    assert at.slots.current is at.two
    await at.switch.stop()


def test_a_batch_that_runs_again_frame_by_frame_counts_once(fakes):
    new = LiveRecord("2")
    new.heard(fakes.batch("2", size=8, prediction=None, error=RuntimeError("odd frame")))
    new.heard(fakes.batch("2", prediction=None, error=RuntimeError("odd frame")))
    assert new.num_failed == 2


def test_a_new_model_may_fail_as_often_as_the_old_one(fakes):
    old, new = LiveRecord("1"), LiveRecord("2")
    for live, count in ((old, 5), (new, 6)):
        for at in range(100):
            failed = {"prediction": None, "error": RuntimeError("odd frame")}
            live.heard(fakes.batch(live.version, **failed) if at < count else fakes.frame(live.version))
    assert objection(new, old, GUARD) == ""
    for _ in range(3):
        new.heard(fakes.batch("2", prediction=None, error=RuntimeError("odd frame")))
    assert "the engine failed 9 times in 103, 7.0% may" in objection(new, old, GUARD)


async def test_a_good_model_stays(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.frames("2", 200, infer_s=0.019, confidence_mean=0.94)
    at.failures("2", 4)
    at.frames("2", 50, verdict="expired", infer_s=9.0)
    at.failures("1", 50)  # the one before, addressed by its version
    await settled()
    assert at.slots.current is at.two
    await at.switch.stop()


async def test_after_the_trial_nothing_goes_back(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.clock.now = GUARD.window_s + 1
    assert not at.switch.on_trial
    at.failures("2", 100)
    await settled()
    assert at.slots.current is at.two
    await at.switch.stop()


async def test_a_window_of_nothing_never_goes_back(stage):
    at = stage(SwapConfig(guard=GuardConfig(window_s=0)))
    at.switch.swap(at.two, seconds=0)
    at.failures("2", 100)
    await settled()
    assert at.slots.current is at.two
    await at.switch.stop()


async def test_a_swap_that_comes_before_the_way_back_wins(stage):
    at = stage()
    at.switch.swap(at.two, seconds=0)
    at.failures("2", 10)
    at.switch.swap(at.three, seconds=0)
    await settled()
    assert (at.slots.current, at.returns) == (at.three, [])
    await at.switch.stop()


def test_few_frames_say_nothing_but_failures_do(fakes):
    old, new = LiveRecord("1"), LiveRecord("2")
    for _ in range(19):
        old.heard(fakes.frame("1"))
        new.heard(fakes.frame("2", infer_s=9.0, confidence_mean=0.1))
    assert objection(new, old, GUARD) == ""
    new.heard(fakes.batch("2", prediction=None, error=RuntimeError("no kernel")))
    assert "the engine failed 1 times in 20" in objection(new, old, GUARD)


def test_a_rise_that_no_clock_shows_is_none(fakes):
    old, new = LiveRecord("1"), LiveRecord("2")
    for _ in range(20):
        old.heard(fakes.frame("1", infer_s=0.001))
        new.heard(fakes.frame("2", infer_s=0.005))
    assert objection(new, old, GUARD) == ""


def test_frames_without_times_or_confidences_say_nothing(fakes):
    old, new = LiveRecord("1"), LiveRecord("2")
    for _ in range(20):
        old.heard(fakes.frame("1", infer_s=None, confidence_mean=None))
        new.heard(fakes.frame("2"))
    assert objection(new, old, GUARD) == ""


def test_what_is_live(fakes):
    clock = fakes.Clock(10.0)
    live = LiveRecord("1", clock)
    assert (live.busy, live.usual_shape, live.frame_sizes(2)) == (False, None, [])
    for size, hw in ((1, (8, 8)), (2, (4, 8)), (2, (4, 8)), (4, (4, 8)), (1, (2, 2))):
        live.heard(fakes.batch("1", size=size, hw=hw, infer_s=float(size)))
    live.heard(fakes.batch("2", hw=(9, 9)))
    live.heard(fakes.batch("1", hw=(9, 9), prediction=None))
    shape = live.usual_shape
    assert (shape.size, shape.height, shape.width) == (2, 4, 8)
    assert live.seconds_of(shape, since=10.0) == [2.0, 2.0]
    assert live.frame_sizes(1) == [(4, 8)]
    assert live.busy
    clock.now += 1.0
    assert not live.busy
    assert live.seconds_of(shape, since=live.now()) == []
