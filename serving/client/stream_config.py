"""How a camera's stream behaves."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config
from isthmus.serving.client.breaker import RetryConfig
from isthmus.serving.codec import MaskFormat

_Seconds = Annotated[float, Field(gt=0)]
_Positive = Annotated[int, Field(gt=0)]


class Purpose(StrEnum):
    """What the frames are for."""

    LIVE = "live"
    """Somebody drives by them: they go first."""
    BULK = "bulk"
    """Recordings and tests: they get a share that never stops."""


@config
class StreamConfig:
    """Settings of a camera's stream; the defaults suit 30 frames a second and round trips of up to 100 ms."""

    mask_format: MaskFormat = MaskFormat.ZSTD
    """How masks travel; the result is the same."""
    include_confidence: bool = True
    """Whether confidence maps come too."""
    purpose: Purpose = Purpose.LIVE
    """What the frames are for."""
    max_age_s: _Seconds | None = None
    """Age above which a mask is of no use, for frames that are sent without one of their own."""
    max_in_flight: _Positive = 3
    """Most frames that are sent and not answered. It must cover the frames of one round trip: 3 are enough for 30 a
    second over 100 ms. What is more makes masks older under load, since newer frames queue behind older ones."""
    connect_timeout_s: _Seconds = 5.0
    """Seconds after which an attempt to connect has failed."""
    answer_timeout_s: _Seconds = 5.0
    """Seconds without an answer to a frame after which the connection is given up as dead."""
    unread_reports: _Positive = 32
    """Reports that are kept for a reader; beyond that the oldest is thrown away and counted."""
    retry: RetryConfig = Field(default_factory=RetryConfig)
    """How it comes back after a failure."""
