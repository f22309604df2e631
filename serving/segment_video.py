"""Videos and cameras through a server's stream: masks as pictures, overlays as a video."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import cv2
import grpc
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isthmus.configuration import config
from isthmus.errors import InvalidFrameError, ServingError
from isthmus.serving.client import (
    DEFAULT_TIMEOUT_S,
    CameraStream,
    Purpose,
    RetryConfig,
    SegmentationClient,
    StreamConfig,
    Verdict,
)
from isthmus.serving.reel import Product, Reel, SegmentedVideo
from isthmus.serving.video import Image, Video, open_camera, open_video

_ATTEMPTS: Final = 3
RETRY: Final = RetryConfig(failures_to_open=10)
"""A server that is started again has about ten seconds before the frames of a file are given up."""
_MOST_UNREAD: Final = 256
_LOOK_S: Final = 0.02
_GONE: Final = frozenset({Verdict.LOST, Verdict.FAILED})
_AGAIN: Final = _GONE | {Verdict.OVERLOADED, Verdict.SUPERSEDED}


@config
class VideoOptions:
    """How videos are segmented."""

    products: frozenset[Product] = frozenset(Product)
    """What is written."""
    every: Annotated[int, Field(gt=0)] = 1
    """Each how many-th frame is taken."""
    max_fps: Annotated[float, Field(gt=0)] | None = None
    """Most frames a second that are sent; None for as fast as it goes."""
    max_frames: Annotated[int, Field(gt=0)] | None = None
    """The end after so many frames; None for the video's own."""
    max_age_s: Annotated[float, Field(gt=0)] | None = None
    """Age in seconds above which a mask is of no use; None for never."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """Frames travel as JPEG of this quality; None sends raw pixels."""
    timeout_s: Annotated[float, Field(gt=0)] = DEFAULT_TIMEOUT_S
    """Seconds that a frame may take."""


def segment_videos(
    paths: Sequence[Path],
    server: str,
    out: Path,
    options: VideoOptions,
    credentials: grpc.ChannelCredentials | None = None,
    *,
    show_progress: bool = True,
) -> Iterator[SegmentedVideo]:
    """Segment each frame of video files: one at a time, those that got lost once more.

    Args:
        paths: The files; their names become the results' names.
        server: `HOST:PORT`.
        out: Folder for the results; made if it is missing.
        options: How.
        credentials: For TLS; None for plaintext.
        show_progress: Draw a progress bar.

    Raises:
        DataMissingError: A file is not there.
        UnreadableFileError: A file is no video.
        InvalidFrameError: Two files have the same name.
        ServingError: No server, no model yet, or the server has gone for good: a frame found nobody to send it to, or
            got lost three times, or the server drains or has lost its engine. What was made until then is kept.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if (other := by_name.setdefault(path.stem, path)) is not path:
            raise InvalidFrameError(f"would get the same masks as {other}", where=path, remedy="Rename one of them.")
        open_video(path).close()  # all of them can be read, before the first is worked on
    for name, path in by_name.items():
        with contextlib.closing(open_video(path)) as video:
            yield _segment(_Job(video, name, server, out, options, credentials, show_progress, live=False))


def segment_camera(
    index: int,
    server: str,
    out: Path,
    options: VideoOptions,
    credentials: grpc.ChannelCredentials | None = None,
    *,
    show_progress: bool = True,
) -> SegmentedVideo:
    """Segment what a camera sees, newest frame first, until `max_frames` or Ctrl-C; the results are named `cameraN`.

    Args:
        index: 0 is /dev/video0.
        server: `HOST:PORT`.
        out: Folder for the results; made if it is missing.
        options: How.
        credentials: For TLS; None for plaintext.
        show_progress: Draw a progress bar.

    Raises:
        EnvironmentMissingError: There is no such camera.
        ServingError: No server, or no model yet. Later failures cost frames, and are counted.
    """
    with contextlib.closing(open_camera(index)) as video:
        return _segment(_Job(video, f"camera{index}", server, out, options, credentials, show_progress, live=True))


@dataclass(frozen=True)
class _Job:
    video: Video
    name: str
    server: str
    out: Path
    options: VideoOptions
    credentials: grpc.ChannelCredentials | None
    show_progress: bool
    live: bool


