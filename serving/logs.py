"""The server's log: text for people or one JSON object a line, and no camera can flood it.

A line that was written within a call tells the call's method, its vehicle and its trace, whoever wrote it. Repeats of
one message are counted instead of written, for each sender and in all.
"""

import json
import logging
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from isthmus.serving.events import FrameDone
from isthmus.serving.rpc_telemetry import current_call
from isthmus.serving.telemetry_config import LogFormat

logger = logging.getLogger(__name__)

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_WINDOW_S: Final = 30.0
_BURST_EACH: Final = 5
_BURST_ALL: Final = 100
_MOST_KEYS: Final = 4096
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_INVALID: Final = "invalid"
_STREAMS: Final = ("StreamSegment", "ModelStreamInfer")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")


def configure(form: LogFormat, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the log of the whole process to `stream`, by default stderr."""
    handler = LimitedHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """A JSON object with time, level, logger and message, then the record's extra fields, then a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS and key not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


@dataclass(slots=True)
class _Window:
    began: float
    passed: int = 0
    held_back: int = 0
    record: logging.LogRecord | None = None
    """The last that was held back."""


class Repeats:
    """Lets the first few of a kind pass in each window of time, and counts the rest.

    Args:
        burst: How many pass.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._clock = clock
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def passes(self, kind: Hashable, record: logging.LogRecord) -> bool:
        """Whether a record may be written; kinds that were seen long ago are forgotten when there are too many."""
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _Window(self._clock())
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.held_back += 1
        window.record = record
        return False

    def over(self, *, all_of_them: bool = False) -> list[tuple[int, logging.LogRecord]]:
        """End the windows that are over: how many records each has held back, and the last one."""
        ended = []
        while self._windows:
            kind, oldest = next(iter(self._windows.items()))
            full = len(self._windows) > _MOST_KEYS
            if not (all_of_them or full) and self._clock() - oldest.began < _WINDOW_S:
                break
            del self._windows[kind]
            if oldest.record is not None:
                ended.append((oldest.held_back, oldest.record))
        return ended


class LimitedHandler(logging.StreamHandler[TextIO]):
    """Writes a record with its call's fields, unless there were too many like it; says later how many it left out."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._each, self._all = Repeats(_BURST_EACH, clock), Repeats(_BURST_ALL, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, with the handler's lock held."""
        _add_call(record)
        self._tell_of_repeats()
        message = (record.name, record.levelno, str(record.msg))
        sender = (getattr(record, "vehicle", None), getattr(record, "camera", None))
        if self._each.passes((message, sender), record) and self._all.passes(message, record):
            super().emit(record)

    def close(self) -> None:
        """Say what was left out last."""
        if not self.stream.closed:
            self._tell_of_repeats(all_of_them=True)
        super().close()

    def _tell_of_repeats(self, *, all_of_them: bool = False) -> None:
        for repeats in (self._each, self._all):
            for count, last in repeats.over(all_of_them=all_of_them):
                told = logging.makeLogRecord(vars(last))
                told.msg, told.args = f"{count} more like this were left out: {last.getMessage()}", None
                told.exc_info, told.exc_text, told.repeats = None, None, count
                super().emit(told)


class FrameLog:
    """A listener that logs invalid frames of streams: no error leaves those calls that `ErrorInterceptor` could log.

    A frame that fails is logged where it does, with its traceback.
    """

    def heard(self, event: object) -> None:
        """Log a frame, if something is wrong with it."""
        if isinstance(event, FrameDone) and event.verdict == _INVALID and event.rpc in _STREAMS:
            facts = ("rpc", "vehicle", "camera", "verdict", "reason_code", "model_version")
            fields = {name: getattr(event, name) for name in facts if name != "camera" or event.camera}
            sender = f"{event.vehicle}, camera {event.camera!r}" if event.camera else event.vehicle
            logger.info("%s from %s: a frame is invalid: %s", event.rpc, sender, event.reason_code, extra=fields)


def _add_call(record: logging.LogRecord) -> None:
    call = current_call.get()
    if call is None:
        return
    fields = {"rpc": call.rpc, "vehicle": call.vehicle}
    if found := _TRACE_ID.match(call.trace.get("traceparent", "")):
        fields["trace_id"] = found[1]
    for key, value in fields.items():
        record.__dict__.setdefault(key, value)
