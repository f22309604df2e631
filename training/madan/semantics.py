"""The networks that watch over meaning: F_i on the source side, F_A on the adapted side.

Legend: `B` batch, `C` classes, `H W` pixels.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.training.madan.losses import semantic_consistency
from isthmus.training.segmenters import Segmenter


class Semantics:
    """Dynamic semantic consistency: F_i frozen, F_A a running mean of the segmenter that is being trained.

    All of them judge in evaluation mode, each with its own normalisation, and take no gradient.

    *Deviations*: the paper does not say how F_A is refreshed, and its released code never refreshes it within a run;
    an exponential moving average, each step, is ours.

    Args:
        source_segmenters: F_i, one a source.
        segmenter: F, whose copy F_A begins as.
        decay: Of the moving average.
    """

    def __init__(self, source_segmenters: Sequence[Segmenter], segmenter: Segmenter, *, decay: float) -> None:
        self.source_segmenters = source_segmenters
        self.adapted_segmenter = copy.deepcopy(segmenter)
        self._decay = decay
        freeze(self.adapted_segmenter)

    def begin_where(self, segmenter: Segmenter) -> None:
        """F_A begins again where F is."""
        self.adapted_segmenter.load_state_dict(segmenter.state_dict())

    def freeze(self) -> None:
        """Evaluation mode and no gradients for all of them."""
        for one in (*self.source_segmenters, self.adapted_segmenter):
            freeze(one)

    def loss(self, source: int, image: Tensor, adapted: Tensor, mask: Tensor) -> Tensor:
        """See `losses.semantic_consistency`.

        Args:
            source: Index i.
            image: [B,3,H,W] of source i.
            adapted: [B,3,H,W], what its generator made of it; gradients flow there.
            mask: [B,H,W] labels; ignored pixels do not count.
        """
        with torch.no_grad():
            probs = self.source_segmenters[source](image).softmax(1)
        return semantic_consistency(self.adapted_segmenter(adapted), probs, mask != IGNORE_INDEX)

    @torch.no_grad()
    def follow(self, segmenter: Segmenter) -> None:
        """Move F_A towards F: its weights by the moving average, its counters at once."""
        theirs = segmenter.state_dict()
        for name, mine in self.adapted_segmenter.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1.0 - self._decay)
            else:
                mine.copy_(theirs[name])


def freeze(network: nn.Module) -> None:
    """Evaluation mode, and no gradients into it from here on; those of its own training are let go."""
    network.eval()
    network.requires_grad_(False)
    network.zero_grad(set_to_none=True)
