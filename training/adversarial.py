"""The adversarial game: its losses, and who must hold still while the other side moves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


def least_squares(verdict: Tensor, *, real: bool) -> Tensor:
    """How far a verdict map is from 1 (real) or 0 (not): mean squared distance, 0 and up.

    *Equation*: LSGAN (Mao et al., arXiv:1611.04076, equation 9 with a = 0, b = c = 1), as CycleGAN uses it.

    Args:
        verdict: Any shape; mean over all its patches.
        real: What it should have said.
    """
    return (verdict - float(real)).square().mean()


def discriminator_loss(real: Tensor, translated: Tensor) -> Tensor:
    """Half the sum of both sides' least squares: 0.25 of one that cannot tell them apart, 0 of one that always can."""
    return 0.5 * (least_squares(real, real=True) + least_squares(translated, real=False))


def position_loss(logits: Tensor, *, adapted: bool) -> Tensor:
    """Binary cross-entropy of a feature discriminator against one domain, mean over positions, nats.

    *Equation*: MADAN's (8), arXiv:1910.12181 (CyCADA's feature loss), with the usual non-saturating form when the
    segmenter plays against it.

    Args:
        logits: [B,1,h,w]; positive means an adapted source.
        adapted: Which domain it should have said.
    """
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(adapted)))


@contextmanager
def held_still(*networks: nn.Module) -> Iterator[None]:
    """Gradients flow through these networks, but none into them; their flags come back even after an error."""
    parameters = [parameter for network in networks for parameter in network.parameters()]
    flags = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in zip(parameters, flags, strict=True):
            parameter.requires_grad_(flag)
