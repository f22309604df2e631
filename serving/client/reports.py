"""What became of the frames of a camera's stream: exactly one report for each frame that was handed in."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client.results import ModelInfo, Segmentation


class Verdict(StrEnum):
    """What became of a frame; the first seven come from the server, the others from this client."""

    SEGMENTED = "segmented"
    """There is a mask, in time."""
    SUPERSEDED = "superseded"
    """A newer frame took its place at the server."""
    EXPIRED = "expired"
    """It became too old at the server."""
    OVERLOADED = "overloaded"
    """The server had too much to do, or this vehicle used up its share."""
    INVALID = "invalid"
    """The server cannot read it; the reason says why."""
    FAILED = "failed"
    """The server could not answer, through no fault of the frame's: it shuts down, or something broke in it."""
    UNKNOWN = "unknown"
    """A newer server gave a verdict that this client does not know."""
    SUPERSEDED_HERE = "superseded_here"
    """A newer frame took its place before it was sent."""
    EXPIRED_HERE = "expired_here"
    """It became too old before it was sent, or its mask came too late."""
    LOST = "lost"
    """It was sent, and the connection ended before an answer came."""
    NOT_SENT = "not_sent"
    """The circuit breaker was open, or the stream was closed."""


VERDICTS: Final = {
    pb.VERDICT_SEGMENTED: Verdict.SEGMENTED,
    pb.VERDICT_SUPERSEDED: Verdict.SUPERSEDED,
    pb.VERDICT_EXPIRED: Verdict.EXPIRED,
    pb.VERDICT_OVERLOADED: Verdict.OVERLOADED,
    pb.VERDICT_INVALID: Verdict.INVALID,
    pb.VERDICT_FAILED: Verdict.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReport:
    """What became of one frame."""

    sequence_number: int
    """As `send` answered it."""
    captured_at: float | None
    """As it was given to `send`."""
    tag: object = None
    """As it was given to `send`."""
    verdict: Verdict
    reason: str = ""
    """Why there is no mask, for people."""
    reason_code: str = ""
    """The same for programs, from the server: for example `QUOTA_EXCEEDED`."""
    segmentation: Segmentation | None = None
    """With `Verdict.SEGMENTED`."""
    model: ModelInfo | None = None
    """The model that made the mask, with classes and colours; None where the server has not named it."""
    round_trip_s: float | None = None
    """Seconds from the sending to the answer; None without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestMask:
    """The newest mask of a stream, and how old its picture is by now."""

    segmentation: Segmentation
    age_s: float
    """Seconds since the picture was taken, at the moment of the asking."""
    sequence_number: int
    captured_at: float | None
    tag: object
    model: ModelInfo | None


class Waiting:
    """A frame that has no report yet.

    Args:
        sequence_number: Counts the stream's frames.
        captured_at: Unix time of the picture, as the user gave it.
        born: Moment from which its age counts, by the monotonic clock.
        max_age_s: Age in seconds above which a mask is of no use; None for never.
        frame: The message; its pixels are let go as soon as they are sent or given up.
        tag: The user's own.
    """

    __slots__ = ("born", "captured_at", "frame", "max_age_s", "reported", "sent_at", "sequence_number", "tag")

    def __init__(
        self,
        *,
        sequence_number: int,
        captured_at: float | None,
        born: float,
        max_age_s: float | None,
        frame: pb.Frame | None,
        tag: object = None,
    ) -> None:
        self.sequence_number = sequence_number
        self.captured_at = captured_at
        self.born = born
        self.max_age_s = max_age_s
        self.frame = frame
        self.tag = tag
        self.sent_at: float | None = None
        self.reported = False

    def remaining_s(self, now: float) -> float | None:
        """Seconds until it is too old, negative if it is; None if it never will be."""
        return None if self.max_age_s is None else self.born + self.max_age_s - now

    def is_expired(self, now: float) -> bool:
        """Whether it is too old."""
        remaining = self.remaining_s(now)
        return remaining is not None and remaining <= 0
