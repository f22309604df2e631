"""Where the frames of a stream get their reports: exactly one each, counted, and kept for whoever reads them."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import messages
from isthmus.serving.client.reports import VERDICTS, FrameReport, LatestMask, Verdict, Waiting
from isthmus.serving.client.results import ModelInfo, Segmentation
from isthmus.serving.client.statistics import Meter

logger = logging.getLogger(__name__)


class Journal:
    """All methods but `latest` belong to the event loop.

    Args:
        unread_reports: Reports that are kept for `next`.
        on_report: Takes the reports instead.
    """

    def __init__(self, unread_reports: int, on_report: Callable[[FrameReport], None] | None) -> None:
        self.model: ModelInfo | None = None
        self.meter = Meter(time.monotonic)
        self.num_thrown_away = 0
        self._unread: deque[FrameReport] = deque()
        self._most_unread = unread_reports
        self._on_report = on_report
        self._latest: tuple[Waiting, Segmentation, ModelInfo | None] | None = None
        self._news = asyncio.Event()
        self._closed = False

    def named(self, model: ModelInfo) -> None:
        """The next masks come from this model."""
        self.model = model

    def answered(self, waiting: Waiting, result: pb.FrameResult) -> None:
        """The server gave its verdict."""
        now = time.monotonic()
        assert waiting.sent_at is not None, "an answered frame was sent"
        round_trip_s = now - waiting.sent_at
        verdict = VERDICTS.get(result.verdict, Verdict.UNKNOWN)
        if verdict is not Verdict.SEGMENTED:
            reason = result.reason or f"verdict {result.verdict}"
            self.report(waiting, verdict, reason, reason_code=result.reason_code, round_trip_s=round_trip_s)
            return
        try:
            mask = messages.segmentation_of(result)
        except Exception as error:  # whatever zstd, OpenCV or NumPy say of bytes that are no mask
            logger.exception("the mask of frame %d cannot be read", waiting.sequence_number)
            self.report(waiting, Verdict.LOST, f"its mask cannot be read: {error}", round_trip_s=round_trip_s)
            return
        if self._latest is None or self._latest[0].sequence_number < waiting.sequence_number:
            self._latest = (waiting, mask, self.model)
        if waiting.is_expired(now):
            self.report(waiting, Verdict.EXPIRED_HERE, "its mask came too late", round_trip_s=round_trip_s)
        else:
            self.report(waiting, verdict, "", segmentation=mask, round_trip_s=round_trip_s)

    def lost(self, waiting: Waiting, reason: str) -> None:
        """The connection ended without an answer."""
        self.report(waiting, Verdict.LOST, reason)

    def report(
        self,
        waiting: Waiting,
        verdict: Verdict,
        reason: str,
        *,
        reason_code: str = "",
        segmentation: Segmentation | None = None,
        round_trip_s: float | None = None,
    ) -> None:
        """Give a frame its one report."""
        assert not waiting.reported, f"frame {waiting.sequence_number} has its report already"
        waiting.reported = True
        waiting.frame = None
        report = FrameReport(
            sequence_number=waiting.sequence_number,
            captured_at=waiting.captured_at,
            tag=waiting.tag,
            verdict=verdict,
            reason=reason,
            reason_code=reason_code,
            segmentation=segmentation,
            model=None if segmentation is None else self.model,
            round_trip_s=round_trip_s,
        )
        self.meter.count(report)
        self._deliver(report)

    def latest(self, max_age_s: float | None) -> LatestMask | None:
        """The newest mask, unless it is older than `max_age_s`."""
        if self._latest is None:
            return None
        waiting, segmentation, model = self._latest
        age_s = time.monotonic() - waiting.born
        if max_age_s is not None and age_s > max_age_s:
            return None
        return LatestMask(
            segmentation=segmentation,
            age_s=age_s,
            sequence_number=waiting.sequence_number,
            captured_at=waiting.captured_at,
            tag=waiting.tag,
            model=model,
        )

    async def next(self) -> FrameReport | None:
        """The oldest report that nobody has read; None at the end."""
        while not self._unread:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self._unread.popleft()

    def close(self) -> None:
        """No report follows."""
        self._closed = True
        self._news.set()

    def _deliver(self, report: FrameReport) -> None:
        if self._on_report is not None:
            try:
                self._on_report(report)
            except Exception:  # the user's code must not end the stream
                logger.exception("on_report failed on frame %d", report.sequence_number)
            return
        if len(self._unread) == self._most_unread:
            self._unread.popleft()
            self.num_thrown_away += 1
        self._unread.append(report)
        self._news.set()
