"""Estimates of a model's scores on frames without labels.

Each estimator looks at the frames' predictions, and at the same model's predictions on labelled source frames, which it
is fitted on; those must be frames that trained nothing, or the model looks surer there than it is.

1. `confidence`: a pixel is right with the probability that the model gives it. Nothing is fitted.
2. `difference of confidences` (Guillory et al., arXiv:2107.03315): what confidence loses between source
   and target, precision loses too.
3. `thresholded confidence` (Garg et al., arXiv:2201.04234): pixels above a threshold are right; the threshold
   is the one above which there are as many source pixels as are right.
4. `style agreement`: scores fall with the agreement between a frame and itself in other colours, in proportion to
   their ratio on the source. In the spirit of estimating accuracy from disagreement (Jiang et al., arXiv:2106.13799).

The first three give, for each predicted class, the pixels that are right, with a threshold and a difference of each
predicted class's own, as Li et al. found for segmentation (arXiv:2207.09957).

*Deviations*: only the largest softmax value leaves the graph, not the whole distribution, so wrong pixels go to other
classes as the model's mistakes on the source frames did. That makes an expected confusion matrix, from which IoU
follows. A class that is predicted too rarely on the source takes the threshold or difference of all classes together.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import IGNORE_INDEX, LabelSpace
from isthmus.datasets.sample import Sample, UnlabelledSample
from isthmus.training.gate.bootstrap import iou_per_class
from isthmus.training.gate.evidence import Estimate
from isthmus.training.gate.observation import NUM_TRAIN_IDS, Bytes, Counts, Observation, Predict, mean_level
from isthmus.training.gate.styles import restyled

Estimator = Literal["confidence", "difference of confidences", "thresholded confidence", "style agreement"]
STYLE_ESTIMATORS: Final[frozenset[Estimator]] = frozenset({"style agreement"})
"""Those that look at frames in other colours."""

Floats = NDArray[np.float64]
_MIN_PIXELS: Final = 200
"""Predicted pixels on the source below which a class is too rare to be fitted on by itself."""


def estimate(
    predict: Predict,
    source: Iterable[Sample],
    target: Iterable[UnlabelledSample],
    *,
    source_space: LabelSpace,
    target_space: LabelSpace,
) -> dict[Estimator, Estimate]:
    """All estimates of a model's scores on a target.

    Args:
        predict: The model.
        source: Labelled frames that trained nothing.
        target: Frames to estimate on.
        source_space: Label space of the source.
        target_space: Label space of the target: scores are over those of its classes that the source frames show.

    Returns:
        mIoU and pixel accuracy by estimator.
    """
    fitted, seen = Observation(source_space), Observation(target_space)
    for number, sample in enumerate(source):
        observe(predict, fitted, sample["image"], number, mask=sample["mask"])
    for number, unlabelled in enumerate(target):
        observe(predict, seen, unlabelled["image"], number)
    return estimates(fitted, seen)


def observe(
    predict: Predict, observation: Observation, image: Bytes, number: int, *, mask: Bytes | None = None
) -> None:
    """Count one frame as it is and in other colours.

    Args:
        predict: The model.
        observation: Where to count.
        image: [H, W, 3] RGB.
        number: Of the frame among those that are looked at; chooses the colours.
        mask: [H, W] true train ids or 255.
    """
    labels, confidence = predict(image[None])
    observation.add(labels[0], confidence[0], mask)
    styled, _ = predict(restyled(image, number)[None])
    observation.add_styled(labels[0], styled[0])


def estimates(source: Observation, target: Observation) -> dict[Estimator, Estimate]:
    """Estimates on a target; `style agreement` only where both observations have frames in other colours.

    Args:
        source: With truth.
        target: Its truth, if there, is not looked at.
    """
    shown = target.space.own_ids_labelled_by(np.flatnonzero(source.truth.sum(1)).tolist())
    classes = sorted(shown)
    found: dict[Estimator, Estimate] = {}
    for name, right_share in _RIGHT_SHARES.items():
        expected = _expected_confusion(source, target, right_share(source, target))
        found[name] = _scores(_folded(expected, target.space), classes)
    if source.styled.any() and target.styled.any():
        found["style agreement"] = _by_style(source, target, classes)
    return found


def _confidence(_source: Observation, target: Observation) -> Floats:
    return mean_level(target.pixels)


def _difference(source: Observation, target: Observation) -> Floats:
    """[19] precision by predicted class: the source's plus what confidence gained on the way (mostly below 0)."""
    precision = _by_class(source.valid, lambda pixels, right: right.sum() / max(pixels.sum(), 1), source.right)
    sure = _by_class(source.valid, lambda pixels, _: float(mean_level(pixels)), source.right)
    return np.clip(precision + mean_level(target.pixels) - sure, 0, 1)


