"""A camera's stream against a server that misbehaves: each frame gets exactly one report."""

import asyncio
import math
import socket
import time

import grpc
import numpy as np
import pytest
from google.protobuf import timestamp_pb2

from isthmus.errors import FrameTooLargeError, InvalidFrameError, ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import AsyncCameraStream, Circuit, Purpose, RetryConfig, StreamConfig, Verdict
from isthmus.serving.client.journal import Journal
from isthmus.serving.config import LimitsConfig

QUICK = RetryConfig(first_pause_s=0.01, longest_pause_s=0.05, failures_to_open=1000, open_s=0.05)
PICTURE = np.full((4, 6, 3), 200, np.uint8)


def config(**fields):
    return StreamConfig(**{"retry": QUICK, **fields})


async def report_of(stream):
    return await asyncio.wait_for(anext(stream), 30)


async def test_a_frame_comes_back_as_a_mask(scripted, tiny):
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


async def test_only_the_newest_frame_waits(scripted, until_true, say):
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
async def test_the_servers_verdicts(scripted, say, sent, verdict):
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


async def test_a_mask_that_cannot_be_read_is_one_lost_frame(scripted, say):
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


async def test_a_killed_server_loses_what_it_had_and_is_found_again(scripted, until_true):
    server = await scripted()
    server.on_frame = lambda frame, tell: None
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        await until_true(lambda: server.frames)
        answer = type(server)().on_frame
        await server.kill()
        lost = await report_of(stream)
        assert (lost.sequence_number, lost.verdict) == (1, Verdict.LOST)
        stream.send(PICTURE)  # waits for the server to come back
        server.on_frame = answer
        await server.start()
        report = await report_of(stream)
        assert (report.sequence_number, report.verdict) == (2, Verdict.SEGMENTED)
        numbers = stream.statistics()
        assert numbers.connections == 2
        assert "127.0.0.1" in numbers.last_error


async def test_reconnect_on_request_loses_nothing(scripted, until_true, say):
    server = await scripted()
    held = []
    server.on_frame = lambda frame, tell: held.append((frame, tell))
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        await until_true(lambda: held)
        frame, tell = held.pop()
        tell(pb.StreamSegmentResponse(reconnect=pb.Reconnect(reason="maintenance")))
        await until_true(lambda: len(server.streams) == 2, "a second stream")
        stream.send(PICTURE)
        await until_true(lambda: held)
        newer, tell_newer = held.pop()
        tell_newer(say.event(say.segmented(newer)))
        assert (await report_of(stream)).sequence_number == 2
        tell(say.event(say.segmented(frame)))  # the old connection still brings what it owes
        late = await report_of(stream)
        assert (late.sequence_number, late.verdict) == (1, Verdict.SEGMENTED)
        assert stream.latest().sequence_number == 2
        assert stream.statistics().last_error == ""


