import numpy as np
import pytest

from isthmus.training.gate.calibration import reliability


def test_ece_by_hand():
    pixels, right = np.zeros(256, np.int64), np.zeros(256, np.int64)
    pixels[102], right[102] = 30, 6  # confidence 0.4, accuracy 0.2
    pixels[255], right[255] = 70, 63  # confidence 1, accuracy 0.9
    found = reliability(pixels, right)
    assert [bin_.confidence for bin_ in found.bins] == pytest.approx([0.4, 1.0])
    assert [bin_.accuracy for bin_ in found.bins] == pytest.approx([0.2, 0.9])
    assert [bin_.share for bin_ in found.bins] == pytest.approx([0.3, 0.7])
    assert found.ece == pytest.approx(0.3 * 0.2 + 0.7 * 0.1)


def test_errors_within_a_bin_balance_and_between_bins_do_not():
    pixels, right = np.zeros(256, np.int64), np.zeros(256, np.int64)
    pixels[[17, 33]] = 10  # both in the bin from 1/15 to 2/15: confidence 0.0667 and 0.1294, mean 0.098
    right[33] = 2
    found = reliability(pixels, right)
    assert len(found.bins) == 1
    assert found.ece == pytest.approx(abs(0.1 - (17 + 33) / 2 / 255))


def test_perfect_confidence_has_no_error_and_no_pixel_no_answer():
    pixels = np.zeros(256, np.int64)
    assert reliability(pixels, pixels) is None
    pixels[255] = 5
    assert reliability(pixels, pixels).ece == 0
