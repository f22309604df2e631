"""The stream on a thread of its own."""

import asyncio
import threading

import numpy as np
import pytest

from isthmus.errors import ServingError
from isthmus.serving.client import CameraStream, RetryConfig, StreamConfig, Verdict

CONFIG = StreamConfig(retry=RetryConfig(first_pause_s=0.01, longest_pause_s=0.05, failures_to_open=1000))
PICTURE = np.full((4, 6, 3), 200, np.uint8)


def test_frames_from_several_threads_get_one_report_each(scripted_thread):
    server = scripted_thread().server
    reports = []
    with CameraStream(server.address, "front", config=CONFIG, on_report=reports.append) as stream:

        def send():
            for _ in range(50):
                stream.send(PICTURE)

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stream.statistics().sent == 150
    assert sorted(report.sequence_number for report in reports) == list(range(1, 151))
    assert {report.verdict for report in reports} <= {
        Verdict.SEGMENTED,
        Verdict.SUPERSEDED_HERE,
        Verdict.NOT_SENT,
    }


def test_iteration_latest_and_the_end(scripted_thread):
    server = scripted_thread().server
    with CameraStream(server.address, config=CONFIG) as stream:
        assert stream.latest() is None
        number = stream.send(PICTURE)
        report = stream.next_report(30)
        assert (report.sequence_number, report.verdict) == (number, Verdict.SEGMENTED)
        assert stream.latest().sequence_number == number
        assert stream.model.name == "scripted"
        assert stream.next_report(0.001) is None
    assert list(stream) == []
    stream.close()  # again: nothing to do
    with pytest.raises(ServingError, match="closed"):
        stream.send(PICTURE)


def test_a_restarted_server_is_found_again(scripted_thread):
    thread = scripted_thread()
    with CameraStream(thread.server.address, config=CONFIG) as stream:
        stream.send(PICTURE)
        assert stream.next_report(30).verdict is Verdict.SEGMENTED
        thread.call(thread.server.kill())
        stream.send(PICTURE)
        thread.call(thread.server.start())
        stream.send(PICTURE)
        reports = [stream.next_report(30) for _ in range(2)]
        assert {report.sequence_number for report in reports} == {2, 3}
        stream.send(PICTURE)
        assert stream.next_report(30).verdict is Verdict.SEGMENTED


def test_unread_reports_are_bounded(nobody):
    config = StreamConfig(unread_reports=2, retry=CONFIG.retry)
    with CameraStream(nobody, config=config) as stream:
        for _ in range(10):
            stream.send(PICTURE)
    assert [report.sequence_number for report in stream] == [9, 10]
    assert stream.statistics().unread == 8


def test_a_report_that_sends_again_does_not_hold_up_the_end(nobody):
    refused = []

    def send_again(report):
        try:
            stream.send(PICTURE)
        except ServingError as error:
            refused.append(str(error))

    stream = CameraStream(nobody, config=CONFIG, on_report=send_again)
    stream.send(PICTURE)  # waits for a server until the end, and is reported then
    closing = threading.Thread(target=stream.close, args=(0.1,), daemon=True)
    closing.start()
    closing.join(4)  # below what a held-up close waits before it gives up
    assert not closing.is_alive()
    assert any("closed" in message for message in refused)


def test_a_close_that_fails_ends_the_reports_all_the_same(nobody, monkeypatch):
    stream = CameraStream(nobody, config=CONFIG)

    async def fail(timeout_s):
        raise RuntimeError("cannot")

    with monkeypatch.context() as patched:
        patched.setattr(stream._stream, "close", fail)
        with pytest.raises(RuntimeError, match="cannot"):
            stream.close()
    assert stream.next_report(30) is None
    asyncio.run_coroutine_threadsafe(stream._stream.close(0.1), stream._loop).result(30)
