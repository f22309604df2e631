"""The parts of a stream without a network: breaker, back-off, outbox, numbers, ROS, drawing."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import Circuit, FrameReport, RosTime, Verdict, color_mask, to_ros_image
from isthmus.serving.client.breaker import Backoff, CircuitBreaker
from isthmus.serving.client.journal import Journal
from isthmus.serving.client.outbox import Outbox
from isthmus.serving.client.reports import Waiting
from isthmus.serving.client.ros import to_ros_compressed_image
from isthmus.serving.client.statistics import Meter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_pauses_double_up_to_the_longest_and_begin_anew():
    backoff = Backoff(0.1, 0.5, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    backoff.reset()
    assert backoff.next_s() == 0.1


@given(st.integers(0, 40))
def test_pauses_are_drawn_below_their_bound(steps):
    backoff = Backoff(0.1, 5.0)
    for step in range(steps):
        assert 0 <= backoff.next_s() < min(5.0, 0.1 * 2**step)


def test_breaker_opens_waits_and_lets_one_through():
    clock = Clock()
    breaker = CircuitBreaker(2, 5.0, clock)
    breaker.failed()
    assert (breaker.state, breaker.wait_s()) == (Circuit.CLOSED, 0)
    breaker.failed()
    assert (breaker.state, breaker.wait_s()) == (Circuit.OPEN, 5)
    clock.now += 5
    assert (breaker.state, breaker.wait_s()) == (Circuit.OPEN, 0)
    breaker.attempt()
    assert breaker.state is Circuit.HALF_OPEN
    breaker.failed()
    assert (breaker.state, breaker.wait_s()) == (Circuit.OPEN, 5)
    clock.now += 6
    breaker.attempt()
    breaker.succeeded()
    assert (breaker.state, breaker.failures) == (Circuit.CLOSED, 0)
    breaker.failed()
    assert breaker.state is Circuit.CLOSED


@given(st.lists(st.sampled_from(["put", "take", "expire"]), max_size=40))
def test_each_frame_leaves_the_outbox_once(steps):
    outbox, left, last = Outbox(), [], None
    for step in steps:
        if step == "put":
            last, displaced = outbox.put(pb.Frame(data=b"x"), captured_at=None, max_age_s=None)
            if displaced is not None:
                assert displaced.frame is None  # its pixels are let go
                left.append(displaced)
        elif step == "take":
            taken = outbox.take()
            if taken is not None:
                assert taken is last
                left.append(taken)
        elif last is not None and outbox.remove(last):
            left.append(last)
    rest = outbox.close()
    left += [] if rest is None else [rest]
    assert [item.sequence_number for item in left] == list(range(1, outbox.count + 1))


def waiting(number=1):
    return Waiting(sequence_number=number, captured_at=None, born=0.0, max_age_s=None, frame=None)


async def test_a_second_report_is_our_own_fault():
    journal, frame = Journal(8, None), waiting()
    journal.lost(frame, "gone")
    with pytest.raises(AssertionError, match="frame 1 has its report already"):
        journal.lost(frame, "gone again")


def test_age_and_expiry():
    frame = Waiting(sequence_number=1, captured_at=None, born=10.0, max_age_s=2.0, frame=None)
    assert frame.remaining_s(11.5) == 0.5
    assert [frame.is_expired(now) for now in (11.9, 12.0)] == [False, True]
    assert not waiting().is_expired(1e9)


def test_numbers_by_hand():
    clock = Clock()
    meter = Meter(clock)
    for index in range(20):
        clock.now += 0.5
        verdict = Verdict.SEGMENTED if index % 2 else Verdict.EXPIRED
        meter.count(FrameReport(sequence_number=index, captured_at=None, verdict=verdict, round_trip_s=0.01 * index))
    assert meter.verdicts == {Verdict.SEGMENTED: 10, Verdict.EXPIRED: 10}
    assert meter.fps() == pytest.approx(1.0)  # one mask a second, over the last five
    assert meter.round_trips()[50] == pytest.approx(0.095)
    assert Meter(clock).round_trips() == {}


MASK = np.array([[0, 1, 255], [2, 2, 1]], np.uint8)


def test_ros_image():
    image = to_ros_image(MASK, stamp=1_700_000_000.25, frame_id="front_optical")
    assert (image.height, image.width, image.step, image.encoding, image.is_bigendian) == (2, 3, 3, "mono8", 0)
    assert image.data == MASK.tobytes()
    assert image.header.stamp == RosTime(1_700_000_000, 250_000_000)
    assert image.header.frame_id == "front_optical"
    assert to_ros_image(MASK, stamp=RosTime(5, 7)).header.stamp == RosTime(5, 7)
    assert to_ros_image(MASK[:, ::2], stamp=0.0).data == bytes([0, 255, 2, 1])  # rows without gaps


def test_ros_compressed_image():
    image = to_ros_compressed_image(MASK, stamp=0.0)
    assert image.format.startswith("mono8; png compressed")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(image.data, np.uint8), -1), MASK)


def test_color_mask():
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    assert color_mask(MASK, palette)[0].tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 0]]
