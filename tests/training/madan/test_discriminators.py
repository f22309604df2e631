"""What normalisation hides from a discriminator."""

import pytest
import torch
from torch import Tensor

from isthmus.training.discriminators import PatchDiscriminator, PatchDiscriminatorConfig


def verdicts(*, instance_norm: bool) -> tuple[Tensor, Tensor]:
    """Of one discriminator without biases on a light grey and on a white frame, 0.5 and 1 in its own range."""
    torch.manual_seed(0)
    judge = PatchDiscriminator(PatchDiscriminatorConfig(width=4, layers=2, instance_norm=instance_norm))
    with torch.no_grad():
        for parameter in judge.parameters():
            parameter.mul_(20.0)  # variances far above the normalisation's epsilon
        light, white = (judge(torch.full((1, 3, 32, 32), grey)) for grey in (0.75, 1.0))
    return light, white


def test_normalisation_hides_how_bright_a_frame_is() -> None:
    light, white = verdicts(instance_norm=True)
    torch.testing.assert_close(light, white, rtol=1e-2, atol=1e-2 * float(white.abs().mean()))


def test_without_it_twice_the_signal_is_twice_the_verdict() -> None:
    light, white = verdicts(instance_norm=False)
    torch.testing.assert_close(2 * light, white)
    assert float(white.abs().mean()) > 0


@pytest.mark.parametrize("instance_norm", [True, False])
def test_the_verdict_map_has_the_same_size(instance_norm: bool) -> None:
    assert verdicts(instance_norm=instance_norm)[0].shape == (1, 1, 6, 6)
