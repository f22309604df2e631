"""How far a model's confidence can be believed: reliability bins and the expected calibration error.

*Equation*: ECE = Σ_b (n_b / n) |accuracy_b − confidence_b| over bins of equal width (Guo et al., arXiv:1706.04599,
section 2).

*Deviations*: over pixels of all frames together, at the head's resolution, where the graph gives its confidence;
confidence is a byte, so that a bin holds 17 of its 256 values.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.training.gate.evidence import Reliability, ReliabilityBin

NUM_BINS: Final = 15
_LEVELS: Final = np.arange(256) / 255


def reliability(pixels: NDArray[np.int64], right: NDArray[np.int64]) -> Reliability | None:
    """Bins and their error; None where there is no pixel.

    Args:
        pixels: [256] valid pixels by confidence, round(255 · max softmax).
        right: [256] those of them that are labelled right.
    """
    total = int(pixels.sum())
    if total == 0:
        return None
    number = np.minimum((_LEVELS * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    held = np.bincount(number, pixels, NUM_BINS)
    sure = np.bincount(number, pixels * _LEVELS, NUM_BINS)
    hits = np.bincount(number, right, NUM_BINS)
    bins = tuple(
        ReliabilityBin(
            confidence=float(sure[b] / held[b]), accuracy=float(hits[b] / held[b]), share=float(held[b] / total)
        )
        for b in range(NUM_BINS)
        if held[b]
    )
    return Reliability(bins=bins, ece=sum(b.share * abs(b.accuracy - b.confidence) for b in bins))