async def test_goaway_and_a_cut_connection(scripted, until_true):
    options = [("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 50)]
    server = await scripted(options=options)
    async with AsyncCameraStream(server.address, config=config(unread_reports=10_000)) as stream:

        def enough():
            stream.send(PICTURE)
            return stream.statistics().connections >= 3

        await until_true(enough, "a third connection")
    numbers = stream.statistics()
    assert numbers.unreported == 0
    assert numbers.verdicts[Verdict.SEGMENTED] > 3


async def test_a_silent_server_is_given_up(scripted, until_true):
    server = await scripted()
    answer, server.on_frame = server.on_frame, lambda frame, tell: None
    async with AsyncCameraStream(server.address, config=config(answer_timeout_s=0.1)) as stream:
        stream.send(PICTURE)
        await until_true(lambda: server.frames)
        server.on_frame = answer
        assert (await report_of(stream)).verdict is Verdict.LOST
        assert "no answer to frame 1 for 0.1 s" in stream.statistics().last_error
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED


async def test_an_aborted_stream_is_opened_again(scripted, until_true):
    server = await scripted()
    server.on_frame = lambda frame, tell: tell(grpc.StatusCode.INTERNAL)
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.LOST
        await until_true(lambda: len(server.streams) == 2)
        assert "INTERNAL: as the test says" in stream.statistics().last_error


async def test_frames_expire_while_nobody_answers(nobody):
    async with AsyncCameraStream(nobody, config=config(max_age_s=0.01)) as stream:
        stream.send(PICTURE)
        report = await report_of(stream)
        assert (report.verdict, report.reason) == (
            Verdict.EXPIRED_HERE,
            "it became too old before it could be sent",
        )
        stream.send(PICTURE, captured_at=time.time() - 60, max_age_s=10)
        assert (await report_of(stream)).verdict is Verdict.EXPIRED_HERE


async def test_the_server_gets_the_time_that_is_left(scripted, until_true):
    server = await scripted()
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE, captured_at=time.time() - 40, max_age_s=100)
        await report_of(stream)
    left = server.frames[0].max_age
    assert 20 < left.seconds + left.nanos / 1e9 <= 60


async def test_a_mask_that_comes_too_late_is_still_the_latest(scripted, until_true, say, monkeypatch):
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


async def test_the_circuit_opens_and_lets_one_attempt_through(scripted, until_true):
    server = await scripted()
    await server.kill()
    retry = RetryConfig(first_pause_s=0.01, longest_pause_s=0.02, failures_to_open=3, open_s=0.2)
    async with AsyncCameraStream(server.address, config=config(retry=retry)) as stream:
        stream.send(PICTURE)
        report = await report_of(stream)  # the frame that waited when the circuit opened
        assert report.verdict is Verdict.NOT_SENT
        assert "no server answers" in report.reason
        assert stream.statistics().circuit is Circuit.OPEN
        stream.send(PICTURE)
        assert stream.statistics().verdicts == {Verdict.NOT_SENT: 2}
        await server.start()
        await until_true(lambda: stream.statistics().circuit is Circuit.CLOSED)
        await report_of(stream)
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED


async def test_a_listener_that_says_nothing_is_no_server(until_true):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        async with AsyncCameraStream(address, config=config(connect_timeout_s=0.1)) as stream:
            await until_true(lambda: stream.statistics().last_error)
            assert "no answer within 0.1 s" in stream.statistics().last_error


async def test_unread_reports_are_bounded_and_counted(scripted, until_true):
    server = await scripted()
    async with AsyncCameraStream(server.address, config=config(unread_reports=2)) as stream:
        for sent in range(1, 6):
            stream.send(PICTURE)
            await until_true(lambda sent=sent: sum(stream.statistics().verdicts.values()) == sent)
        assert stream.statistics().unread == 3
        assert [(await report_of(stream)).sequence_number for _ in range(2)] == [4, 5]


async def test_a_callback_that_fails_does_not_end_the_stream(scripted, until_true):
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


async def test_closing_reports_what_is_left(scripted, until_true):
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


async def test_closing_waits_for_answers_that_are_due(scripted, until_true, say):
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


async def test_other_images_are_refused_at_once(nobody):
    async with AsyncCameraStream(nobody, config=config()) as stream:
        with pytest.raises(InvalidFrameError, match="image"):
            stream.send(np.zeros((4, 4), np.uint8))
        for age_s in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(InvalidFrameError, match="max_age_s"):
                stream.send(PICTURE, max_age_s=age_s)
        assert stream.statistics().sent == 0


async def test_a_frame_above_the_limits_does_not_break_the_connection(scripted):
    server = await scripted()
    limits = LimitsConfig(max_frame_pixels=PICTURE.shape[0] * PICTURE.shape[1])
    async with AsyncCameraStream(server.address, config=config(), limits=limits) as stream:
        with pytest.raises(FrameTooLargeError, match=r"image: .*more than the server takes"):
            stream.send(np.zeros((5, 6, 3), np.uint8))
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED


async def test_a_fault_of_ours_costs_a_frame_and_not_the_stream(scripted, monkeypatch):
    server = await scripted()
    async with AsyncCameraStream(server.address, config=config()) as stream:

        def fail(self, waiting, result):
            monkeypatch.undo()
            self.lost(waiting, "by accident")
            raise RuntimeError("a fault")

        monkeypatch.setattr(Journal, "answered", fail)
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.LOST
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.SEGMENTED
        assert "RuntimeError: a fault" in stream.statistics().last_error


async def test_closing_ends_connections_that_still_owe_answers(scripted, until_true):
    server = await scripted()
    server.on_frame = lambda frame, tell: tell(pb.StreamSegmentResponse(reconnect=pb.Reconnect()))
    stream = AsyncCameraStream(server.address, config=config(answer_timeout_s=1000.0))
    stream.start()
    stream.send(PICTURE)
    await until_true(lambda: len(server.streams) == 2)
    await stream.close(timeout_s=0.01)
    assert [report.verdict async for report in stream] == [Verdict.LOST]


async def test_a_new_model_is_named_before_its_masks(scripted, say):
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


@pytest.mark.parametrize("seed", range(3))
async def test_each_frame_gets_one_report_whatever_happens(scripted, until_true, say, seed):
    server = await scripted()
    draw = np.random.default_rng(seed)
    answer = server.on_frame

    def moody(frame, tell):
        mood = draw.integers(0, 10)
        if mood == 0:
            tell(grpc.StatusCode.UNAVAILABLE)
        elif mood == 1:
            tell(pb.StreamSegmentResponse(reconnect=pb.Reconnect()))
        elif mood == 2:
            tell(None)
        elif mood == 3:
            pass  # forgotten: only the end of the connection tells
        else:
            answer(frame, tell)

    server.on_frame = moody
    seen = []
    settings = config(answer_timeout_s=0.05, max_in_flight=2)
    async with AsyncCameraStream(server.address, config=settings, on_report=seen.append) as stream:
        for turn in range(120):
            stream.send(PICTURE)
            if turn % 40 == 20:
                await server.kill()
                await server.start()
            await asyncio.sleep(0)
            if turn % 3 == 0:
                frames = len(server.frames)
                await until_true(
                    lambda frames=frames: len(server.frames) > frames or not stream.statistics().unreported
                )
    assert sorted(report.sequence_number for report in seen) == list(range(1, 121))
    verdicts = {report.verdict for report in seen}
    assert {Verdict.SEGMENTED, Verdict.LOST, Verdict.SUPERSEDED_HERE} <= verdicts
