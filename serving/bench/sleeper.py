"""A model that computes nothing and takes a fixed time for it."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import CardClass, CardLabelSpace, CardNormalisation, GoldenFrame, ModelCard
from isthmus.serving.engine import Prediction
from isthmus.serving.model import LoadedModel
from isthmus.serving.session import CPU

_CONFIDENCE: Final = 200
_HEAD_STRIDE: Final = 4


class SleepingEngine:
    """Takes a fixed time for a batch and no processor: what is left of a frame's time is the server's own.

    Args:
        milliseconds: For a batch, whatever its size.
    """

    def __init__(self, milliseconds: float) -> None:
        self._seconds = milliseconds / 1e3
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def infer(self, images: NDArray[np.uint8], *, deadline: float = math.inf) -> Prediction:  # noqa: ARG002
        """Sleep on the engine's thread, then label every pixel 0."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._infer_now, images)

    def _infer_now(self, images: NDArray[np.uint8]) -> Prediction:
        time.sleep(self._seconds)
        batch, height, width, _ = images.shape
        small = (batch, -(-height // _HEAD_STRIDE), -(-width // _HEAD_STRIDE))
        return Prediction(np.zeros((batch, height, width), np.uint8), np.full(small, _CONFIDENCE, np.uint8))

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def sleeping_model(milliseconds: float, version: str) -> LoadedModel:
    """A model with that engine, which says that it runs on a CPU: one frame a batch."""
    return LoadedModel(
        name="sleeper",
        version=version,
        sha256="0" * 64,
        card=_card(),
        engine=SleepingEngine(milliseconds),
        provider=CPU,
        provider_fallback=False,
        from_cache=False,
    )


def _card() -> ModelCard:
    return ModelCard(
        name="sleeper",
        method="none",
        decoder="none",
        encoder="none",
        label_space=CardLabelSpace(
            name="one", id_hash="0" * 12, classes=(CardClass(name="road", color=(128, 64, 128)),)
        ),
        network_size_hw=(240, 320),
        normalisation=CardNormalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        datasets=(),
        evaluations=(),
        step=0,
        git_commit="0" * 40,
        config_hash="none",
        lock_hash="none",
        weights_sha256="none",
        created_at="2026-01-01T00:00:00+00:00",
        golden=GoldenFrame(image_png="", labels_png=""),
    )
