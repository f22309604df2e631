"""Frames of a camera's stream that become too old, on this side and on the server's."""

import time

import numpy as np

from isthmus.serving.client import AsyncCameraStream, Verdict

PICTURE = np.full((4, 6, 3), 200, np.uint8)


async def test_frames_expire_while_nobody_answers(nobody, config, report_of):
    async with AsyncCameraStream(nobody, config=config(max_age_s=0.01)) as stream:
        stream.send(PICTURE)
        report = await report_of(stream)
        assert (report.verdict, report.reason) == (
            Verdict.EXPIRED_HERE,
            "it became too old before it could be sent",
        )
        stream.send(PICTURE, captured_at=time.time() - 60, max_age_s=10)
        assert (await report_of(stream)).verdict is Verdict.EXPIRED_HERE


async def test_the_server_gets_the_time_that_is_left(scripted, until_true, config, report_of):
    server = await scripted()
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE, captured_at=time.time() - 40, max_age_s=100)
        await report_of(stream)
    left = server.frames[0].max_age
    assert 20 < left.seconds + left.nanos / 1e9 <= 60


async def test_a_mask_that_comes_too_late_is_still_the_latest(
    scripted, until_true, say, monkeypatch, config, report_of
):
    server = await scripted()
    held = []
    server.on_frame = lambda frame, tell: held.append((frame, tell))
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE, max_age_s=30)
        await until_true(lambda: held)
        monkeypatch.setattr("isthmus.serving.client.reports.Waiting.is_expired", lambda self, now: True)
        frame, tell = held.pop()
        tell(say.event(say.segmented(frame)))
        report = await report_of(stream)
        assert (report.verdict, report.segmentation) == (Verdict.EXPIRED_HERE, None)
        latest = stream.latest()
        assert latest.segmentation.mask.tolist() == [[0] * 6] * 4
        assert 0 <= latest.age_s < 30
        assert stream.latest(max_age_s=0.0) is None
