"""What happens in the server, told to whoever listens: metrics, traces, guards of a new model, shadows.

Everything is told on the event loop, after it has happened; a listener must neither block nor keep a frame's pixels
longer than it needs them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from isthmus.serving.engine import Prediction
from isthmus.serving.swap.comparison import ShadowCompared

logger = logging.getLogger(__name__)


class Change(StrEnum):
    """How the served model came about; the protocol's `ModelChange`."""

    SWAPPED = "swapped"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDone:
    """A frame has its verdict."""

    rpc: str
    """`Segment`, `StreamSegment`, `ModelInfer` or `ModelStreamInfer`."""
    vehicle: str
    """Who sent it; see `identity.vehicle_of`. Never a metric's label."""
    camera: str = ""
    """Its id as the client wrote it, at most 64 characters; empty where it named none. Never a metric's label."""
    verdict: str
    """`segmented`, `superseded`, `expired`, `overloaded`, `invalid`, `cancelled` or `failed`."""
    reason_code: str
    """As in the answer; empty where it was segmented."""
    service_class: str
    """`live` or `bulk`."""
    model_version: str
    """The model's that answered, or would have; empty where there was none."""
    decode_s: float | None
    """Seconds in each stage; None where it was not reached."""
    queue_s: float | None
    infer_s: float | None
    encode_s: float | None
    total_s: float
    """From the frame's arrival to its verdict."""
    slack_s: float
    """Seconds left until its deadline, negative where it was missed; infinity without one."""
    confidence_mean: float | None = None
    """Mean of the confidence map, in [0, 1]."""
    class_fractions: tuple[float, ...] = ()
    """Share of each class in the mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone:
    """The engine has worked on a batch."""

    model_version: str
    sha256: str
    provider: str
    num_frames: int
    """Real ones."""
    padded_to: int
    """With those that fill the batch up."""
    infer_s: float
    images: NDArray[np.uint8]
    """[num_frames, H, W, 3], to be looked at before the listener returns, or copied."""
    prediction: Prediction | None
    """None where it failed."""
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChanged:
    """Another model serves, or one was refused."""

    change: Change
    model_version: str
    """The version that serves from now on."""
    reason: str = ""
    refused_version: str = ""
    seconds: float = 0.0
    """From the sight of the new version to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcDone:
    """A call has ended."""

    rpc: str
    """Its method, without the service."""
    code: str
    """Name of its gRPC status, such as `OK`."""
    seconds: float


Event: TypeAlias = FrameDone | BatchDone | ModelChanged | RpcDone | ShadowCompared


class Listener(Protocol):
    """Hears of everything."""

    def heard(self, event: Event) -> None:
        """Take note; on the event loop."""
        ...


class Events:
    """Tells all listeners of what happens. A listener that fails is logged and never breaks a frame."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` from now on; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """Tell all, in the order in which they came."""
        for listener in tuple(self._listeners):
            try:
                listener.heard(event)
            except Exception:
                logger.exception("%s failed on %s", type(listener).__name__, type(event).__name__)
