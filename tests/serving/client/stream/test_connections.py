"""A camera's stream against a server that misbehaves: each frame gets exactly one report."""

import asyncio
import socket

import grpc
import numpy as np
import pytest

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import AsyncCameraStream, Circuit, RetryConfig, Verdict
from isthmus.serving.client.journal import Journal

PICTURE = np.full((4, 6, 3), 200, np.uint8)


async def test_a_killed_server_loses_what_it_had_and_is_found_again(scripted, until_true, config, report_of):
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


async def test_reconnect_on_request_loses_nothing(scripted, until_true, say, config, report_of):
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


async def test_goaway_and_a_cut_connection(scripted, until_true, config):
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


async def test_a_silent_server_is_given_up(scripted, until_true, config, report_of):
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


async def test_an_aborted_stream_is_opened_again(scripted, until_true, config, report_of):
    server = await scripted()
    server.on_frame = lambda frame, tell: tell(grpc.StatusCode.INTERNAL)
    async with AsyncCameraStream(server.address, config=config()) as stream:
        stream.send(PICTURE)
        assert (await report_of(stream)).verdict is Verdict.LOST
        await until_true(lambda: len(server.streams) == 2)
        assert "INTERNAL: as the test says" in stream.statistics().last_error


async def test_the_circuit_opens_and_lets_one_attempt_through(scripted, until_true, config, report_of):
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


async def test_a_listener_that_says_nothing_is_no_server(until_true, config):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        async with AsyncCameraStream(address, config=config(connect_timeout_s=0.1)) as stream:
            await until_true(lambda: stream.statistics().last_error)
            assert "no answer within 0.1 s" in stream.statistics().last_error


async def test_a_fault_of_ours_costs_a_frame_and_not_the_stream(scripted, monkeypatch, config, report_of):
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


@pytest.mark.parametrize("seed", range(3))
async def test_each_frame_gets_one_report_whatever_happens(scripted, until_true, say, seed, config):
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
