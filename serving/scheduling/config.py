"""Configuration of the scheduler."""

from typing import Annotated

from pydantic import Field

from isthmus.configuration import config

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


@config
class SchedulerConfig:
    """Who goes first, how many go together, and how long a stream lives."""

    max_batch_size: Positive | None = None
    """Most frames of different callers in one batch; by default 1 on a CPU, where a batch of two takes as long as two
    batches, and `limits.max_batch_size` elsewhere. Never more than that."""
    max_batch_wait_ms: Annotated[float, Field(ge=0)] | None = None
    """Longest that a free engine waits for a batch to fill up; by default 0 on a CPU and 2 elsewhere."""
    bulk_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Bulk frames for each live frame, while both wait: enough that bulk work never stops."""
    max_waiting_bytes: Positive = 512 << 20
    """Most bytes that frames hold from their arrival to their answer, and streams' masks until they are sent; the next
    frame is OVERLOADED. Masks hold at most half of it; beyond, a frame whose mask is ready is OVERLOADED too."""
    max_streams: Positive = 2048
    """Most open streams; the next one is answered RESOURCE_EXHAUSTED."""
    max_stream_age_s: Seconds = 480.0
    """Seconds after which a stream is asked to reconnect, so that vehicles spread over new servers. An old connection
    is only cut after the streams on it have had this time."""
    reconnect_grace_s: Seconds = 2.0
    """Seconds that a client has to end its stream after it was asked to reconnect."""
    outbox_size: Positive = 4
    """Most masks that wait for a slow reader in a stream; then the oldest is dropped, and its frame is answered
    SUPERSEDED."""
