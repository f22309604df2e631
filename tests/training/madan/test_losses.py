"""MADAN's losses with numbers that a reader can compute by hand."""

import math

import pytest
import torch
from torch import Tensor

from isthmus.training.madan.losses import (
    aggregation_loss,
    aggregation_loss_paper,
    aggregation_verdict_loss,
    aggregation_verdict_loss_paper,
    category_loss,
    category_shares,
    cross_cycle_loss,
    cycle_loss,
    semantic_consistency,
)

LN2, LN3 = math.log(2), math.log(3)


def test_the_cycle_loss_is_the_mean_difference_and_nothing_for_the_identity() -> None:
    image = torch.rand(2, 3, 4, 4)
    assert cycle_loss(image, image) == 0
    assert cycle_loss(image + 0.25, image) == pytest.approx(0.25)


class TestSemanticConsistency:
    """KL(source ‖ adapted) over valid pixels."""

    def probs(self, *values: float) -> Tensor:
        return torch.tensor(values).view(1, -1, 1, 1)

    def test_by_hand(self) -> None:
        source, adapted = self.probs(0.5, 0.5), self.probs(0.25, 0.75)
        expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
        valid = torch.ones(1, 1, 1, dtype=torch.bool)
        assert semantic_consistency(adapted.log(), source, valid) == pytest.approx(expected)

    def test_equal_predictions_cost_nothing(self) -> None:
        logits = torch.randn(2, 5, 3, 4)
        valid = torch.ones(2, 3, 4, dtype=torch.bool)
        assert semantic_consistency(logits, logits.softmax(1), valid) == pytest.approx(0, abs=1e-6)

    def test_pixels_without_a_label_do_not_count(self) -> None:
        logits, probs = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2).softmax(1)
        valid = torch.tensor([[[True, False], [False, False]]])
        alone = semantic_consistency(logits[..., :1, :1], probs[..., :1, :1], valid[..., :1, :1])
        assert semantic_consistency(logits, probs, valid) == pytest.approx(float(alone))
        assert semantic_consistency(logits, probs, torch.zeros_like(valid)) == 0

    def test_a_certain_source_gives_finite_gradients_to_the_adapted_side_alone(self) -> None:
        logits = torch.randn(1, 3, 1, 1, requires_grad=True)
        probs = self.probs(1.0, 0.0, 0.0).requires_grad_()
        semantic_consistency(logits, probs, torch.ones(1, 1, 1, dtype=torch.bool)).backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
        assert probs.grad is None


class TestPaperAggregation:
    """Equation (5) with least squares: own wants 1, others want 0 from the generator; the reverse from D."""

    def test_the_generator_by_hand(self) -> None:
        verdicts = [torch.tensor([0.5]), torch.tensor([0.2]), torch.tensor([0.4])]
        expected = (0.5 - 1) ** 2 + (0.2**2 + 0.4**2) / 2
        assert aggregation_loss_paper(verdicts, 0) == pytest.approx(expected)

    def test_the_discriminator_by_hand(self) -> None:
        loss = aggregation_verdict_loss_paper(torch.tensor([0.5]), [torch.tensor([0.2]), torch.tensor([0.4])])
        assert loss == pytest.approx(0.5 * (0.5**2 + (0.8**2 + 0.6**2) / 2))

    def test_both_sides_cannot_be_content(self) -> None:
        fooled = [torch.ones(1), torch.zeros(1)]
        assert aggregation_loss_paper(fooled, 0) == 0
        assert aggregation_verdict_loss_paper(fooled[0], [torch.zeros(1)]) == 1


