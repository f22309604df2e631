"""How long a frame takes, all models in turn, so that what else the machine does weighs on each of them alike."""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from isthmus.training.gate.evidence import Latency
from isthmus.training.gate.observation import Bytes, Predict

_WARM_UP_CALLS: Final = 3


def measure_latency(models: Sequence[Predict], image: Bytes, calls: int) -> list[Latency]:
    """Time single frames.

    Args:
        models: Each is called `calls` times, in turn.
        image: [H, W, 3] RGB.
        calls: Timed calls of each model, after a few that are not.
    """
    batch = image[None]
    seconds = np.zeros((calls, len(models)))
    for call in range(-_WARM_UP_CALLS, calls):
        for number, predict in enumerate(models):
            start = time.perf_counter()
            predict(batch)
            if call >= 0:
                seconds[call, number] = time.perf_counter() - start
    size_hw = (image.shape[0], image.shape[1])
    return [
        Latency(
            median_ms=1000 * float(np.median(times)),
            p95_ms=1000 * float(np.quantile(times, 0.95)),
            frame_hw=size_hw,
            calls=calls,
        )
        for times in seconds.T
    ]
