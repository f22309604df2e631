"""The arithmetic of the style kinds, with values that a reader can compute by hand."""

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus.training.randomization.styles.amplitude import perturb_amplitudes
from isthmus.training.randomization.styles.color import lab_to_rgb, rgb_to_lab
from isthmus.training.randomization.styles.config import AmplitudeConfig
from isthmus.training.randomization.styles.fourier import swap_amplitudes
from isthmus.training.randomization.styles.statistics import exchange_statistics


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class TestFourier:
    """FDA's swap of low-frequency amplitudes."""

    @pytest.mark.parametrize("size_hw", [(12, 20), (13, 21)])
    def test_a_swap_with_itself_changes_nothing(self, size_hw: tuple[int, int]) -> None:
        images = rand(2, 3, *size_hw)
        torch.testing.assert_close(swap_amplitudes(images, images, torch.tensor([0.1, 0.5])), images)

    def test_beta_0_changes_nothing_at_all(self) -> None:
        images, styles = rand(1, 3, 12, 20), rand(1, 3, 12, 20, seed=1)
        torch.testing.assert_close(swap_amplitudes(images, styles, torch.zeros(1)), images)

    def test_the_mean_becomes_the_styles_and_the_wave_outside_the_window_stays(self) -> None:
        wave = 0.2 * torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).expand(1, 3, 8, 16)
        swapped = swap_amplitudes(0.5 + wave, torch.full((1, 3, 8, 16), 0.25), torch.tensor([0.125]))
        torch.testing.assert_close(swapped, 0.25 + wave)

    @pytest.mark.parametrize(("beta", "amplitude"), [(0.26, 0.2), (0.375, 0.1)])
    def test_the_window_ends_at_beta_times_the_shorter_side(self, beta: float, amplitude: float) -> None:
        # 3 cycles: outside of floor(0.26 * 8) = 2, inside of 0.375 * 8 = 3.
        wave = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).expand(1, 3, 8, 16)
        swapped = swap_amplitudes(0.5 + 0.2 * wave, 0.5 - 0.1 * wave, torch.tensor([beta]))
        torch.testing.assert_close(swapped, 0.5 + amplitude * wave)

    def test_the_window_is_as_tall_as_it_is_wide(self) -> None:
        wave = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16)[:, None].expand(1, 3, 16, 8)
        swapped = swap_amplitudes(0.5 + 0.2 * wave, 0.5 - 0.1 * wave, torch.tensor([0.375]))
        torch.testing.assert_close(swapped, 0.5 + 0.1 * wave)

    def test_each_frame_has_its_own_window(self) -> None:
        images, styles = rand(2, 3, 12, 20), rand(2, 3, 12, 20, seed=1)
        both = swap_amplitudes(images, styles, torch.tensor([0.0, 0.25]))
        torch.testing.assert_close(both[:1], images[:1])
        torch.testing.assert_close(both[1:], swap_amplitudes(images[1:], styles[1:], torch.tensor([0.25])))

    def test_phases_stay_and_amplitudes_are_the_styles_inside_the_window(self) -> None:
        images, styles = rand(1, 3, 12, 20), rand(1, 3, 12, 20, seed=1)
        swapped = torch.fft.fft2(swap_amplitudes(images, styles, torch.tensor([0.25])))
        original, style = torch.fft.fft2(images), torch.fft.fft2(styles)
        turn = torch.angle(swapped * original.conj())
        torch.testing.assert_close(turn, torch.zeros_like(turn), atol=1e-3, rtol=0)
        low = (torch.fft.fftfreq(12).mul(12).abs()[:, None] <= 3.5) & (torch.fft.fftfreq(20).mul(20).abs() <= 3.5)
        expected = torch.where(low, style.abs(), original.abs())
        torch.testing.assert_close(swapped.abs(), expected, atol=1e-3, rtol=1e-4)


