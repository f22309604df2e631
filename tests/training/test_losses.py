import math

import pytest
import torch

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.training.losses import cross_entropy, enet_weights


def test_uniform_logits_cost_ln_of_the_number_of_classes():
    loss = cross_entropy(torch.zeros(1, 4, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))
    assert loss.item() == pytest.approx(math.log(4))


def test_mean_over_two_pixels_by_hand():
    # Softmax of (ln 3, 0) is (3/4, 1/4): one pixel right, one wrong.
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    loss = cross_entropy(logits, torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_class_weights_are_normalised_by_their_sum():
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    loss = cross_entropy(logits, torch.tensor([[[0, 1]]]), torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + 3 * math.log(4)) / 4)


def test_ignored_pixels_do_not_move_the_loss():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, generator=generator)
    mask = torch.randint(0, 3, (2, 4, 4), generator=generator)
    mask[:, :2] = IGNORE_INDEX
    before = cross_entropy(logits, mask)
    changed = logits.clone()
    changed[:, :, :2] += torch.randn(2, 3, 2, 4, generator=generator)
    assert torch.equal(before, cross_entropy(changed, mask))


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0])])
def test_all_ignored_is_zero_with_zero_gradients(weights):
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 2, 2), IGNORE_INDEX), weights)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_gradient_is_right_and_mask_untouched():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 3, 2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    mask = torch.tensor([[[0, 1, 2], [IGNORE_INDEX, 2, 2]]])
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    kept = mask.clone()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, mask, weights), (logits,))
    assert torch.equal(mask, kept)


def test_enet_weights_by_hand():
    weights = enet_weights(torch.tensor([0.0, 0.98]))
    assert weights[0].item() == pytest.approx(1 / math.log(1.02))
    assert weights[1].item() == pytest.approx(1 / math.log(2.0))