def _thresholded(source: Observation, target: Observation) -> Floats:
    """[19] share of pixels of each predicted class above its threshold."""
    kept = np.stack([_kept(*counts) for counts in _counts_by_class(source.valid, source.right)])
    above: Floats = (kept * target.pixels).sum(1) / np.maximum(target.pixels.sum(1), 1)
    return above


def _kept(pixels: Counts, right: Counts) -> Floats:
    """[256] share of each confidence that lies above the threshold: 1, then a fraction at the threshold itself, then 0.

    Confidence is a byte, so that many pixels share the threshold's value; the fraction makes as many lie above as are
    right.
    """
    from_top = np.cumsum(pixels[::-1])[::-1]
    above = from_top - pixels
    kept: Floats = np.clip((right.sum() - above) / np.maximum(pixels, 1), 0, 1)
    return kept


def _by_class(pixels: Counts, measure: Callable[[Counts, Counts], float], right: Counts) -> Floats:
    return np.array([measure(*counts) for counts in _counts_by_class(pixels, right)])


def _counts_by_class(pixels: Counts, right: Counts) -> list[tuple[Counts, Counts]]:
    """Pixels and right ones [256] for each predicted class; of all classes for one too rare to be fitted on."""
    together = pixels.sum(0), right.sum(0)
    return [(pixels[one], right[one]) if pixels[one].sum() >= _MIN_PIXELS else together for one in range(NUM_TRAIN_IDS)]


_RIGHT_SHARES: Final[Mapping[Estimator, Callable[[Observation, Observation], Floats]]] = {
    "confidence": _confidence,
    "difference of confidences": _difference,
    "thresholded confidence": _thresholded,
}
"""Share [19] of the target's pixels of each predicted class that are right."""


def _expected_confusion(source: Observation, target: Observation, right_share: Floats) -> Floats:
    """[19, 19] pixels by true and predicted class, if wrong ones went where the source's went."""
    predicted = target.pixels.sum(1).astype(np.float64)
    fold = source.space.fold_table[:NUM_TRAIN_IDS]
    wrong = np.where(fold[:, None] == fold, 0, source.truth).astype(np.float64)
    # One pixel more, spread as the classes are: a class that is never wrong on the source may be wrong elsewhere.
    wrong += np.where(fold[:, None] == fold, 0, source.true_shares[:, None])
    wrong /= np.maximum(wrong.sum(0), np.finfo(np.float64).tiny)
    expected: Floats = wrong * (predicted * (1 - right_share))
    expected[np.diag_indices(NUM_TRAIN_IDS)] += predicted * right_share
    return expected


def _folded(counts: NDArray[np.integer | np.floating], space: LabelSpace) -> Floats:
    """[19, 19] counts by train class as [C, C + 1] by own class; true classes that have none are left out."""
    own = np.where(
        space.fold_table[:NUM_TRAIN_IDS] == IGNORE_INDEX, space.num_classes, space.fold_table[:NUM_TRAIN_IDS]
    )
    folded = np.zeros((space.num_classes + 1, space.num_classes + 1))
    np.add.at(folded, (own[:, None], own[None, :]), counts)
    counted: Floats = folded[:-1]
    return counted


def _scores(counts: Floats, classes: list[int]) -> Estimate:
    """Mean IoU over some classes, and accuracy, of a confusion matrix [C, C + 1]."""
    total = float(counts.sum())
    miou = float(iou_per_class(counts)[classes].mean()) if classes else None
    return Estimate(miou=miou, accuracy=float(np.trace(counts)) / total if total else None)


def _by_style(source: Observation, target: Observation, classes: list[int]) -> Estimate:
    known, there, here = (
        _scores(_folded(counts, target.space), classes) for counts in (source.truth, source.styled, target.styled)
    )
    return Estimate(
        miou=_scaled(known.miou, here.miou, there.miou),
        accuracy=_scaled(known.accuracy, here.accuracy, there.accuracy),
    )


def _scaled(known: float | None, here: float | None, there: float | None) -> float | None:
    if known is None or here is None or not there:
        return None
    return min(1.0, known * here / there)
