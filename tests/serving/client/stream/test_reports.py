"""What a camera's stream reports of frames that were answered or refused, and who hears of it."""

import math

import numpy as np
import pytest
from google.protobuf import timestamp_pb2

from isthmus.errors import FrameTooLargeError, InvalidFrameError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import AsyncCameraStream, Circuit, Purpose, Verdict
from isthmus.serving.config import LimitsConfig

PICTURE = np.full((4, 6, 3), 200, np.uint8)


async def test_a_frame_comes_back_as_a_mask(scripted, tiny, config, report_of):
    server = await scripted()
    image = tiny.street()
    async with AsyncCameraStream(server.address, "front", config=config(purpose=Purpose.BULK)) as stream:
        number = stream.send(image, captured_at=1_700_000_000.25, tag=PICTURE)
        report = await report_of(stream)
        assert (report.sequence_number, report.verdict, report.captured_at) == (
            number,
            Verdict.SEGMENTED,
            1_700_000_000.25,
        )
        np.testing.assert_array_equal(report.segmentation.mask, tiny.expected_labels(image))
        assert report.model.version == stream.model.version == "1"
        assert report.round_trip_s > 0
        assert report.tag is stream.latest().tag is PICTURE
        (frame,) = server.frames
        assert (frame.camera_id, frame.sequence_number, frame.service_class) == ("front", 1, pb.SERVICE_CLASS_BULK)
        assert frame.captured_at == timestamp_pb2.Timestamp(seconds=1_700_000_000, nanos=250_000_000)
        assert not frame.HasField("max_age")
        numbers = stream.statistics()
        assert (numbers.sent, numbers.unreported, numbers.connected) == (1, 0, True)
        assert (numbers.circuit, numbers.connections, numbers.last_error) == (Circuit.CLOSED, 1, "")
        assert numbers.fps > 0
        assert set(numbers.round_trip_s) == {50, 95, 99}


async def test_only_the_newest_frame_waits(scripted, until_true, say, config, report_of):
    server = await scripted()
    held = []
    server.on_frame = lambda frame, tell: held.append((frame, tell))
    async with AsyncCameraStream(server.address, config=config(max_in_flight=1)) as stream:
        stream.send(PICTURE)
        await until_true(lambda: held)
        for _ in range(4):
            stream.send(PICTURE)
        assert stream.statistics().verdicts == {Verdict.SUPERSEDED_HERE: 3}
        frame, tell = held.pop()
        tell(say.event(say.segmented(frame)))
        await until_true(lambda: held)
        frame, tell = held.pop()
        assert frame.sequence_number == 5
        tell(say.event(say.segmented(frame)))
        reports = [await report_of(stream) for _ in range(5)]
        assert [(item.sequence_number, item.verdict) for item in reports] == [
            (2, Verdict.SUPERSEDED_HERE),
            (3, Verdict.SUPERSEDED_HERE),
            (4, Verdict.SUPERSEDED_HERE),
            (1, Verdict.SEGMENTED),
            (5, Verdict.SEGMENTED),
        ]


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        (pb.VERDICT_SUPERSEDED, Verdict.SUPERSEDED),
        (pb.VERDICT_EXPIRED, Verdict.EXPIRED),
        (pb.VERDICT_OVERLOADED, Verdict.OVERLOADED),
        (pb.VERDICT_INVALID, Verdict.INVALID),
        (pb.VERDICT_FAILED, Verdict.FAILED),
        (77, Verdict.UNKNOWN),
    ],
)
async def test_the_servers_verdicts(scripted, say, sent, verdict, config, report_of):
    server = await scripted()

    def refuse(frame, tell):
        number = frame.sequence_number
        tell(say.event(pb.FrameResult(sequence_number=number, verdict=sent, reason="so it is", reason_code="SO")))

    server.on_frame = refuse
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        report = await report_of(stream)
        assert (report.verdict, report.reason, report.reason_code) == (verdict, "so it is", "SO")
        assert report.segmentation is None
        assert stream.latest() is None


async def test_a_mask_that_cannot_be_read_is_one_lost_frame(scripted, say, config, report_of):
    server = await scripted()
    broken = pb.MASK_ENCODING_ZSTD

    def answer(frame, tell):
        result = say.segmented(frame)
        if frame.sequence_number == 1:
            result.mask_encoding = broken
        tell(say.event(result))

    server.on_frame = answer
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        first = await report_of(stream)
        assert first.verdict is Verdict.LOST
        assert "cannot be read" in first.reason
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED


async def test_a_new_model_is_named_before_its_masks(scripted, say, config, report_of):
    server = await scripted()
    second = pb.ModelInfo()
    second.CopyFrom(say.MODEL)
    second.version = "2"

    def swap(frame, tell):
        tell(pb.StreamSegmentResponse(model=second))
        tell(say.event(say.segmented(frame, version="2")))

    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        assert (await report_of(stream)).model.version == "1"
        server.on_frame = swap
        stream.send(PICTURE)
        report = await report_of(stream)
        assert report.model.version == report.segmentation.model_version == "2"


async def test_unread_reports_are_bounded_and_counted(scripted, until_true, config, report_of):
    server = await scripted()
    async with AsyncCameraStream(server.address, config=config(unread_reports=2)) as stream:
        for sent in range(1, 6):
            stream.send(PICTURE)
            await until_true(lambda sent=sent: sum(stream.statistics().verdicts.values()) == sent)
        assert stream.statistics().unread == 3
        assert [(await report_of(stream)).sequence_number for _ in range(2)] == [4, 5]


async def test_a_callback_that_fails_does_not_end_the_stream(scripted, until_true, config):
    server = await scripted()
    seen = []

    def fail(report):
        seen.append(report.sequence_number)
        raise RuntimeError("the user's fault")

    async with AsyncCameraStream(server.address, config=config(), on_report=fail) as stream:
        for count in (1, 2):
            stream.send(PICTURE)
            await until_true(lambda count=count: len(seen) == count)
    assert seen == [1, 2]


async def test_other_images_are_refused_at_once(nobody, config):
    async with AsyncCameraStream(nobody, config=config()) as stream:
        with pytest.raises(InvalidFrameError, match="image"):
            stream.send(np.zeros((4, 4), np.uint8))
        for age_s in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(InvalidFrameError, match="max_age_s"):
                stream.send(PICTURE, max_age_s=age_s)
        assert stream.statistics().sent == 0


async def test_a_frame_above_the_limits_does_not_break_the_connection(scripted, config, report_of):
    server = await scripted()
    limits = LimitsConfig(max_frame_pixels=PICTURE.shape[0] * PICTURE.shape[1])
    async with AsyncCameraStream(server.address, config=config(), limits=limits) as stream:
        with pytest.raises(FrameTooLargeError, match=r"image: .*more than the server takes"):
            stream.send(np.zeros((5, 6, 3), np.uint8))
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED
