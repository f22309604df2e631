"""Class mixing on images whose every pixel tells where it came from."""

import math

import pytest
import torch
from torch import Tensor

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.training.madan.self_training import ClassMixer, Mixed, SelfTrainingConfig

NUM_CLASSES = 4
SURE, UNSURE = 0.97, 0.7


def mixer_of(seed: int = 0, **changes: float) -> ClassMixer:
    return ClassMixer(SelfTrainingConfig(confidence=0.9, **changes), seed)


def answers_of(labels: Tensor, confidence: Tensor) -> Tensor:
    """Probabilities [B,C,H,W] whose largest is `confidence` at `labels`."""
    rest = ((1 - confidence) / (NUM_CLASSES - 1))[:, None].expand(-1, NUM_CLASSES, -1, -1).clone()
    return rest.scatter_(1, labels[:, None], confidence[:, None])


def mixed_of(mask: Tensor, mixer: ClassMixer | None = None) -> Mixed:
    """White pixels of one adapted image on black ones of a target that F_A takes for class 0, half of it surely."""
    adapted, target = torch.ones(1, 3, *mask.shape), torch.zeros(1, 3, *mask.shape)
    confidence = torch.full((1, *mask.shape), SURE)
    confidence[..., mask.shape[1] // 2 :] = UNSURE
    answers = answers_of(torch.zeros(1, *mask.shape, dtype=torch.long), confidence)
    return (mixer or mixer_of())(adapted, mask[None], target, answers)


@pytest.mark.parametrize(("present", "drawn"), [((1,), 1), ((1, 2), 1), ((1, 2, 3), 2)])
def test_half_of_the_classes_are_pasted_with_their_labels(present: tuple[int, ...], drawn: int) -> None:
    mask = torch.tensor(present).repeat_interleave(4).reshape(len(present), 4)
    mixed = mixed_of(mask)
    pasted = mixed.images[0, 0] == 1
    assert len(mask[pasted].unique()) == drawn
    assert all(pasted[mask == name].unique().numel() == 1 for name in present), "a class comes whole or not at all"
    assert torch.equal(mixed.labels[0][pasted], mask[pasted])
    assert (mixed.labels[0][~pasted] == 0).all()
    assert (mixed.trust[0][pasted] == 1).all()
    assert (mixed.trust[0][~pasted] == 0.5).all(), "the share of the frame that F_A is sure of"


def test_ignored_pixels_are_never_pasted() -> None:
    mask = torch.full((2, 4), IGNORE_INDEX)
    assert (mixed_of(mask).images == 0).all()
    mask[0] = 3
    mixed = mixed_of(mask)
    assert (mixed.images[0, 0, 0] == 1).all()
    assert (mixed.images[0, 0, 1] == 0).all()
    assert not (mixed.labels == IGNORE_INDEX).any()


def test_what_was_given_stays_as_it_was() -> None:
    adapted, target = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    answers = answers_of(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), SURE))
    kept = answers.clone()
    mixer_of()(adapted, torch.ones(1, 2, 2, dtype=torch.long), target, answers)
    assert (target == 0).all()
    assert torch.equal(answers, kept)


def test_draws_go_on_where_they_were() -> None:
    mask = torch.arange(1, 4).repeat_interleave(4).reshape(3, 4)
    one, other = mixer_of(1), mixer_of(2)
    mixed_of(mask, one)
    other.load_state_dict(one.state_dict())
    assert all(torch.equal(mixed_of(mask, one).images, mixed_of(mask, other).images) for _ in range(5))


def test_the_loss_counts_a_pixel_by_trust_and_by_class() -> None:
    logits = torch.tensor([[[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])
    mixed = Mixed(torch.zeros(1, 3, 1, 2), torch.tensor([[[0, 1]]]), torch.tensor([[[1.0, 0.5]]]))
    nats = math.log(4)
    assert float(mixer_of().loss(logits, mixed, None)) == pytest.approx(nats * (1 + 0.5) / 2)
    weights = torch.tensor([4.0, 16.0, 1.0, 1.0])
    assert float(mixer_of().loss(logits, mixed, weights)) == pytest.approx(nats * (2 + 0.5 * 4) / (2 + 4))
    same = mixer_of(class_weight_power=1.0).loss(logits, mixed, weights)
    assert float(same) == pytest.approx(nats * (4 + 0.5 * 16) / 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"confidence": 1.0}, "confidence is 1.0"), ({"class_weight_power": 1.5}, "class_weight_power is 1.5")],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfTrainingConfig(**changes)