class TestSharedAggregation:
    """One M-way discriminator."""

    def test_no_opinion_costs_the_generator_nothing_and_the_discriminator_ln_m(self) -> None:
        logits = torch.zeros(1, 3, 2, 2)
        assert aggregation_loss(logits) == pytest.approx(0, abs=1e-6)
        assert aggregation_verdict_loss(logits, 1) == pytest.approx(LN3)

    def test_no_number_is_copied_to_the_device_at_each_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logits = torch.zeros(1, 3, 2, 2)
        monkeypatch.delattr(torch, "tensor")
        assert float(aggregation_loss(logits)) == pytest.approx(0, abs=1e-6)

    def test_by_hand(self) -> None:
        logits = torch.tensor([0.75, 0.25]).log().view(1, 2, 1, 1)
        assert aggregation_loss(logits) == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2 - LN2)
        assert aggregation_verdict_loss(logits, 0) == pytest.approx(-math.log(0.75))
        assert aggregation_verdict_loss(logits, 1) == pytest.approx(-math.log(0.25))

    def test_at_chance_it_rests_where_the_papers_form_still_pulls(self) -> None:
        logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
        aggregation_loss(logits).backward()
        assert logits.grad is not None
        torch.testing.assert_close(logits.grad, torch.zeros_like(logits))
        own, other = (torch.full((1,), 0.5, requires_grad=True) for _ in range(2))
        aggregation_loss_paper([own, other], 0).backward()
        assert (own.grad, other.grad) == (-1, 1)  # 2 (0.5 - 1) towards the others' 1, 2 · 0.5 towards their 0


class TestCrossCycle:
    """Equation (6) with least squares, three sources."""

    verdicts = (torch.tensor([0.5]), torch.tensor([0.2]))

    def test_all_pairs_share_the_weight_of_one(self) -> None:
        expected = ((0.5 - 1) ** 2 + (0.2 - 1) ** 2) / 2
        assert cross_cycle_loss(self.verdicts, 3, drawn=False) == pytest.approx(expected)

    def test_drawn_pairs_count_whole(self) -> None:
        assert cross_cycle_loss(self.verdicts[:1], 3, drawn=True) == pytest.approx(0.25)
        assert cross_cycle_loss(self.verdicts, 3, drawn=True) == pytest.approx(0.25 + 0.64)

    def test_with_two_sources_there_is_nothing_to_draw(self) -> None:
        one = self.verdicts[:1]
        assert cross_cycle_loss(one, 2, drawn=False) == cross_cycle_loss(one, 2, drawn=True)

    def test_images_that_pass_cost_nothing(self) -> None:
        assert cross_cycle_loss([torch.ones(1, 1, 2, 2)] * 2, 3, drawn=False) == 0


class TestCategories:
    """Category-level alignment of MADAN+."""

    labels = torch.tensor([[[0, 0, 1, 255], [0, 1, 255, 255]]])

    def test_shares_by_hand(self) -> None:
        shares = category_shares(self.labels, 3, (1, 2))
        torch.testing.assert_close(shares[0, 0, 0], torch.tensor([1.0, 0.0]))  # class 0 lies on the left alone
        torch.testing.assert_close(shares[0, 1, 0], torch.tensor([0.5, 0.5]))
        torch.testing.assert_close(shares[0, 2, 0], torch.zeros(2))

    def test_the_loss_by_hand(self) -> None:
        logits = torch.zeros(1, 3, 1, 2)
        logits[0, 1, 0, 0] = LN3  # class 1's discriminator says 3/4 on the left
        shares = category_shares(self.labels, 3, (1, 2))
        expected = (LN2 + (-math.log(0.75) + LN2) / 2) / 2
        assert category_loss(logits, shares, adapted=True) == pytest.approx(expected)

    def test_nothing_labelled_costs_nothing(self) -> None:
        shares = category_shares(torch.full((1, 2, 4), 255), 3, (1, 2))
        assert category_loss(torch.randn(1, 3, 1, 2), shares, adapted=False) == 0


@pytest.mark.parametrize("loss", ["cycle", "semantic", "paper", "shared", "cross", "category"])
def test_gradients_are_those_of_the_formula(loss: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    probs, valid = torch.rand(1, 3, 2, 2, dtype=torch.float64).softmax(1), torch.ones(1, 2, 2, dtype=torch.bool)
    shares = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    functions = {
        "cycle": lambda x: cycle_loss(x, torch.zeros_like(x)),
        "semantic": lambda x: semantic_consistency(x, probs, valid),
        "paper": lambda x: aggregation_loss_paper([x, 2 * x], 1) + aggregation_verdict_loss_paper(x, [x]),
        "shared": lambda x: aggregation_loss(x) + aggregation_verdict_loss(x, 2),
        "cross": lambda x: cross_cycle_loss([x, 2 * x], 3, drawn=False),
        "category": lambda x: category_loss(x, shares, adapted=True),
    }
    assert torch.autograd.gradcheck(functions[loss], (x,))