def _segment(job: _Job) -> SegmentedVideo:
    options = job.options
    with SegmentationClient(job.server, timeout_s=options.timeout_s, credentials=job.credentials) as client:
        info = client.model_info()  # before anything is made: an unreachable server leaves no trace
    settings = StreamConfig(
        purpose=Purpose.LIVE if job.live else Purpose.BULK,
        max_age_s=options.max_age_s,
        answer_timeout_s=options.timeout_s,
        unread_reports=_MOST_UNREAD,
        retry=RETRY,
    )
    with contextlib.ExitStack() as stack:
        reel = stack.enter_context(Reel(job.out, job.name, job.video.fps / options.every, options.products))
        bar = stack.enter_context(_progress(job.show_progress))
        task = bar.add_task(f"{job.name}: {info.name} version {info.version}", total=_total(job.video, options))
        stream = stack.enter_context(CameraStream(job.server, job.name, config=settings, credentials=job.credentials))
        carry = _carry_newest if job.live else _carry_all
        for _ in carry(stream, _frames(job.video, options, live=job.live), reel, options):
            bar.advance(task)
    return reel.result()


def _carry_all(
    stream: CameraStream, frames: Iterator[tuple[int, Image]], reel: "Reel", options: VideoOptions
) -> Iterator[None]:
    """One frame after the other, each until it has a verdict that stays."""
    for place, image in frames:
        data = _encoded(image, options.jpeg_quality)
        for attempt in range(1, _ATTEMPTS + 1):
            stream.send(data)
            report = stream.next_report()
            assert report is not None, "each frame gets a report while the stream is open"
            if report.verdict is Verdict.NOT_SENT:
                raise ServingError(f"frame {place} could not be sent: {report.reason}", where=stream.address)
            # INTERNAL may be this frame's doing; after what else befalls it, the next would fare no better.
            gone = report.verdict in _GONE and report.reason_code != "INTERNAL"
            if gone and attempt == _ATTEMPTS:
                raise ServingError(
                    f"frame {place} got no mask in {attempt} attempts, the last one {report.verdict.value}: "
                    f"{report.reason}",
                    where=stream.address,
                    remedy="Look whether the server is shutting down, and at its log; then run the verb again.",
                )
            if report.verdict not in _AGAIN or attempt == _ATTEMPTS:
                reel.add(report.sequence_number, place, image)
                reel.report(report)
                break
        yield


def _carry_newest(
    stream: CameraStream, frames: Iterator[tuple[int, Image]], reel: "Reel", options: VideoOptions
) -> Iterator[None]:
    """Frames as they come, whatever becomes of the one before; Ctrl-C is the usual end."""
    with contextlib.suppress(KeyboardInterrupt):
        for place, image in frames:
            reel.add(stream.send(_encoded(image, options.jpeg_quality)), place, image)
            while (report := stream.next_report(0)) is not None:
                reel.report(report)
            yield
        # The last frame may not even be sent yet, and closing would give it up.
        until = time.monotonic() + options.timeout_s
        while stream.statistics().unreported and time.monotonic() < until:
            if (report := stream.next_report(_LOOK_S)) is not None:
                reel.report(report)
    stream.close(options.timeout_s)
    for report in stream:
        reel.report(report)


def _frames(video: Video, options: VideoOptions, *, live: bool) -> Iterator[tuple[int, Image]]:
    """Frames that are taken, with their place in the video; a live source is thinned out, a file is slowed down."""
    pause_s = 0.0 if options.max_fps is None else 1 / options.max_fps
    due, taken = time.monotonic(), 0
    for place, image in enumerate(video):
        if place % options.every:
            continue
        early_s = due - time.monotonic()
        if early_s > 0 and live:
            continue
        if early_s > 0:
            time.sleep(early_s)
        due = max(due, time.monotonic() - pause_s) + pause_s
        yield place, image
        taken += 1
        if taken == options.max_frames:
            return


def _encoded(image: Image, jpeg_quality: int | None) -> Image | bytes:
    if jpeg_quality is None:
        return image
    ordered = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].tobytes()


def _total(video: Video, options: VideoOptions) -> int | None:
    counts = [] if options.max_frames is None else [options.max_frames]
    if video.num_frames is not None:
        counts.append(-(-video.num_frames // options.every))
    return min(counts, default=None)


def _progress(show: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not show)
