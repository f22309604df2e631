"""Pyramids by hand: bins within and across cells, distances, and who takes a gradient."""

import math

import pytest
import torch
from torch.nn import functional

from isthmus.training.randomization.pyramid import pyramid, pyramid_distance, whole

CPU = torch.device("cpu")


def boxes(*rows: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def ramp_map() -> torch.Tensor:
    """[1,1,4,4] with 0 to 15, over a 32x32 image: a cell is 8x8 pixels."""
    return torch.arange(16.0).reshape(1, 1, 4, 4)


def test_values_by_hand() -> None:
    one, two, four = pyramid(ramp_map(), whole((32, 32), 1, CPU), (32, 32), (1, 2, 4))
    assert one.flatten().tolist() == [7.5]
    assert two[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    torch.testing.assert_close(four, ramp_map())


def test_a_part_by_hand() -> None:
    # Rows 1 and 2, columns 2 and 3.
    (one, two) = pyramid(ramp_map(), boxes((8, 16, 24, 32)), (32, 32), (1, 2))
    assert one.flatten().tolist() == [8.5]
    assert two[0, 0].tolist() == [[6.0, 7.0], [10.0, 11.0]]


def test_edges_within_cells_count_by_area() -> None:
    # Half of column 0, column 1 and half of column 2 of the first row: (0.5*0 + 1 + 0.5*2) / 2.
    (one,) = pyramid(ramp_map(), boxes((0, 4, 8, 20)), (32, 32), (1,))
    assert one.flatten().tolist() == [1.0]
    # Four bins a side within one cell all read that cell.
    (fine,) = pyramid(ramp_map(), boxes((9, 9, 14, 15)), (32, 32), (4,))
    torch.testing.assert_close(fine, torch.full((1, 1, 4, 4), 5.0))
    # Three bins over four cells: each 4/3 of a cell wide.
    (thirds,) = pyramid(ramp_map()[:, :, :1], boxes((0, 0, 32, 32)), (32, 32), (3,))
    torch.testing.assert_close(thirds[0, 0, 0], torch.tensor([0.25, 1.5, 2.75]))


def test_padding_is_left_out() -> None:
    # A 24x40 image is padded to 32x64: only 3 of 4 rows and 5 of 8 columns belong to it.
    maps = torch.full((1, 1, 4, 8), 100.0)
    maps[..., :3, :5] = 1.0
    for level in pyramid(maps, whole((24, 40), 1, CPU), (24, 40), (1, 2, 4)):
        torch.testing.assert_close(level, torch.ones_like(level))


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_part_of_the_map_is_the_map_of_the_part(stride: int) -> None:
    """Exact for a network that averages pixels, where the crop's edges lie on cells."""
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    top, left, bottom, right = 8, 20, 40, 52
    crop = image[:, :, top:bottom, left:right]
    of_the_crop = pyramid(functional.avg_pool2d(crop, stride), whole((32, 32), 1, CPU), (32, 32), (1, 2, 4, 8))
    of_the_image = pyramid(
        functional.avg_pool2d(image, stride), boxes((top, left, bottom, right)), (64, 64), (1, 2, 4, 8)
    )
    for part, own in zip(of_the_image, of_the_crop, strict=True):
        torch.testing.assert_close(part, own)


def test_it_stays_exact_when_the_crop_is_enlarged() -> None:
    """A 16x32 crop at odd pixels, doubled by repeating pixels, through the identity as a network."""
    image = torch.rand(2, 3, 32, 64, dtype=torch.float64)
    crop = image[:, :, 5:21, 7:39].repeat_interleave(2, 2).repeat_interleave(2, 3)
    own = pyramid(crop, whole((32, 64), 2, CPU), (32, 64), (1, 2, 4, 8))
    part = pyramid(image, boxes((5, 7, 21, 39), (5, 7, 21, 39)), (32, 64), (1, 2, 4, 8))
    assert float(pyramid_distance(own, part)) == pytest.approx(0.0, abs=1e-12)
    shifted = pyramid(image, boxes((6, 7, 22, 39), (6, 7, 22, 39)), (32, 64), (1, 2, 4, 8))
    assert float(pyramid_distance(own, shifted)) > 1e-3


def test_each_frame_has_its_own_part() -> None:
    maps = torch.rand(2, 3, 4, 4)
    both = pyramid(maps, boxes((0, 0, 16, 16), (8, 4, 32, 20)), (32, 32), (2,))[0]
    alone = pyramid(maps[1:], boxes((8, 4, 32, 20)), (32, 32), (2,))[0]
    torch.testing.assert_close(both[1:], alone)


def test_distances_by_hand() -> None:
    own = (torch.tensor([0.2, 0.8]).reshape(1, 2, 1, 1), torch.ones(1, 2, 2, 2))
    target = (torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1), torch.zeros(1, 2, 2, 2))
    assert float(pyramid_distance(own, target)) == pytest.approx((0.3 + 1.0) / 2)
    assert float(pyramid_distance(own, target, level_weights=(1, 4))) == pytest.approx((0.3 + 4 * 1.0) / 5)
    divergence = 0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8)
    assert float(pyramid_distance(own[:1], target[:1], distance="kl")) == pytest.approx(divergence)


@pytest.mark.parametrize("distance", ["l1", "kl"])
def test_equal_pyramids_are_no_distance_apart(distance: str) -> None:
    probs = torch.rand(2, 5, 8, 8).softmax(1)
    own = pyramid(probs, whole((32, 32), 2, CPU), (32, 32), (1, 2, 4))
    assert float(pyramid_distance(own, own, distance=distance)) == pytest.approx(0.0, abs=1e-7)


def test_a_class_that_is_gone_leaves_kl_finite() -> None:
    own = (torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1),)
    target = (torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1),)
    assert math.isfinite(float(pyramid_distance(own, target, distance="kl")))


def test_the_target_takes_no_gradient_and_a_short_one_is_repeated() -> None:
    own = torch.rand(3, 2, 4, 2, 2, requires_grad=True)
    target = torch.rand(2, 4, 2, 2, requires_grad=True)
    loss = pyramid_distance((own,), (target,))
    loss.backward()
    assert target.grad is None
    assert own.grad is not None
    # The slope of a mean of absolute differences.
    torch.testing.assert_close(own.grad, (own - target).detach().sign() / own.numel())


@pytest.mark.parametrize("distance", ["l1", "kl"])
def test_gradients(distance: str) -> None:
    torch.manual_seed(0)
    scores = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    part = boxes((0, 3, 20, 31), (4, 4, 32, 32))
    target = pyramid(torch.rand(2, 3, 4, 4, dtype=torch.float64).softmax(1), part, (32, 32), (1, 2))

    def loss(given: torch.Tensor) -> torch.Tensor:
        return pyramid_distance(pyramid(given.softmax(1), part, (32, 32), (1, 2)), target, distance=distance)

    assert torch.autograd.gradcheck(loss, (scores,))
