"""The log's two forms, the fields of a call, and what happens to a flood."""

import io
import json
import logging
import subprocess
import sys

import grpc
import pytest

from isthmus.serving import logs
from isthmus.serving.config import ServerConfig
from isthmus.serving.logs import FrameLog, JsonFormatter, LimitedHandler, configure
from isthmus.serving.rpc_telemetry import Call, current_call
from isthmus.serving.telemetry_config import LogFormat

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Log:
    """A logger of its own with a handler under test and a clock that stands still."""

    def __init__(self):
        self.now = 0.0
        self.stream = io.StringIO()
        self.handler = LimitedHandler(self.stream, clock=lambda: self.now)
        self.handler.setFormatter(JsonFormatter())
        self.logger = logging.Logger("camera")
        self.logger.addHandler(self.handler)

    @property
    def lines(self):
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log():
    return Log()


def test_a_line_is_one_object_with_extra_fields(log):
    log.logger.warning("two\nlines of %s", "text", extra={"camera": "front", "size": (1, 2)})
    assert log.stream.getvalue().count("\n") == 1
    (line,) = log.lines
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "camera",
        "message": "two\nlines of text",
        "camera": "front",
        "size": [1, 2],
    }


def test_a_traceback_stays_in_its_line(log):
    try:
        raise ValueError("why")
    except ValueError:
        log.logger.exception("failed")
    (line,) = log.lines
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: why")


def test_lines_within_a_call_tell_it(log):
    token = current_call.set(Call("Segment", "car-17", False, {"traceparent": TRACEPARENT}))
    log.logger.info("bad frame")
    log.logger.info("bad frame", extra={"vehicle": "car-18"})
    current_call.set(Call("Segment", "car-17", False, {"traceparent": "junk"}))
    log.logger.info("bad frame")
    current_call.reset(token)
    log.logger.info("bad frame")
    fields = [(line.get("rpc"), line.get("vehicle"), line.get("trace_id")) for line in log.lines]
    trace = TRACEPARENT.split("-")[1]
    assert fields == [
        ("Segment", "car-17", trace),
        ("Segment", "car-18", trace),
        ("Segment", "car-17", None),
        (None, None, None),
    ]


def test_a_broken_camera_cannot_flood_the_log(log):
    for number in range(1000):
        log.logger.info("frame %d is bad", number, extra={"vehicle": "car-17", "camera": "front"})
    assert [line["message"] for line in log.lines] == [f"frame {number} is bad" for number in range(5)]
    log.logger.info("frame %d is bad", 7, extra={"vehicle": "car-17", "camera": "rear"})
    log.logger.info("something else")
    assert len(log.lines) == 7  # neither is held back
    log.now = 31.0
    log.logger.info("frame %d is bad", 1000, extra={"vehicle": "car-17", "camera": "front"})
    told, again = log.lines[7:]
    assert told["message"] == "995 more like this were left out: frame 999 is bad"
    assert (told["repeats"], told["camera"]) == (995, "front")
    assert again["message"] == "frame 1000 is bad"


def test_neither_can_many_vehicles(log):
    for number in range(1000):
        log.logger.info("bad", extra={"vehicle": f"car-{number}"})
    assert len(log.lines) == 100


def test_what_was_left_out_last_is_told_at_the_end(log):
    for _ in range(8):
        log.logger.info("bad")
    log.handler.close()
    assert log.lines[-1]["message"] == "3 more like this were left out: bad"


def test_memory_of_senders_is_bounded(log):
    for number in range(10_000):
        log.logger.info("bad %d", number, extra={"vehicle": f"car-{number}"})
    assert len(log.handler._each._windows) <= 4097


def test_invalid_frames_of_streams_are_logged_and_the_rest_is_not(told, caplog):
    caplog.set_level("INFO", logger="isthmus.serving.logs")
    frames = FrameLog()
    for event in (
        told.frame(),
        told.dropped("superseded"),
        told.dropped("invalid", rpc="Segment"),  # the call's own error is logged
        told.batch(),
        told.dropped("invalid", reason_code="INVALID_FRAME"),
        told.dropped("failed", reason_code="INTERNAL"),  # logged where it failed
    ):
        frames.heard(event)
    assert [(item.levelname, item.verdict, item.reason_code, item.vehicle) for item in caplog.records] == [
        ("INFO", "invalid", "INVALID_FRAME", "car-17"),
    ]
    assert not hasattr(caplog.records[0], "camera")


def test_an_invalid_frame_names_its_camera(told, log, monkeypatch):
    monkeypatch.setattr(logs, "logger", log.logger)
    for camera in ("front", "left\nside"):
        for _ in range(6):  # one camera's flood leaves room for another's
            FrameLog().heard(told.dropped("invalid", reason_code="INVALID_FRAME", camera=camera))
    assert [line["camera"] for line in log.lines] == ["front"] * 5 + ["left\nside"] * 5
    assert log.lines[0]["message"] == "StreamSegment from car-17, camera 'front': a frame is invalid: INVALID_FRAME"
    assert "camera 'left\\nside'" in log.lines[-1]["message"]


@pytest.fixture
def own_root_logger():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield root
    root.handlers = before
    root.setLevel(level)


def test_text_is_for_people(own_root_logger):
    stream = io.StringIO()
    configure(LogFormat.TEXT, stream)
    logging.getLogger("isthmus.x").info("listening on %s", "here")
    assert stream.getvalue().endswith(" INFO isthmus.x: listening on here\n")


def test_a_real_server_s_errors_tell_vehicle_and_trace(own_root_logger, start_server, model_file):
    stream = io.StringIO()
    configure(LogFormat.JSON, stream)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1)).server
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary("/isthmus.serving.v1.SegmentationService/Segment")
        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
            ask(b"", metadata=(("traceparent", TRACEPARENT),), timeout=30)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in lines if line["logger"] == "isthmus.serving.interceptors"]
    assert (line["rpc"], line["trace_id"]) == ("Segment", TRACEPARENT.split("-")[1])
    assert line["vehicle"].startswith("ipv4:127.0.0.1:")


def test_the_command_writes_json(model_file):
    command = [sys.executable, "-m", "isthmus", "serve", "--model-file", str(model_file), "--port", "0"]
    command += ["--num-threads", "1", "--log-format", "json", "--metrics-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("isthmus listens on")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    messages = [json.loads(line)["message"] for line in errors.splitlines()]
    assert any(message.startswith("metrics on http://127.0.0.1:") for message in messages)
    assert messages[-1].startswith("asked to stop")
    assert process.returncode == 0
