"""Generators, discriminators, image pools and the adversarial losses."""

import math

import pytest
import torch
from torch import nn

from isthmus.training.adversarial import discriminator_loss, held_still, least_squares, position_loss
from isthmus.training.discriminators import FeatureDiscriminator, PatchDiscriminator, PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig, ResnetGenerator
from isthmus.training.image_pool import ImagePool

SMALL = GeneratorConfig(width=4, blocks=2)


@pytest.mark.parametrize("size_hw", [(16, 16), (17, 30), (40, 21)])
@pytest.mark.parametrize("residual", [False, True])
def test_generators_keep_the_size_and_the_range(size_hw: tuple[int, int], residual: bool) -> None:
    generator = ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=residual))
    nn.init.normal_(generator.head.weight, std=1.0)
    image = torch.rand(2, 3, *size_hw)
    adapted = generator(image)
    assert adapted.shape == image.shape
    assert adapted.min() >= 0
    assert adapted.max() <= 1


def test_a_residual_generator_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 12, 20)
    torch.testing.assert_close(ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=True))(image), image)


def test_a_residual_generator_can_darken_a_burnt_out_sky() -> None:
    generator = ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=True))
    optimiser = torch.optim.Adam(generator.parameters(), lr=0.05)
    white = torch.ones(1, 3, 16, 16)
    for _ in range(10):
        optimiser.zero_grad()
        generator(white).mean().backward()
        optimiser.step()
    assert generator(white).mean() < 0.9


def test_a_frame_is_translated_alike_in_any_batch() -> None:
    generator, images = ResnetGenerator(SMALL), torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(generator(images)[1:2], generator(images[1:2]))


def test_checkpointing_changes_no_gradient() -> None:
    generator, image = ResnetGenerator(SMALL), torch.rand(1, 3, 16, 24)
    gradients = []
    for checkpointing in (False, True):
        generator.checkpointing = checkpointing
        generator.zero_grad()
        generator(image).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in generator.parameters()])
    for plain, saved in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, saved, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("values", [{"width": 0}, {"blocks": 0}, {"dropout": 1.0}])
def test_impossible_generators_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="write"):
        GeneratorConfig(**values)


@pytest.mark.parametrize(("side", "patches"), [(400, 48), (500, 60), (600, 73)])
def test_patch_discriminators_give_the_published_maps(side: int, patches: int) -> None:
    judge = PatchDiscriminator(PatchDiscriminatorConfig(width=1))
    assert judge(torch.zeros(1, 3, side, side)).shape == (1, 1, patches, patches)
    assert sum(isinstance(module, nn.Conv2d) for module in judge.modules()) == 5


def test_a_discriminator_may_name_the_source() -> None:
    judge = PatchDiscriminator(PatchDiscriminatorConfig(width=4, layers=2), outputs=3)
    assert judge(torch.rand(2, 3, 32, 48)).shape[:2] == (2, 3)


def test_feature_discriminators_judge_each_position_by_itself() -> None:
    judge = FeatureDiscriminator(5, width=8).eval()
    features = torch.rand(1, 5, 3, 4)
    other = features.clone()
    other[..., 0, 0] = 9.0
    changed = judge(features) != judge(other)
    assert changed.nonzero().tolist() == [[0, 0, 0, 0]]


def test_least_squares_by_hand() -> None:
    verdict = torch.tensor([0.0, 1.0, 3.0])
    assert least_squares(verdict, real=True) == pytest.approx((1 + 0 + 4) / 3)
    assert least_squares(verdict, real=False) == pytest.approx((0 + 1 + 9) / 3)
    assert discriminator_loss(torch.tensor([0.5]), torch.tensor([0.5])) == pytest.approx(0.25)


def test_position_loss_by_hand() -> None:
    logits = torch.tensor([[[[0.0, math.log(3.0)]]]])
    assert position_loss(logits, adapted=True) == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    assert position_loss(logits, adapted=False) == pytest.approx((math.log(2) - math.log(0.25)) / 2)


def test_gradients_flow_through_networks_that_are_held_still_but_not_into_them() -> None:
    judge, image = nn.Conv2d(3, 1, 1), torch.rand(1, 3, 2, 2, requires_grad=True)
    judge.bias.requires_grad_(False)

    def fail() -> None:
        with held_still(judge):
            judge(image).sum().backward()
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert image.grad is not None
    assert judge.weight.grad is None
    assert judge.weight.requires_grad
    assert not judge.bias.requires_grad


def test_a_pool_fills_then_gives_back_older_images() -> None:
    pool = ImagePool(3, seed=0)
    first = torch.stack([torch.full((3, 2, 2), float(value)) for value in range(3)])
    torch.testing.assert_close(pool.exchange(first), first)
    seen = [float(pool.exchange(torch.full((1, 3, 2, 2), 10.0 + step))[0, 0, 0, 0]) for step in range(40)]
    fresh = sum(value == 10.0 + step for step, value in enumerate(seen))
    assert 8 < fresh < 32
    assert {0.0, 1.0, 2.0} & set(seen)


def test_a_pool_of_none_gives_the_fresh_images() -> None:
    images = torch.rand(2, 3, 2, 2, requires_grad=True)
    given = ImagePool(0, seed=0).exchange(images)
    torch.testing.assert_close(given, images.detach())
    assert not given.requires_grad


def test_a_restored_pool_goes_on_as_if_nothing_had_happened() -> None:
    def feed(pool: ImagePool, steps: range) -> list[float]:
        return [float(pool.exchange(torch.full((1, 3, 2, 2), float(step))).mean()) for step in steps]

    whole, begun, restored = ImagePool(4, seed=7), ImagePool(4, seed=7), ImagePool(4, seed=1)
    expected = feed(whole, range(30))[12:]
    feed(begun, range(12))
    restored.load_state_dict(begun.state_dict())
    assert feed(restored, range(12, 30)) == expected
