"""The line before the engine: slots, turns, classes, fairness."""

import itertools
import math
from collections import Counter

import pytest

from isthmus.serving.scheduling.fairness import DEFAULT_SLACK, Shares
from isthmus.serving.scheduling.line import PATIENCE_S, Line
from isthmus.serving.scheduling.work import Group, ServiceClass, Work

GROUP = Group((4, 6), "")


def line(bulk_share=0.1, **weights):
    return Line(bulk_share=bulk_share, weight_of=lambda vehicle: weights.get(vehicle, 1.0))


def work(vehicle="car", stream=None, arrived=0.0, deadline=math.inf, **fields):
    fields = {"service_class": ServiceClass.LIVE, "group": GROUP, **fields}
    return Work(vehicle=vehicle, stream=stream, arrived=arrived, deadline=deadline, **fields)


def drained(waiting):
    """All work, in the order in which it is taken."""
    taken = []
    while (best := waiting.best()) is not None:
        waiting.take(best)
        taken.append(best)
    return taken


def test_earliest_deadline_first_then_arrival():
    waiting = line()
    given = [work(deadline=deadline) for deadline in (0.9, 0.3, 0.5, 0.3)]
    for each in given:
        assert waiting.offer(each) is None
    assert drained(waiting) == [given[1], given[3], given[2], given[0]]
    assert len(waiting) == 0


def test_newer_frame_takes_the_place_of_the_waiting_one():
    waiting = line()
    old, other, new = work(stream="front", deadline=0.1), work(deadline=0.2), work(stream="front", deadline=0.4)
    waiting.offer(old)
    waiting.offer(other)
    assert waiting.offer(new) is old
    assert drained(waiting) == [new, other]  # it keeps the older frame's turn
    assert waiting.offer(work(stream="front")) is None


def test_withdrawn_work_is_gone():
    waiting = line()
    given = [work(stream="front"), work()]
    for each in given:
        waiting.offer(each)
    assert waiting.withdraw(given[0])
    assert not waiting.withdraw(given[0])
    assert waiting.offer(work(stream="front", deadline=0)) is None
    assert len(waiting) == 2


def test_late_work_is_dropped_wherever_it_stands():
    waiting = line()
    given = [work(deadline=deadline) for deadline in (2.0, 5.0, 1.0)]
    for each in given:
        waiting.offer(each)
    assert set(waiting.drop_late(2.0)) == {given[2]}  # exactly in time is in time
    assert set(waiting) == set(given[:2])


def test_busiest_camera_has_its_turn():
    waiting = line()
    arrivals = itertools.count()
    for step in range(40):
        waiting.offer(work(stream="busy", arrived=step, deadline=step + 10))
        waiting.offer(work(arrived=step, deadline=step + 9, vehicle="car"))
        taken = waiting.best()
        waiting.take(taken)
        if taken.stream == "busy":
            break
        next(arrivals)
    assert next(arrivals) <= 3  # its own newest deadline is always the latest


def test_work_without_deadline_has_its_turn():
    waiting = line()
    patient = work()
    waiting.offer(patient)
    now = 0.0
    for _ in range(100):
        now += 0.1
        waiting.offer(work(arrived=now, deadline=now + 0.2))
        taken = waiting.best()
        waiting.take(taken)
        if taken is patient:
            break
    assert now <= PATIENCE_S + 0.2


def test_vehicles_share_by_weight():
    waiting = line(heavy=3.0)
    served = Counter()
    for name in ("hog", "meek", "heavy"):
        for _ in range(100):
            waiting.offer(work(name, deadline=0.0 if name == "hog" else 1.0))  # the hog is always in a hurry
    for _ in range(100):
        best = waiting.best()
        waiting.take(best)
        served[best.vehicle] += 1
    assert abs(served["hog"] - served["meek"]) <= DEFAULT_SLACK + 1
    assert abs(served["heavy"] - 3 * served["meek"]) <= 3 * (DEFAULT_SLACK + 1)


def test_staying_away_earns_nothing():
    shares = Shares(lambda vehicle: 1.0)
    for _ in range(50):
        shares.charge("worker", 1, ["worker"])
    assert shares.had("guest") >= shares.had("worker") - 1
    shares.charge("guest", 4, ["guest", "worker"])
    assert shares.eligible(["guest", "worker"]) == {"worker"}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_bulk_gets_its_share_and_no_more(share):
    waiting = line(bulk_share=share)
    served = Counter()
    for _ in range(400):
        waiting.offer(work(deadline=0.0))
        waiting.offer(work(service_class=ServiceClass.BULK))
    for _ in range(300):
        best = waiting.best()
        waiting.take(best)
        served[best.service_class] += 1
    assert served[ServiceClass.BULK] == pytest.approx(share * served[ServiceClass.LIVE], abs=2)


def test_bulk_saves_no_credit_while_nothing_bulk_waits():
    waiting = line(bulk_share=0.5)
    for _ in range(20):
        waiting.offer(work())
        waiting.take(waiting.best())
    waiting.offer(work(service_class=ServiceClass.BULK))
    live = work()
    waiting.offer(live)
    assert waiting.best() is live


def test_group_and_room_filter():
    waiting = line()
    small, large = work(group=Group((1, 1), "")), work(count=4, deadline=0.0)
    waiting.offer(small)
    waiting.offer(large)
    assert waiting.best() is large
    assert waiting.best(small.group) is small
    assert waiting.best(GROUP, room=3) is None
