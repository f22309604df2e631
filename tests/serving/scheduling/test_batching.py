"""Which work runs together, how long a free engine waits, and what it learns about its own pace."""

import math

import pytest

from isthmus.serving.scheduling.batching import BatchRules, form_batch, wait_s
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.scheduling.latency import Latency, Smoothed
from isthmus.serving.scheduling.line import Line
from isthmus.serving.scheduling.work import Group, ServiceClass, Work

GPU = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


def rules(provider=GPU, largest=8, **fields):
    return BatchRules.of(SchedulerConfig(**fields), provider, largest)


def filled(*works):
    line = Line(bulk_share=0.1, weight_of=lambda vehicle: 1.0)
    for each in works:
        line.offer(each)
    return line


def work(deadline=math.inf, shape_hw=(4, 6), count=1, arrived=0.0, version=""):
    return Work(
        vehicle="car",
        service_class=ServiceClass.LIVE,
        arrived=arrived,
        deadline=deadline,
        group=Group(shape_hw, version),
        count=count,
    )


def seconds(size):
    return 1.0 + 0.5 * size


def test_rules_of_a_cpu_and_of_a_gpu():
    assert rules(CPU) == BatchRules(1, 0.0, 8, pads=False)
    assert rules(GPU) == BatchRules(8, 0.002, 8, pads=True)
    assert rules(CPU, max_batch_size=16, max_batch_wait_ms=5.0) == BatchRules(8, 0.005, 8, pads=False)


@pytest.mark.parametrize(("largest", "sizes"), [(8, [1, 2, 4, 4, 8, 8, 8, 8]), (6, [1, 2, 4, 4, 6, 6])])
def test_padding(largest, sizes):
    assert [rules(GPU, largest).padded(count) for count in range(1, len(sizes) + 1)] == sizes
    assert [rules(CPU, largest).padded(count) for count in range(1, 9)] == list(range(1, 9))


def test_batch_is_of_one_group_and_in_order():
    first, other, second = work(1e3), work(1.5e3, shape_hw=(9, 9)), work(2e3)
    line = filled(first, other, second, work(version="3"))
    formed = form_batch(line, rules(), seconds, start=0.0)
    assert (formed.batch, formed.late) == ([first, second], [])
    assert len(line) == 2


def test_what_cannot_be_ready_is_dropped():
    late, just = work(1.49), work(1.5)
    formed = form_batch(filled(late, just), rules(), seconds, start=0.0)
    assert (formed.batch, formed.late) == ([just], [late])


def test_batch_does_not_grow_past_anybodys_deadline():
    hurried, *rest = work(2.1), work(3e3), work(3e3), work(3e3)
    line = filled(hurried, *rest)
    formed = form_batch(line, rules(), seconds, start=0.0)  # two take 2.0 s, three count as four and take 3.0 s
    assert len(formed.batch) == 2
    assert formed.batch[0] is hurried
    assert len(form_batch(line, rules(), seconds, start=2.0).batch) == 2


def test_a_requests_own_batch_runs_whole():
    large, small = work(1e3, count=8), work(2e3)
    line = filled(large, small)
    assert form_batch(line, rules(CPU), seconds, start=0.0).batch == [large]
    assert form_batch(line, rules(CPU), seconds, start=0.0).batch == [small]
    line = filled(work(1e3, count=3), work(2e3, count=6), small)
    assert [each.count for each in form_batch(line, rules(), seconds, start=0.0).batch] == [3, 1]


def test_nothing_waits_nothing_forms():
    formed = form_batch(filled(), rules(), seconds, start=0.0)
    assert (formed.batch, formed.late) == ([], [])


@pytest.mark.parametrize(
    ("works", "now", "expected"),
    [
        ([work(arrived=1.0)], 1.0, 0.002),
        ([work(arrived=1.0)], 1.0015, 0.0005),
        ([work(arrived=1.0)], 1.5, 0.0),
        ([work(arrived=1.0, deadline=2.501)], 1.0, 0.001),  # ready at 2.5 if it starts now
        ([work(arrived=1.0, deadline=1.2)], 1.0, 0.0),
        ([work(arrived=1.0) for _ in range(8)], 1.0, 0.0),
        ([work(arrived=1.0, count=8)], 1.0, 0.0),
    ],
)
def test_how_long_a_free_engine_waits(works, now, expected):
    assert wait_s(filled(*works), rules(), seconds, now) == pytest.approx(expected)
    assert wait_s(filled(*works), rules(CPU), seconds, now) == 0


