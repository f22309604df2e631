import numpy as np
import pytest
import torch

from isthmus.datasets.label_space import CAMVID11
from isthmus.training.gate.bootstrap import iou_per_class, miou, paired_bootstrap
from isthmus.training.metrics import ConfusionMatrix

RIGHT = [[4, 0, 0], [0, 4, 0]]
HALF = [[2, 2, 0], [0, 4, 0]]  # IoU 2/4 and 4/6
NONE = [[0, 4, 0], [4, 0, 0]]


def frames(*matrices: list[list[int]]) -> np.ndarray:
    return np.array(matrices, np.int64)


def test_iou_by_hand():
    assert iou_per_class(np.array(HALF)).tolist() == pytest.approx([1 / 2, 2 / 3])
    assert miou(np.array(HALF)) == pytest.approx(7 / 12)
    assert miou(np.zeros((2, 3))) == 0
    # Class 1 does not occur: one stray prediction of it does not enter the mean.
    assert miou(np.array([[3, 1, 0], [0, 0, 0]])) == pytest.approx(3 / 4)


def test_miou_is_the_metrics_own():
    draws = np.random.default_rng(0)
    truth, pred = (torch.from_numpy(draws.integers(0, 19, (40, 40), np.uint8)) for _ in range(2))
    truth[truth == 3] = 255
    matrix = ConfusionMatrix(CAMVID11)
    matrix.update(pred, truth)
    assert float(miou(matrix.counts.numpy())) == pytest.approx(matrix.scores(range(19)).miou)


def test_equal_models_differ_by_nothing():
    same = frames(RIGHT, HALF, NONE)
    interval = paired_bootstrap(same, same, level=0.95, resamples=200)
    assert (interval.difference, interval.low, interval.high) == (0, 0, 0)


def test_one_frame_has_no_spread():
    interval = paired_bootstrap(frames(RIGHT), frames(HALF), level=0.95, resamples=200)
    assert interval.difference == interval.low == interval.high == pytest.approx(1 - 7 / 12)


def test_pairs_are_drawn_together():
    # Frame by frame the challenger is better by little, though frames differ by much: unpaired, the interval would
    # hold 0.
    challenger, champion = frames(*[RIGHT, HALF] * 10), frames(*[[[4, 0, 0], [1, 3, 0]], NONE] * 10)
    interval = paired_bootstrap(challenger, champion, level=0.95, resamples=400)
    assert 0 < interval.low < interval.difference < interval.high


def test_luck_shows_in_the_interval():
    # Better on one frame of eight, the same on the others: a draw misses that frame with (7/8)^8 = 34 %.
    challenger, champion = frames(*[HALF] * 7, RIGHT), frames(*[HALF] * 8)
    interval = paired_bootstrap(challenger, champion, level=0.95, resamples=400)
    assert interval.low == 0 < interval.difference
    again = paired_bootstrap(challenger, champion, level=0.95, resamples=400)
    assert interval == again
    narrow = paired_bootstrap(challenger, champion, level=0.5, resamples=400)
    assert narrow.high - narrow.low < interval.high - interval.low
