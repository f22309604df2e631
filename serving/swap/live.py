"""What the frames of one model have shown since it began to serve."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.serving.events import BatchDone, Event, FrameDone

_FRAMES: Final = 2000
_BATCHES: Final = 256
_QUIET_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class BatchShape:
    """What the engine gets: [size, height, width, 3]."""

    size: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class _Batch:
    at: float
    shape: BatchShape
    infer_s: float


class LiveRecord:
    """Times, failures and confidences of the last frames of a model version.

    Args:
        version: The model's.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, version: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = version
        self.num_answered = 0
        """Frames with a mask."""
        self.num_failed = 0
        """Batches that the engine could not compute."""
        self._clock = clock
        self._batches: deque[_Batch] = deque(maxlen=_BATCHES)
        self._seconds: deque[float] = deque(maxlen=_FRAMES)
        self._confidences: deque[float] = deque(maxlen=_FRAMES)

    def heard(self, event: Event) -> None:
        """Note what is of this version."""
        if isinstance(event, BatchDone):
            self._note_batch(event)
        elif isinstance(event, FrameDone) and event.model_version == self.version:
            self._note_frame(event)

    def _note_batch(self, event: BatchDone) -> None:
        if event.model_version != self.version:
            return
        if event.error is not None:
            self.num_failed += 1  # not each frame: those of a failed batch run again alone
        elif event.prediction is not None:
            shape = BatchShape(event.padded_to, *event.images.shape[1:3])
            self._batches.append(_Batch(self._clock(), shape, event.infer_s))

    def _note_frame(self, event: FrameDone) -> None:
        # A frame may also have failed for what is no fault of the model: the server drains, or its codec gave up.
        if event.verdict == "segmented":
            self.num_answered += 1
            if event.infer_s is not None:
                self._seconds.append(event.infer_s)
            if event.confidence_mean is not None:
                self._confidences.append(event.confidence_mean)

    @property
    def busy(self) -> bool:
        """Whether frames came within the last second."""
        return bool(self._batches) and self._clock() - self._batches[-1].at < _QUIET_S

    @property
    def usual_shape(self) -> BatchShape | None:
        """The most frequent one of the last batches."""
        counted = Counter(batch.shape for batch in self._batches)
        return counted.most_common(1)[0][0] if counted else None

    @property
    def sizes(self) -> set[int]:
        """Sizes of the last batches."""
        return {batch.shape.size for batch in self._batches}

    def frame_sizes(self, most: int) -> list[tuple[int, int]]:
        """The `most` most frequent heights and widths of the last batches."""
        counted = Counter((batch.shape.height, batch.shape.width) for batch in self._batches)
        return [size for size, _ in counted.most_common(most)]

    def now(self) -> float:
        """The moment, on this record's clock."""
        return self._clock()

    def seconds_of(self, shape: BatchShape, since: float) -> list[float]:
        """How long the batches of a shape took in the engine that ended since a moment; see `now`."""
        return [batch.infer_s for batch in self._batches if batch.shape == shape and batch.at >= since]

    @property
    def error_rate(self) -> float:
        """Failures of the engine, as a share of them and the answered frames."""
        return self.num_failed / max(1, self.num_failed + self.num_answered)

    @property
    def p99_s(self) -> float | None:
        """99th percentile of the time in the engine, of the last frames."""
        return float(np.percentile(self._seconds, 99)) if self._seconds else None

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the last frames, in [0, 1]."""
        return float(np.mean(self._confidences)) if self._confidences else None
