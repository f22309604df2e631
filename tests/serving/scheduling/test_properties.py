"""What holds for every sequence of events, under a clock that only the test moves."""

import math
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from isthmus.serving.scheduling.batching import BatchRules, form_batch
from isthmus.serving.scheduling.line import Line
from isthmus.serving.scheduling.work import Group, ServiceClass, Work

VEHICLES = ("a", "b", "c")
SECONDS = {1: 0.05, 2: 0.07, 4: 0.11, 8: 0.19}
SLACK = 60
"""Batches within which anybody who waits and does not expire has had a turn, for the most work that we let wait."""


class Scheduling(RuleBasedStateMachine):
    """A line that is fed, left and served in any order, beside the simplest book of what must have become of it."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.line = Line(bulk_share=0.25, weight_of=lambda vehicle: 2.0 if vehicle == "a" else 1.0)
        self.rules = BatchRules(max_size=4, max_wait_s=0.0, largest=8, pads=True)
        self.verdicts = Counter()
        self.offered = []
        self.waiting = {}
        self.last_of_stream = {}
        self.passed_over = Counter()

    def settle(self, work):
        self.verdicts[work] += 1
        del self.waiting[work]
        self.passed_over.pop(work, None)

    @precondition(lambda self: len(self.waiting) < 12)
    @rule(
        vehicle=st.sampled_from(VEHICLES),
        camera=st.sampled_from([None, "front", "rear"]),
        max_age=st.one_of(st.just(math.inf), st.floats(0.01, 2.0)),
        kind=st.sampled_from(list(ServiceClass)),
        shape=st.sampled_from([(4, 6), (8, 8)]),
        count=st.integers(1, 4),
    )
    def arrive(self, vehicle, camera, max_age, kind, shape, count):
        work = Work(
            vehicle=vehicle,
            service_class=kind,
            stream=None if camera is None else (vehicle, camera),
            arrived=self.now,
            deadline=self.now + max_age,
            group=Group(shape, ""),
            count=count if camera is None else 1,
        )
        self.offered.append(work)
        older = self.line.offer(work)
        if older is not None:
            assert older.stream == work.stream
            assert older in self.waiting
            self.passed_over[work] = self.passed_over[older]  # the slot has waited for so long
            self.settle(older)
        self.waiting[work] = None

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data):
        work = data.draw(st.sampled_from(list(self.waiting)))
        assert self.line.withdraw(work)
        self.settle(work)

    @rule(seconds=st.floats(0.0, 0.5))
    def let_time_pass(self, seconds):
        self.now += seconds

    @rule()
    def serve(self):
        formed = form_batch(self.line, self.rules, SECONDS.__getitem__, self.now)
        for work in formed.late:
            assert work.deadline < self.now + SECONDS[1]
            self.settle(work)
        if not formed.batch:
            assert not self.waiting
            return
        count = sum(work.count for work in formed.batch)
        assert count <= self.rules.max_size
        assert len({work.group for work in formed.batch}) == 1
        ready_at = self.now + SECONDS[self.rules.padded(count)]
        assert len(formed.batch) == 1 or all(work.deadline >= ready_at for work in formed.batch)
        for work in formed.batch:
            assert work.stream is None or work.arrived >= self.last_of_stream.get(work.stream, 0.0)
            self.last_of_stream[work.stream] = work.arrived
            self.settle(work)
        self.now += SECONDS[self.rules.padded(count)]
        for work in self.waiting:
            self.passed_over[work] += 1

    @invariant()
    def each_has_one_verdict_or_waits(self):
        assert set(self.line) == set(self.waiting)
        assert len(self.line) == len(self.waiting)
        assert all(self.verdicts[work] == (work not in self.waiting) for work in self.offered)

    @invariant()
    def one_frame_waits_in_a_slot(self):
        streams = [work.stream for work in self.waiting if work.stream is not None]
        assert len(streams) == len(set(streams))

    @invariant()
    def nobody_starves(self):
        assert all(times <= SLACK for times in self.passed_over.values())

    @invariant()
    def nothing_is_kept_of_what_is_gone(self):
        assert len(self.line._slots) + len(self.line._lanes) <= 2 * len(self.waiting)
        assert sum(map(len, self.line._lanes.values())) == len(self.waiting)

    def teardown(self):
        for _ in range(len(self.waiting) + 1):
            self.serve()
        assert not self.waiting


TestScheduling = Scheduling.TestCase
TestScheduling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
