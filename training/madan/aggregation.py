"""Sub-domain aggregation (SAD): adapted images of all sources are made alike, in the paper's form and in ours.

Legend: `B` batch, `H W` pixels, `M` sources.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus.training.discriminators import PatchDiscriminator, PatchDiscriminatorConfig
from isthmus.training.madan.losses import (
    aggregation_loss,
    aggregation_loss_paper,
    aggregation_verdict_loss,
    aggregation_verdict_loss_paper,
)


class Aggregation(Protocol):
    """One formulation of SAD."""

    @property
    def network(self) -> nn.Module:
        """The discriminator, or all of them."""
        ...

    def generator_loss(self, adapted: Tensor, source: int) -> Tensor:
        """What the generator of source `source` minimises for its adapted images [B,3,H,W]."""
        ...

    def discriminator_losses(self, adapted: Sequence[Tensor]) -> list[Tensor]:
        """What each discriminator minimises, given each source's adapted images, detached; their sum counts."""
        ...


class PaperAggregation:
    """A discriminator D_A^i a source that tells it from all others: (5) of MADAN, arXiv:1910.12181.

    Args:
        config: Of each discriminator.
        num_sources: M, two and more.
    """

    def __init__(self, config: PatchDiscriminatorConfig, num_sources: int) -> None:
        self.network = nn.ModuleList(PatchDiscriminator(config) for _ in range(num_sources))

    def generator_loss(self, adapted: Tensor, source: int) -> Tensor:
        """See `losses.aggregation_loss_paper`."""
        return aggregation_loss_paper([judge(adapted) for judge in self.network], source)

    def discriminator_losses(self, adapted: Sequence[Tensor]) -> list[Tensor]:
        """See `losses.aggregation_verdict_loss_paper`: 0.25 of each one that cannot tell."""
        losses = []
        for source, judge in enumerate(self.network):
            verdicts = [judge(images) for images in adapted]
            own = verdicts.pop(source)
            losses.append(aggregation_verdict_loss_paper(own, verdicts))
        return losses


class SharedAggregation:
    """One discriminator that names the source; its cost grows with M alone.

    *Deviations* from (5) of MADAN: see `losses.aggregation_loss`.

    Args:
        config: Of the discriminator.
        num_sources: M, two and more.
    """

    def __init__(self, config: PatchDiscriminatorConfig, num_sources: int) -> None:
        self.network = PatchDiscriminator(config, outputs=num_sources)

    def generator_loss(self, adapted: Tensor, source: int) -> Tensor:  # noqa: ARG002 - all sources want the same
        """See `losses.aggregation_loss`."""
        return aggregation_loss(self.network(adapted))

    def discriminator_losses(self, adapted: Sequence[Tensor]) -> list[Tensor]:
        """The only one's, a mean over the sources; see `losses.aggregation_verdict_loss`: ln M where it cannot tell."""
        losses = [aggregation_verdict_loss(self.network(images), source) for source, images in enumerate(adapted)]
        return [torch.stack(losses).mean()]
