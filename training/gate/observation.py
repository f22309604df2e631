"""Counts of what a model said about frames: by class and confidence, right and wrong, and in other colours.

Everything is counted at the head's resolution, where the graph gives its confidence; labels are taken at the centres
of the head's pixels.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, LabelSpace

NUM_TRAIN_IDS: Final = CITYSCAPES19.num_classes
_LEVELS: Final = 256

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Predict = Callable[[Bytes], tuple[Bytes, Bytes]]
"""RGB frames [B, H, W, 3] to labels [B, H, W] in train ids and confidence [B, h, w], as `OnnxModel.predict`."""


class Observation:
    """What one model said about frames of one data set.

    Args:
        space: The data set's label space: a pixel is right where truth and prediction are one of its classes.
    """

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        self.pixels: Counts = np.zeros((NUM_TRAIN_IDS, _LEVELS), np.int64)
        """[19, 256] pixels by predicted class and confidence."""
        self.valid: Counts = np.zeros_like(self.pixels)
        """[19, 256] those that have a truth."""
        self.right: Counts = np.zeros_like(self.pixels)
        """[19, 256] those that are right."""
        self.truth: Counts = np.zeros((NUM_TRAIN_IDS, NUM_TRAIN_IDS), np.int64)
        """[19, 19] pixels by true and predicted class."""
        self.styled: Counts = np.zeros((NUM_TRAIN_IDS, NUM_TRAIN_IDS), np.int64)
        """[19, 19] pixels by predicted class on the frame as it is and in other colours."""

    def add(self, labels: Bytes, confidence: Bytes, mask: Bytes | None = None) -> None:
        """Count one frame.

        Args:
            labels: [H, W] predicted train ids; ids above 18 count nowhere.
            confidence: [h, w], round(255 · max softmax).
            mask: [H, W] true train ids or 255.
        """
        predicted = at_head(labels, confidence.shape)
        known = predicted < NUM_TRAIN_IDS
        self.pixels += _pairs(predicted[known], confidence[known], self.pixels.shape)
        if mask is None:
            return
        true = at_head(mask, confidence.shape)
        fold = self.space.fold_table
        known &= (true < NUM_TRAIN_IDS) & (fold[true] != IGNORE_INDEX)
        right = known & (fold[true] == fold[predicted])
        self.valid += _pairs(predicted[known], confidence[known], self.valid.shape)
        self.right += _pairs(predicted[right], confidence[right], self.right.shape)
        self.truth += _pairs(true[known], predicted[known], self.truth.shape)

    def add_styled(self, labels: Bytes, styled: Bytes) -> None:
        """Count one frame's labels [H, W] as it is and in other colours."""
        known = (labels < NUM_TRAIN_IDS) & (styled < NUM_TRAIN_IDS)
        self.styled += _pairs(labels[known], styled[known], self.styled.shape)

    @property
    def predicted_shares(self) -> NDArray[np.float64]:
        """[19] share of all pixels by predicted class; zeros before the first frame."""
        return _shares(self.pixels.sum(1))

    @property
    def true_shares(self) -> NDArray[np.float64]:
        """[19] share of valid pixels by true class; zeros where nothing has a truth."""
        return _shares(self.truth.sum(1))

    @property
    def mean_confidence(self) -> float:
        """Over all pixels, in [0, 1]; 0 before the first frame."""
        return float(mean_level(self.pixels.sum(0)))

    @property
    def style_agreement(self) -> float | None:
        """Share of pixels whose label stays in other colours; None where no frame was looked at so."""
        total = int(self.styled.sum())
        return int(np.trace(self.styled)) / total if total else None


def at_head(full: Bytes, size_hw: tuple[int, ...]) -> Bytes:
    """Values of a picture [H, W] at the centres of the pixels of a smaller (or equal) grid [h, w]."""
    rows, columns = (
        ((np.arange(few) + 0.5) * many / few).astype(np.int64) for few, many in zip(size_hw, full.shape, strict=True)
    )
    taken: Bytes = full[rows[:, None], columns]
    return taken


def mean_level(pixels: Counts) -> NDArray[np.float64]:
    """Mean confidence in [0, 1] of pixels counted by confidence [..., 256]; 0 where there is none."""
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    mean: NDArray[np.float64] = (pixels @ levels) / np.maximum(pixels.sum(-1), 1)
    return mean


def _pairs(first: Bytes, second: Bytes, shape: tuple[int, ...]) -> Counts:
    rows, columns = shape
    return np.bincount(first.astype(np.int64) * columns + second, minlength=rows * columns).reshape(shape)


def _shares(counts: Counts) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / max(int(counts.sum()), 1)
    return shares
