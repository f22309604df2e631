"""One caller's frames, as far as the scheduler needs to know them."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class ServiceClass(StrEnum):
    """What a frame is for; the protocol's enumeration of the same name."""

    LIVE = "live"
    """Somebody drives by it."""

    BULK = "bulk"
    """Recordings, labelling, tests."""


class Group(NamedTuple):
    """What frames must share to be one batch."""

    shape_hw: tuple[int, int]
    """(height, width), pixels."""
    version: str
    """The model's version that the caller insists on; empty for whichever answers."""


@dataclass(eq=False, slots=True, kw_only=True)
class Work:
    """Frames that run together or not at all: one, or the batch of one request.

    Args:
        vehicle: Who sent them.
        service_class: Live goes before bulk.
        stream: Names the slot of a camera's stream, where newer work replaces older; None for a unary call.
        arrived: The clock's time of arrival, seconds.
        deadline: The clock's time from which on an answer is of no use; infinity for none.
        group: What they share with the others of their batch.
        count: Number of frames.
    """

    vehicle: str
    service_class: ServiceClass
    stream: Hashable | None = None
    arrived: float
    deadline: float = math.inf
    group: Group
    count: int = 1
