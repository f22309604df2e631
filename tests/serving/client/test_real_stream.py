"""A camera's stream against the real server: in a burst, and over a restart."""

import time

import numpy as np
import pytest

from isthmus.serving.client import CameraStream, RetryConfig, StreamConfig, Verdict
from isthmus.serving.config import ServerConfig
from isthmus.serving.servicers import SegmentationServicer

pytestmark = pytest.mark.skipif(
    "StreamSegment" not in vars(SegmentationServicer), reason="this server has no streams yet"
)

CONFIG = StreamConfig(retry=RetryConfig(first_pause_s=0.01, longest_pause_s=0.05, failures_to_open=1000))
TIMEOUT_S = 30.0


def test_masks_and_verdicts(address, tiny):
    image = tiny.street()
    with CameraStream(address, "front", config=CONFIG) as stream:
        stream.send(image)
        report = stream.next_report(TIMEOUT_S)
        assert report.verdict is Verdict.SEGMENTED
        np.testing.assert_array_equal(report.segmentation.mask, tiny.expected_labels(image))
        assert report.model.name == "tiny"
        stream.send(tiny.png(image)[:-1])
        broken = stream.next_report(TIMEOUT_S)
        assert (broken.verdict, broken.reason_code) == (Verdict.INVALID, "INVALID_FRAME")
        stream.send(image)
        assert stream.next_report(TIMEOUT_S).verdict is Verdict.SEGMENTED


def test_a_server_that_stops_and_comes_back(start_server, model_file, tiny):
    first = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    image = tiny.street()
    with CameraStream(first.server.address, "front", config=CONFIG) as stream:
        stream.send(image)
        assert stream.next_report(TIMEOUT_S).verdict is Verdict.SEGMENTED
        first.call(first.server.stop())
        start_server(ServerConfig(model_file=model_file, port=first.server.port, num_threads=1))
        deadline = time.monotonic() + TIMEOUT_S
        while stream.statistics().connections < 2 and time.monotonic() < deadline:
            stream.next_report(0.01)
        stream.send(image)
        assert stream.next_report(TIMEOUT_S).verdict is Verdict.SEGMENTED


def test_a_burst_gets_one_report_each(address, tiny):
    image, reports = tiny.street(480, 640), []
    with CameraStream(address, "front", config=CONFIG, on_report=reports.append) as stream:
        for turn in range(1, 201):
            stream.send(image)
            while turn % 20 == 0 and stream.latest() is None:
                time.sleep(0.001)
    assert sorted(report.sequence_number for report in reports) == list(range(1, 201))
    known = {Verdict.SEGMENTED, Verdict.SUPERSEDED, Verdict.SUPERSEDED_HERE, Verdict.NOT_SENT}
    assert Verdict.SEGMENTED in {report.verdict for report in reports} <= known
