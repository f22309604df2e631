"""Colours that change for segmenters alone, with numbers that a reader can compute by hand."""

import pytest
import torch
from torch import Tensor

from isthmus.training.madan.color_jitter import ColorJitter, ColorJitterConfig, recolor

RED = (1.0, 0.0, 0.0)


def changed(pixels: list[tuple[float, float, float]], **factors: float) -> Tensor:
    """[N,3], the pixels of one image after `recolor`."""
    image = torch.tensor(pixels).T.reshape(1, 3, 1, -1)
    values = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "turn": 0.0, **factors}
    return recolor(image, **{name: torch.tensor([value]) for name, value in values.items()})[0, :, 0].T


def test_brightness_is_a_factor_and_stops_at_white() -> None:
    torch.testing.assert_close(changed([(0.2, 0.4, 0.8)], brightness=1.5), torch.tensor([[0.3, 0.6, 1.0]]))


def test_contrast_is_about_the_mean_grey() -> None:
    halved = changed([(0.2, 0.2, 0.2), (0.6, 0.6, 0.6)], contrast=0.5)
    torch.testing.assert_close(halved, torch.tensor([[0.3] * 3, [0.5] * 3]))


def test_without_saturation_red_is_its_luma() -> None:
    torch.testing.assert_close(changed([RED], saturation=0.0), torch.tensor([[0.299] * 3]))


def test_a_third_of_a_turn_makes_red_green() -> None:
    torch.testing.assert_close(changed([RED], turn=1 / 3), torch.tensor([[0.0, 1.0, 0.0]]), rtol=0, atol=1e-6)


def test_each_image_is_changed_in_its_own_way_and_the_given_ones_stay() -> None:
    images = torch.rand(1, 3, 4, 4).expand(3, -1, -1, -1).clone()
    kept = images.clone()
    first, second, third = ColorJitter(ColorJitterConfig(probability=1.0), 1)(images)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    assert torch.equal(images, kept)


def test_with_probability_0_nothing_changes() -> None:
    images = torch.rand(4, 3, 5, 5)
    torch.testing.assert_close(ColorJitter(ColorJitterConfig(probability=0.0), 1)(images), images)


def test_a_restored_jitter_goes_on_with_the_same_draws() -> None:
    images = torch.rand(2, 3, 4, 4)
    whole, restored = ColorJitter(ColorJitterConfig(), 1), ColorJitter(ColorJitterConfig(), 2)
    whole(images)
    restored.load_state_dict(whole.state_dict())
    assert torch.equal(whole(images), restored(images))


@pytest.mark.parametrize("most", [0.0, 0.4])
def test_factors_stay_within_their_limits(most: float) -> None:
    images = torch.full((200, 3, 1, 1), 0.5)
    config = ColorJitterConfig(probability=1.0, brightness=most, contrast=0.0, saturation=0.0, hue=0.0)
    values = ColorJitter(config, 3)(images)
    assert float(values.min()) >= 0.5 * (1 - most) - 1e-6
    assert float(values.max()) <= 0.5 * (1 + most) + 1e-6
