import numpy as np
import pytest

from isthmus.training.gate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from isthmus.training.gate.styles import STYLES, restyled
from isthmus.training.golden import drawn_streets

STREET = drawn_streets(1, (96, 128))[0]


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_frames_are_spoiled_more_with_severity_and_the_same_each_time(kind: str):
    before = STREET.copy()
    spoiled = [corrupt(STREET, kind, severity, number=2) for severity in SEVERITIES]
    assert np.array_equal(STREET, before)
    assert all(image.shape == STREET.shape and image.dtype == np.uint8 for image in spoiled)
    damage = [np.abs(image.astype(int) - STREET).mean() for image in spoiled]
    assert 0 < damage[0] < damage[1] < damage[2]
    assert np.array_equal(corrupt(STREET, kind, 2, number=2), spoiled[1])


@pytest.mark.parametrize("kind", ["noise", "fog", "brightness"])
def test_another_frame_is_spoiled_in_another_way(kind: str):
    assert not np.array_equal(corrupt(STREET, kind, 2, number=2), corrupt(STREET, kind, 2, number=3))


def test_noise_has_the_deviation_that_is_written_down():
    grey = np.full((64, 64, 3), 128, np.uint8)
    assert corrupt(grey, "noise", 2, number=0).std() == pytest.approx(20, rel=0.03)


def test_exposure_goes_up_on_even_frames_and_down_on_odd_ones():
    grey = np.full((2, 2, 3), 100, np.uint8)
    # One stop is a factor of 2 in light, 2^(1 / 2.2) = 1.370 in the coded value.
    assert corrupt(grey, "brightness", 2, number=0)[0, 0].tolist() == [137] * 3
    assert corrupt(grey, "brightness", 2, number=1)[0, 0].tolist() == [73] * 3


def test_fog_is_thickest_far_away():
    black = np.zeros((90, 120, 3), np.uint8)
    fog = corrupt(black, "fog", 2, number=0).astype(float).mean((1, 2))
    # Optical depth 2 at the horizon, 2 / 5 at the lower edge: 205 · (1 − e^−2) = 177 and 205 · (1 − e^−0.4) = 68, as
    # far as the patches let them.
    assert fog[45] == pytest.approx(177, abs=15)
    assert fog[-1] == pytest.approx(68, abs=15)


def test_blur_keeps_the_mean_and_takes_the_edges():
    halves = np.zeros((100, 100, 3), np.uint8)
    halves[:, 50:] = 200
    blurred = corrupt(halves, "blur", 3, number=0)
    assert blurred.mean() == pytest.approx(100, abs=1)
    assert 60 < blurred[50, 49, 0] < 100 < blurred[50, 50, 0] < 140


def test_jpeg_keeps_colours_in_their_channels():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert corrupt(red, "jpeg", 1, number=0)[8, 8].tolist() == pytest.approx([200, 0, 0], abs=12)


def test_styles_change_colours_and_nothing_else():
    before = STREET.copy()
    images = [restyled(STREET, number) for number in range(len(STYLES))]
    assert np.array_equal(STREET, before)
    assert all(np.abs(image.astype(int) - STREET).mean() > 3 for image in images)
    assert np.array_equal(restyled(STREET, len(STYLES)), images[0])
    # A pixel's new colour depends on its old one alone: what has one colour keeps one colour.
    assert len(np.unique(restyled(np.full((4, 4, 3), 90, np.uint8), 2).reshape(-1, 3), axis=0)) == 1
    # The pale style: grey stays grey, and comes nearer to the middle: 0.5 + 0.65 · (0.8 − 0.5) = 0.695.
    assert restyled(np.full((1, 1, 3), 204, np.uint8), 2)[0, 0].tolist() == [177] * 3