class TestAmplitude:
    """PASTA's noise."""

    def test_alpha_and_base_0_change_nothing(self) -> None:
        images = rand(2, 3, 12, 21)
        none = AmplitudeConfig(alpha=0.0, base=0.0)
        torch.testing.assert_close(perturb_amplitudes(images, torch.randn(2, 3, 12, 21), none), images)

    def test_a_flat_frame_is_scaled_by_the_noise_of_its_mean(self) -> None:
        flat, noise = torch.full((1, 3, 4, 4), 0.4), torch.zeros(1, 3, 4, 4)
        noise[0, :, 0, 0] = torch.tensor([-2.0, 0.0, 1.0])
        perturbed = perturb_amplitudes(flat, noise, AmplitudeConfig())
        # 0.4 (1 + 0.25 e)
        torch.testing.assert_close(perturbed.mean((0, 2, 3)), torch.tensor([0.2, 0.4, 0.5]))
        torch.testing.assert_close(perturbed.std((0, 2, 3)), torch.zeros(3))

    def test_the_noise_grows_with_the_frequency(self) -> None:
        # 2 cycles of 8 on a square of 8: |f| / max |f| = 2 / sqrt(32), so s = (3 · 2 / sqrt(32))² + 0.25 = 1.375.
        wave = torch.cos(2 * math.pi * 2 * torch.arange(8) / 8).expand(1, 3, 8, 8)
        noise = torch.zeros(1, 3, 8, 8)
        noise[..., 0, 2], noise[..., 0, 6] = 0.6, 0.2  # the mean of a frequency and its mirror image: 0.4
        perturbed = perturb_amplitudes(0.5 + 0.2 * wave, noise, AmplitudeConfig())
        torch.testing.assert_close(perturbed, 0.5 + 0.2 * (1 + 1.375 * 0.4) * wave)

    def test_phases_stay_where_the_noise_is_mild(self) -> None:
        images, noise = rand(1, 3, 12, 20), torch.randn(1, 3, 12, 20).clamp(-2, 2)
        perturbed = perturb_amplitudes(images, noise, AmplitudeConfig(alpha=0.0, base=0.25))
        turn = torch.angle(torch.fft.fft2(perturbed) * torch.fft.fft2(images).conj())
        torch.testing.assert_close(turn, torch.zeros_like(turn), atol=1e-3, rtol=0)


class TestStatistics:
    """Means and deviations that change hands."""

    def test_with_itself_nothing_changes(self) -> None:
        images = rand(2, 3, 6, 7)
        torch.testing.assert_close(exchange_statistics(images, images, torch.ones(2)), images)

    def test_strength_1_gives_exactly_the_styles_statistics(self) -> None:
        images, styles = rand(2, 3, 6, 7), 0.1 + 0.3 * rand(2, 3, 5, 4, seed=1)
        result = exchange_statistics(images, styles, torch.ones(2))
        torch.testing.assert_close(result.mean((-2, -1)), styles.mean((-2, -1)))
        torch.testing.assert_close(result.std((-2, -1), correction=0), styles.std((-2, -1), correction=0))

    @pytest.mark.parametrize(("strength", "expected"), [(0.0, [0.2, 0.4]), (0.5, [0.35, 0.75]), (1.0, [0.5, 1.1])])
    def test_two_pixels_by_hand(self, strength: float, expected: list[float]) -> None:
        # Mean 0.3 and deviation 0.1; the style has 0.8 and 0.3.
        images = torch.tensor([0.2, 0.4]).expand(1, 3, 1, 2)
        styles = torch.tensor([0.5, 1.1]).expand(1, 3, 1, 2)
        result = exchange_statistics(images, styles, torch.tensor([strength]))
        torch.testing.assert_close(result, torch.tensor(expected).expand(1, 3, 1, 2))

    def test_a_flat_channel_takes_the_mean_alone(self) -> None:
        result = exchange_statistics(torch.full((1, 3, 4, 4), 0.3), rand(1, 3, 4, 4), torch.ones(1))
        torch.testing.assert_close(result, rand(1, 3, 4, 4).mean((-2, -1), keepdim=True).expand(1, 3, 4, 4))


class TestColor:
    """CIELAB."""

    def test_white_grey_and_black_have_no_colour(self) -> None:
        greys = torch.tensor([1.0, 0.5, 0.0]).expand(1, 3, 1, 3)
        expected = torch.zeros(1, 3, 1, 3)
        expected[0, 0, 0] = torch.tensor([100.0, 53.389, 0.0])
        torch.testing.assert_close(rgb_to_lab(greys), expected, atol=1e-2, rtol=0)

    def test_it_agrees_with_opencv(self) -> None:
        image = rand(1, 3, 16, 16)
        theirs = cv2.cvtColor(image[0].permute(1, 2, 0).numpy().copy(), cv2.COLOR_RGB2LAB)
        np.testing.assert_allclose(rgb_to_lab(image)[0].permute(1, 2, 0).numpy(), theirs, atol=0.6)

    def test_there_and_back_is_the_identity(self) -> None:
        image = torch.cat([rand(1, 3, 16, 16), 0.03 * rand(1, 3, 16, 16)])
        torch.testing.assert_close(lab_to_rgb(rgb_to_lab(image)), image, atol=1e-5, rtol=1e-4)
