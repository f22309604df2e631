"""Engines: whatever turns a batch of images into labels, without blocking the event loop."""

import asyncio
import logging
import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS
from isthmus.errors import EngineLostError
from isthmus.serving.bound_session import BoundSession

logger = logging.getLogger(__name__)

_LOST_KINDS: Final = frozenset({"EPFail", "EngineError", "DeviceReset"})  # by name: onnxruntime exports none of them
_NO_ROOM: Final = re.compile(r"out of memory|ALLOC_FAILED", re.IGNORECASE)  # the device goes on working after that
_LOST_MESSAGE: Final = re.compile(r"\b(CUDA|CUDNN|CUBLAS|CUFFT) (failure|error)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Prediction:
    """What a model says about a batch.

    Args:
        labels: Train ids [B, H, W] uint8, 255 unlabelled.
        confidence: round(255 x highest class probability) [B, h, w] uint8, at the head's resolution.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


class Engine(Protocol):
    """Runs one model."""

    async def infer(self, images: NDArray[np.uint8], *, deadline: float = math.inf) -> Prediction:
        """Predict RGB images [B, H, W, 3] uint8 of one size.

        Args:
            images: The batch.
            deadline: The monotonic clock's time from which on nobody needs the answer; an engine on another machine
                passes it on.

        Raises:
            EngineLostError: No later call can succeed either.
        """
        ...

    def close(self) -> None:
        """Free the model; no `infer` may follow."""
        ...


class OrtEngine:
    """An onnxruntime session on a thread of its own, one batch at a time.

    Args:
        session: A session that keeps the contract (`session.open_session`).
        bound: Its fixed buffers on the GPU; None runs it by names, which on a CPU is as fast.
    """

    def __init__(self, session: Any, bound: BoundSession | None = None) -> None:
        self._session = session
        self._bound = bound
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    async def infer(self, images: NDArray[np.uint8], *, deadline: float = math.inf) -> Prediction:  # noqa: ARG002
        """Predict on the engine's thread; a running batch always finishes, whoever is cancelled or too late."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.infer_now, images)

    def infer_now(self, images: NDArray[np.uint8]) -> Prediction:
        """Predict on the calling thread."""
        try:
            if self._bound is None:
                labels, confidence = self._session.run([OUTPUT_LABELS, OUTPUT_CONFIDENCE], {INPUT_NAME: images})
            else:
                labels, confidence = self._bound.run(images)
        except Exception as error:
            if not _is_lost(error):
                raise
            logger.exception("THE EXECUTION PROVIDER HAS FAILED")
            raise EngineLostError(
                "the execution provider has failed, and a CUDA error stays until the process ends",
                remedy="Ask another server; this one ends, to be started again.",
            ) from error
        return Prediction(labels, confidence)

    def close(self) -> None:
        """End the thread after the running batch, without waiting for it."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _is_lost(error: Exception) -> bool:
    """Whether the execution provider can do nothing any more; memory that is short today may be there tomorrow."""
    if _NO_ROOM.search(str(error)):
        return False
    return type(error).__name__ in _LOST_KINDS or _LOST_MESSAGE.search(str(error)) is not None
