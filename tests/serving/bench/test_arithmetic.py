"""Due times, accounts and slopes: numbers that a reader can compute."""

import asyncio
import itertools
import random

import pytest

from isthmus.serving.bench.rows import slope
from isthmus.serving.bench.schedule import due_times, paced
from isthmus.serving.bench.tally import CANCELLED, LOST, SEGMENTED, Tally, together


class Clock:
    def __init__(self):
        self.now = 100.0

    def read(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


def test_cameras_keep_their_rate_with_jitter_and_phases_of_their_own():
    times = due_times(10.0, 5.0, random.Random(1))
    assert len(times) in (49, 50, 51)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 5
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 0.09 <= min(steps) < max(steps) <= 0.11
    assert times == due_times(10.0, 5.0, random.Random(1))
    assert times != due_times(10.0, 5.0, random.Random(2))


def test_bursts_keep_the_average():
    times = due_times(10.0, 50.0, random.Random(3), burst=5)
    assert abs(len(times) - 500) <= 5
    assert all(len(set(times[at : at + 5])) == 1 for at in range(0, len(times), 5))


async def drive(stall_at, stall_s, times=(0.0, 1.0, 2.0, 3.0)):
    """A camera whose connection takes frames at once, save one; answers come 0.1 s after a frame was handed over."""
    clock, tally = Clock(), Tally(budget_s=0.5)
    start, number = clock.now, 0
    async for due in paced(times, start, clock.read, clock.sleep):
        number += 1
        tally.due("car", number, due, clock.now)
        if number == stall_at:
            clock.now += stall_s
        tally.told("car", number, SEGMENTED, clock.now + 0.1)
    return tally.outcome(4.0)


async def test_a_stall_is_paid_by_every_frame_that_was_due_meanwhile():
    smooth = await drive(stall_at=0, stall_s=0.0)
    assert (smooth.within_budget, smooth.goodput, smooth.late) == (4, 1.0, 0)
    assert smooth.percentiles_ms()["p99.9"] == pytest.approx(100, rel=0.002)
    # Frame 1 is held up for 2.5 s: frames 2 and 3 are sent at 2.5 s, 1.5 and 0.5 s after they were due.
    stalled = await drive(stall_at=1, stall_s=2.5)
    assert (stalled.masks, stalled.within_budget, stalled.late) == (4, 1, 3)
    latencies = stalled.percentiles_ms()
    assert latencies["p50"] == pytest.approx(600, rel=0.002)
    assert latencies["p99.9"] == pytest.approx(2600, rel=0.002)
    assert stalled.lags_ms()["p99.9"] == pytest.approx(1500, rel=0.002)


def tally_of(*verdicts, budget_s=1.0):
    tally = Tally(budget_s)
    for number, (verdict, due, answered) in enumerate(verdicts):
        tally.due("car", number, due, due)
        if verdict is not None:
            tally.told("car", number, verdict, answered)
    return tally


def test_goodput_counts_masks_within_the_budget_only():
    outcome = tally_of(
        (SEGMENTED, 0.0, 0.5),
        (SEGMENTED, 0.0, 2.0),
        ("EXPIRED", 0.0, 0.1),
        (CANCELLED, 0.0, 0.1),
        (SEGMENTED, 1.0, 2.0),
    ).outcome(2.0)
    assert outcome.verdicts == {SEGMENTED: 3, "EXPIRED": 1, CANCELLED: 1}
    assert (outcome.offered, outcome.goodput, outcome.late) == (2.5, 1.0, 2)
    assert outcome.throughput == pytest.approx(2 / 1.5)
    assert outcome.longest_gap_s == 1.5
    assert outcome.one_verdict_each


def test_a_missing_verdict_and_a_second_one_are_seen():
    silent = tally_of((SEGMENTED, 0.0, 0.5), (None, 0.0, 0.0)).outcome(1.0)
    assert silent.verdicts == {SEGMENTED: 1, LOST: 1}
    assert not silent.one_verdict_each
    twice = tally_of((SEGMENTED, 0.0, 0.5))
    twice.told("car", 0, "EXPIRED", 0.6)
    twice.told("other car", 0, SEGMENTED, 0.6)
    outcome = twice.outcome(1.0)
    assert (outcome.stray, outcome.masks, outcome.one_verdict_each) == (2, 1, False)


def test_rounds_become_one():
    both = together(
        [
            tally_of((SEGMENTED, 0.0, 1.0), (SEGMENTED, 0.0, 2.0)).outcome(2.0),
            tally_of((SEGMENTED, 50.0, 50.1), (SEGMENTED, 50.0, 54.1), ("EXPIRED", 50.0, 51.0)).outcome(2.0),
        ]
    )
    assert (both.due, both.seconds, both.within_budget) == (5, 4.0, 2)
    assert both.verdicts == {SEGMENTED: 4, "EXPIRED": 1}
    assert both.longest_gap_s == pytest.approx(4.0)
    assert both.percentiles_ms()["p99"] == pytest.approx(4100, rel=0.002)
    assert both.throughput == pytest.approx(3 / 5)
    assert both.one_verdict_each


def test_no_mask_has_no_percentiles():
    outcome = tally_of(("EXPIRED", 0.0, 0.1)).outcome(1.0)
    assert outcome.percentiles_ms() == {}
    assert outcome.throughput == 0.0


def test_slope_of_memory():
    assert slope([(0.0, 100.0), (1.0, 102.0), (2.0, 104.0)]) == pytest.approx(2.0)
    assert slope([(0.0, 5.0), (1.0, 9.0), (2.0, 5.0)]) == pytest.approx(0.0)
