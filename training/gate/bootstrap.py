"""How sure a difference of mIoU is: a paired bootstrap over frames.

*Equation*: percentile interval of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, for the
statistic mIoU(challenger) − mIoU(champion). A draw takes F frames with replacement, sums both models' confusion
matrices over those same frames, and takes the difference of the two mIoUs.

*Deviations*: frames of one drive resemble each other, which an interval over single frames does not know: it is
narrower than one over new drives would be. Of very few frames it says next to nothing (of one, it has no width at all),
which is why `TargetConfig.min_frames` asks for some.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference and the interval around it."""

    difference: float
    """On the frames as they are."""
    low: float
    high: float


def miou(counts: NDArray[np.integer | np.floating]) -> NDArray[np.float64]:
    """Mean IoU over the classes that occur in the truth, as `metrics.ConfusionMatrix` takes it; 0 where none does.

    Args:
        counts: [..., C, C + 1] pixels: row true class, column predicted class or, last, none of them.

    Returns:
        [...] in [0, 1].
    """
    iou = iou_per_class(counts)
    occurs = counts.sum(-1) > 0
    classes = occurs.sum(-1)
    total: NDArray[np.float64] = np.where(occurs, iou, 0.0).sum(-1)
    mean: NDArray[np.float64] = total / np.maximum(classes, 1)
    return mean


def iou_per_class(counts: NDArray[np.integer | np.floating]) -> NDArray[np.float64]:
    """IoU [..., C] of confusion matrices [..., C, C + 1]; 0 for a class in neither truth nor prediction."""
    right = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    union = counts.sum(-1) + counts[..., :-1].sum(-2) - right
    iou: NDArray[np.float64] = np.divide(right, union, out=np.zeros_like(right), where=union > 0)
    return iou


def paired_bootstrap(
    challenger: NDArray[np.int64], champion: NDArray[np.int64], *, level: float, resamples: int, seed: int = 0
) -> Interval:
    """The interval of mIoU(challenger) − mIoU(champion) on the same frames.

    Args:
        challenger: [F, C, C + 1] confusion matrix of each frame.
        champion: The same frames in the same order.
        level: Share of draws that the interval holds, in (0, 1).
        resamples: Draws.
        seed: Of the draws.
    """
    assert challenger.shape == champion.shape
    frames = len(challenger)
    draws = np.random.default_rng(seed).multinomial(frames, np.full(frames, 1 / frames), resamples)
    differences = _drawn(challenger, draws) - _drawn(champion, draws)
    tail = (1 - level) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    observed = miou(challenger.sum(0)) - miou(champion.sum(0))
    return Interval(float(observed), float(low), float(high))


def _drawn(counts: NDArray[np.int64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mIoU of each draw [R, F] of frames' matrices [F, C, C + 1]."""
    flat = counts.reshape(len(counts), -1).astype(np.float64)  # exact below 2^53, and products of floats are fast
    return miou((draws.astype(np.float64) @ flat).reshape(len(draws), *counts.shape[1:]))
