"""What a server tells a client: models, masks, times."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelClass:
    """One class.

    Args:
        name: For example `road`.
        color: RGB, 0..255.
    """

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class ModelInfo:
    """The model that answers.

    Args:
        name: The registered model's name.
        version: The registry's version, or `file`.
        sha256: Of the ONNX file, hex.
        label_space_id: Changes with any id or name.
        classes: In order of the ids, from 0.
        provider: onnxruntime's execution provider.
        provider_fallback: Whether a GPU was preferred but is not used.
        from_cache: Whether this is the last good model: the registry did not answer, or its champion was refused.
    """

    name: str
    version: str
    sha256: str
    label_space_id: str
    classes: tuple[LabelClass, ...]
    provider: str
    provider_fallback: bool
    from_cache: bool

    @property
    def palette(self) -> NDArray[np.uint8]:
        """RGB colours [256, 3] uint8 by id; ids without a class, and 255, are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.classes)] = [item.color for item in self.classes]
        return table


class Change(StrEnum):
    """How the model that answers came about."""

    CURRENT = "current"
    """It served already when the watch began."""
    SWAPPED = "swapped"
    """It was promoted."""
    ROLLED_BACK = "rolled_back"
    """The server went back to it by itself."""
    REFUSED = "refused"
    """It goes on, since a promoted version was refused."""
    UNKNOWN = "unknown"
    """A newer server says something that this client does not know."""


@dataclass(frozen=True)
class ModelChange:
    """A change of the model, as `watch_model` tells it.

    Args:
        change: What happened.
        model: The model that answers from now on.
        reason: For people; empty where nothing went wrong.
        refused_version: The version that was refused, with `Change.REFUSED`.
        changed_at: When it happened by the server's clock, in UTC; None where the server does not say.
    """

    change: Change
    model: ModelInfo
    reason: str
    refused_version: str
    changed_at: datetime | None


@dataclass(frozen=True)
class Timings:
    """Microseconds that the server spent on a frame."""

    decode_us: int
    queue_us: int
    infer_us: int
    encode_us: int


@dataclass(frozen=True)
class Segmentation:
    """The answer to one frame.

    Args:
        mask: Ids [H, W] uint8, 255 unlabelled.
        confidence: round(255 x highest class probability) [h, w] uint8, smaller than the mask.
        model_version: The registry's version, or `file`.
        label_space_id: Says what the ids mean; see `ModelInfo`.
        class_fractions: Share of the pixels by id, in [0, 1].
        timings: Where the time went.
    """

    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    model_version: str
    label_space_id: str
    class_fractions: tuple[float, ...]
    timings: Timings