def test_latency_is_a_line_through_the_medians():
    latency = Latency()
    assert latency.expect(4) == 0
    for size in (1, 2, 4):
        for wrong in (0.0, 0.0, 0.0, 30.0, 0.0):  # one slow batch changes nothing
            latency.observe(size, 0.01 + 0.002 * size + wrong, now=0.0)
    assert [latency.expect(size) for size in (1, 2, 4, 8)] == pytest.approx([0.012, 0.014, 0.018, 0.026])


def test_one_known_size_is_read_with_care():
    latency = Latency({2: 0.02})
    assert [latency.expect(size) for size in (1, 2, 4)] == pytest.approx([0.02, 0.02, 0.04])


def test_neither_part_is_negative():
    assert Latency({1: 0.02, 8: 0.01}).expect(4) == pytest.approx(0.015)
    assert Latency({1: 0.01, 2: 0.04}).expect(4) == pytest.approx(0.025 / 1.5 * 4)


def test_old_estimate_refuses_nobody():
    latency = Latency({1: 9.0})
    assert latency.promise(1, now=0.0) == 0
    latency.observe(1, 9.0, now=5.0)
    assert latency.promise(1, now=5.9) == 9.0
    assert latency.promise(1, now=6.1) == 0
    assert latency.expect(1) == 9.0


def test_one_size_does_not_make_another_look_slow():
    latency = Latency()
    latency.observe(8, 2.0, now=0.0)  # the GPU prepared itself
    for now in (0.1, 5.0, 9.9):
        latency.observe(1, 0.01, now)
    assert latency.promise(1, now=10.0) == 0.01
    assert latency.promise(8, now=10.0) == pytest.approx(0.08)  # by what single frames take
    latency.observe(8, 0.02, now=10.0)
    assert latency.promise(8, now=10.1) == 0.02
    assert latency.promise(4, now=10.1) == pytest.approx(0.01 + 3 / 7 * 0.01)


def test_three_batches_are_believed_longer_than_one():
    latency = Latency()
    for now in (0.0, 0.1, 0.2):
        latency.observe(8, 0.068, now)
    for now in (1.0, 5.0, 14.0, 16.0):
        latency.observe(1, 0.005, now)
        promised = 0.068 if now < 15 else 0.04
        assert latency.promise(8, now) == pytest.approx(promised)


def test_larger_batches_bound_smaller_ones_and_the_reverse():
    latency = Latency()
    for now in (0.0, 0.1, 0.2):
        latency.observe(8, 0.02, now)
    latency.observe(1, 0.65, now=0.3)
    assert latency.promise(1, now=0.4) == 0.02
    for now in (2.0, 2.1, 2.2):
        latency.observe(1, 0.05, now)  # the machine has become slower
    assert latency.promise(8, now=2.3) == 0.05


def test_a_warm_start_helps_sizes_that_have_not_come_yet():
    latency = Latency({1: 0.01, 8: 0.012})
    latency.observe(1, 0.01, now=5.0)
    assert latency.promise(8, now=5.1) == 0.012


def test_warm_start_is_outvoted():
    latency = Latency({1: 9.0})
    for now in range(3):
        latency.observe(1, 0.01, now)
    assert latency.expect(1) == 0.01
    assert Latency(latency.medians).expect(1) == 0.01


def test_smoothed_seconds_and_what_they_seldom_exceed():
    steady, wild = Smoothed(), Smoothed()
    for turn in range(100):
        steady.observe(0.01, turn)
        wild.observe(0.02 * (turn % 2), turn)
    assert steady.seconds == pytest.approx(0.01)
    assert steady.at_most == pytest.approx(0.01, rel=1e-3)
    assert wild.seconds == pytest.approx(0.01, abs=0.003)
    assert wild.at_most > 0.03


def test_no_work_is_refused_by_a_mean_that_nothing_confirms():
    slow = Smoothed()
    assert slow.promise(0.0) == 0.0
    for _ in range(100):
        slow.observe(5.0, 10.0)
    assert slow.promise(10.5) == pytest.approx(5.0)
    assert slow.promise(11.5) == 0.0
    assert slow.seconds == pytest.approx(5.0)
