"""What becomes of a camera's last frames when its stream is closed."""

import asyncio

import numpy as np
import pytest

from isthmus.errors import ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import AsyncCameraStream, Verdict

PICTURE = np.full((4, 6, 3), 200, np.uint8)


async def test_closing_reports_what_is_left(scripted, until_true, config):
    server = await scripted()
    server.on_frame = lambda frame, tell: None
    stream = AsyncCameraStream(server.address, config=config(max_in_flight=1))
    stream.start()
    stream.send(PICTURE)
    await until_true(lambda: server.frames)
    stream.send(PICTURE)
    await stream.close(timeout_s=0.05)
    assert {report.sequence_number: report.verdict async for report in stream} == {
        1: Verdict.LOST,
        2: Verdict.NOT_SENT,
    }
    with pytest.raises(ServingError, match="the stream is closed"):
        stream.send(PICTURE)


async def test_closing_waits_for_answers_that_are_due(scripted, until_true, say, config):
    server = await scripted()
    held = []
    server.on_frame = lambda frame, tell: held.append((frame, tell))
    stream = AsyncCameraStream(server.address, config=config())
    stream.start()
    stream.send(PICTURE)
    await until_true(lambda: held)
    closing = asyncio.create_task(stream.close(timeout_s=30))
    await asyncio.sleep(0)
    frame, tell = held.pop()
    tell(say.event(say.segmented(frame)))
    await closing
    assert [report.verdict async for report in stream] == [Verdict.SEGMENTED]


async def test_closing_ends_connections_that_still_owe_answers(scripted, until_true, config):
    server = await scripted()
    server.on_frame = lambda frame, tell: tell(pb.StreamSegmentResponse(reconnect=pb.Reconnect()))
    stream = AsyncCameraStream(server.address, config=config(answer_timeout_s=1000.0))
    stream.start()
    stream.send(PICTURE)
    await until_true(lambda: len(server.streams) == 2)
    await stream.close(timeout_s=0.01)
    assert [report.verdict async for report in stream] == [Verdict.LOST]
