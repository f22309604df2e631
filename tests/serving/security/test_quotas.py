"""Token buckets and caps, under a clock that the test turns."""

import pytest
from google.rpc import error_details_pb2

from isthmus.configuration import parse_config
from isthmus.errors import NotAllowedError, QuotaExceededError, UnauthenticatedError
from isthmus.serving.errors import status_of
from isthmus.serving.security import quotas as module
from isthmus.serving.security.policy import Policy, Rulebook
from isthmus.serving.security.quotas import Quotas

A, B = "spiffe://fleet.example/vehicle/a", "spiffe://fleet.example/vehicle/b"


class Bench:
    """Quotas, the clock, and a policy that can be changed."""

    def __init__(self, others, anonymous="{allow: []}"):
        self.now = 100.0
        self.change(others, anonymous)
        self.quotas = Quotas(lambda: self.rules, lambda: self.now)

    def change(self, others, anonymous="{allow: []}"):
        self.rules = Rulebook(parse_config(f"others: {others}\nanonymous: {anonymous}", Policy))

    def frames(self, vehicle, count):
        """How many of `count` frames one after the other are admitted."""
        admitted = 0
        for _ in range(count):
            try:
                with self.quotas.admit(vehicle):
                    admitted += 1
            except QuotaExceededError:
                pass
        return admitted


def test_bucket():
    bench = Bench("{allow: [frames], max_frames_per_s: 10, burst_frames: 3}")
    assert bench.frames(A, 10) == 3  # full at the start
    bench.now += 0.25
    assert bench.frames(A, 10) == 2  # 2.5 tokens
    bench.now += 0.05
    assert bench.frames(A, 10) == 1  # the half that was left, and another half
    bench.now += 1000
    assert bench.frames(A, 10) == 3  # never fuller than full
    assert bench.frames(B, 10) == 3  # each its own


def test_burst_is_a_second_unless_it_is_given():
    assert Bench("{allow: [frames], max_frames_per_s: 7.5}").frames(A, 20) == 8
    assert Bench("{allow: [frames], max_frames_per_s: 0.1}").frames(A, 20) == 1
    assert Bench("{allow: [frames]}").frames(A, 20) == 20


def test_a_refusal_says_whose_share_and_when_to_come_back():
    bench = Bench("{allow: [frames], max_frames_per_s: 4, burst_frames: 1}")
    assert bench.frames(A, 1) == 1
    bench.now += 0.125
    with pytest.raises(QuotaExceededError, match="4 frames a second") as caught, bench.quotas.admit(A):
        pass
    assert caught.value.retry_after_s == pytest.approx(0.125)
    status = status_of(caught.value)
    assert status.code == 8  # RESOURCE_EXHAUSTED
    info, failure, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.QuotaFailure(),
        error_details_pb2.RetryInfo(),
    )
    for kind, detail in zip((info, failure, retry), status.details, strict=True):
        assert detail.Unpack(kind)
    assert info.reason == "QUOTA_EXCEEDED"
    assert [violation.subject for violation in failure.violations] == [A]
    assert retry.retry_delay.ToMilliseconds() == 125


def test_frames_at_once():
    bench = Bench("{allow: [frames], max_in_flight: 2}")
    with bench.quotas.admit(A), bench.quotas.admit(B):
        with bench.quotas.admit(A):
            with pytest.raises(QuotaExceededError, match="2 frames are in flight") as caught, bench.quotas.admit(A):
                pass
            assert caught.value.retry_after_s == 0.05
        assert bench.frames(A, 1) == 1
    with pytest.raises(ZeroDivisionError), bench.quotas.admit(A):
        raise ZeroDivisionError
    with bench.quotas.admit(A), bench.quotas.admit(A):  # a failed frame has given its place back
        pass


def test_a_refused_frame_takes_no_place():
    bench = Bench("{allow: [frames], max_frames_per_s: 1, burst_frames: 1, max_in_flight: 1}")
    assert bench.frames(A, 5) == 1
    bench.now += 1
    assert bench.frames(A, 5) == 1


def test_who_is_refused_altogether():
    bench = Bench("{allow: [watch]}")
    with pytest.raises(NotAllowedError, match=f"{A}: the policy does not allow"), bench.quotas.admit(A):
        pass
    with pytest.raises(UnauthenticatedError, match="client certificate"), bench.quotas.admit("ipv4:10.0.0.1:4000"):
        pass


def test_service_classes():
    bench = Bench("{allow: [frames], service_classes: [bulk]}")
    with bench.quotas.admit(A, "bulk"), bench.quotas.admit(A):
        pass
    with pytest.raises(NotAllowedError, match="class live"), bench.quotas.admit(A, "live"):
        pass


def test_anonymous_callers_of_one_host_share():
    bench = Bench("{allow: []}", anonymous="{allow: [frames], max_frames_per_s: 3}")
    assert [bench.frames(f"ipv4:10.0.0.1:{port}", 2) for port in (4000, 4001, 4002)] == [2, 1, 0]
    assert bench.frames("ipv4:10.0.0.2:4000", 2) == 2
    assert bench.frames("ipv6:%5B::1%5D:4000", 2) == 2
    assert bench.frames("ipv6:%5B::1%5D:4001", 2) == 1


def test_a_new_policy_counts_at_once():
    bench = Bench("{allow: [frames], max_frames_per_s: 100}")
    assert bench.frames(A, 10) == 10
    bench.change("{allow: [frames], max_frames_per_s: 1, burst_frames: 2}")
    assert bench.frames(A, 10) == 2  # of the 90 tokens that were left
    with bench.quotas.admit(B):
        bench.change("{allow: []}")
        with pytest.raises(NotAllowedError), bench.quotas.admit(B):
            pass
    bench.change("{allow: [frames], max_frames_per_s: 50, burst_frames: 5}")
    bench.now += 1
    assert bench.frames(A, 10) == 5


def test_weight():
    bench = Bench("{allow: [frames], weight: 2.5}")
    assert bench.quotas.weight(A) == 2.5
    assert bench.quotas.weight("ipv4:10.0.0.1:4000") == 1.0


def test_idle_callers_are_forgotten_and_busy_ones_are_not(monkeypatch):
    monkeypatch.setattr(module, "_SWEEP_FROM", 4)
    bench = Bench("{allow: [frames], max_frames_per_s: 1, burst_frames: 2}")
    with bench.quotas.admit("v:busy"):
        assert bench.frames("v:poor", 2) == 2
        bench.now += 1.5
        for number in range(100):
            bench.frames(f"v:{number}", 1)
            bench.now += 0.02
        bench.frames("v:poor", 0)
        assert len(bench.quotas._shares) < 100
        assert "v:busy" in bench.quotas._shares
    bench.now += 1000
    for number in range(300):
        bench.frames(f"w:{number}", 1)
        bench.now += 1.0
    assert len(bench.quotas._shares) <= 8
