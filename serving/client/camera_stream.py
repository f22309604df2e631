"""A camera's stream for programs without asyncio: the same one, on a thread in the background."""

import asyncio
import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ServingError
from isthmus.serving.client.background import background_loop
from isthmus.serving.client.reports import FrameReport, LatestMask
from isthmus.serving.client.results import ModelInfo
from isthmus.serving.client.statistics import StreamStatistics
from isthmus.serving.client.stream import AsyncCameraStream
from isthmus.serving.client.stream_config import StreamConfig
from isthmus.serving.config import LimitsConfig

_MARGIN_S: Final = 5.0  # for what is left to gRPC when a stream closes


class CameraStream:
    """One camera of a vehicle; may be used from several threads.

    Args:
        address: `HOST:PORT`.
        camera_id: Names the camera within its vehicle.
        config: How it behaves.
        limits: The server's limits, as far as they differ from the defaults.
        credentials: For TLS, as `transport.client_credentials` makes them; None for plaintext.
        on_report: Called on the thread of all streams with each report; it must not wait. Without it, iterate over the
            stream, or ask `next_report`.
    """

    def __init__(
        self,
        address: str,
        camera_id: str = "",
        *,
        config: StreamConfig | None = None,
        limits: LimitsConfig | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        on_report: Callable[[FrameReport], None] | None = None,
    ) -> None:
        self.address = address
        self.camera_id = camera_id
        self._sending = threading.Lock()  # a frame is handed over whole before the stream closes, or refused
        self._news = threading.Condition()
        self._unread: deque[FrameReport] = deque()
        self._most_unread = (config or StreamConfig()).unread_reports
        self._num_thrown_away = 0
        self._closing: Future[None] | None = None
        self._closed = False
        self._loop = background_loop()

        async def make() -> AsyncCameraStream:
            stream = AsyncCameraStream(
                address,
                camera_id,
                config=config,
                limits=limits,
                credentials=credentials,
                on_report=on_report or self._keep,
            )
            stream.start()
            return stream

        self._stream = asyncio.run_coroutine_threadsafe(make(), self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def model(self) -> ModelInfo | None:
        """The model that answers, as far as the server has named it."""
        return self._stream.model

    def send(
        self,
        image: NDArray[np.uint8] | bytes,
        *,
        captured_at: float | None = None,
        max_age_s: float | None = None,
        tag: object = None,
    ) -> int:
        """Hand in a frame; the pixels are copied. Never waits.

        Args:
            image: RGB [H, W, 3] uint8, or the bytes of a JPEG or PNG file.
            captured_at: When the picture was taken: Unix time in seconds by this machine's clock. Its age counts from
                then on; without it, from now.
            max_age_s: Age in seconds above which a mask is of no use; by default the stream's.
            tag: Anything that shall come back with the frame's report; it is not sent.

        Returns:
            The frame's sequence number, for its report.

        Raises:
            InvalidFrameError: The image is of another kind, or max_age_s is not positive.
            FrameTooLargeError: The image is larger than the server's limits.
            ServingError: The stream is closed.
        """
        with self._sending:
            if self._closing is not None:
                raise ServingError("the stream is closed", where=self.address)
            waiting, displaced = self._stream.put(image, captured_at=captured_at, max_age_s=max_age_s, tag=tag)
            self._loop.call_soon_threadsafe(self._stream.placed, waiting, displaced)
        return waiting.sequence_number

    def latest(self, max_age_s: float | None = None) -> LatestMask | None:
        """The newest mask so far, with the age of its picture by now; also one that came too late for its frame.

        Args:
            max_age_s: None instead of a mask that is older than this.
        """
        return self._stream.latest(max_age_s)

    def statistics(self) -> StreamStatistics:
        """Numbers of this moment."""
        return dataclasses.replace(self._stream.statistics(), unread=self._num_thrown_away)

    def next_report(self, timeout_s: float | None = None) -> FrameReport | None:
        """The oldest report that nobody has read.

        Args:
            timeout_s: Seconds to wait for one; None waits until there is one.

        Returns:
            None after the time, or when the stream is closed and all is read.
        """
        with self._news:
            self._news.wait_for(lambda: self._unread or self._closed, timeout_s)
            return self._unread.popleft() if self._unread else None

    def __iter__(self) -> Iterator[FrameReport]:
        """All reports, in the order in which they became known, until the stream is closed."""
        while (report := self.next_report()) is not None:
            yield report

    def close(self, timeout_s: float = 1.0) -> None:
        """Accept no more frames, wait for the answers that are due, and end.

        Args:
            timeout_s: Seconds to wait; frames without an answer by then are lost.
        """
        with self._sending:  # not while waiting: `on_report` may send, and would hold up the loop that closes
            if self._closing is None:
                self._closing = asyncio.run_coroutine_threadsafe(self._stream.close(timeout_s), self._loop)
        try:
            self._closing.result(timeout_s + _MARGIN_S)
        finally:
            with self._news:
                self._closed = True
                self._news.notify_all()

    def _keep(self, report: FrameReport) -> None:
        with self._news:
            if len(self._unread) == self._most_unread:
                self._unread.popleft()
                self._num_thrown_away += 1
            self._unread.append(report)
            self._news.notify()
