"""Self-training with class mixing: F learns from target frames on which adapted objects have been pasted.

Legend: `B` batch, `N` adapted images, `C` classes, `H W` pixels.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from isthmus.configuration import config
from isthmus.datasets.label_space import IGNORE_INDEX


@config
class SelfTrainingConfig:
    """How far F_A's own answers on the target are believed; the defaults are DACS's but for the class weights."""

    confidence: float = 0.968
    """A target frame counts by the share of its pixels that F_A is at least so sure of."""
    class_weight_power: float = 0.5
    """Weights of classes here are those of the task loss to this power: 1 the same, 0 none, as in DACS."""

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence is {self.confidence}: write a number between 0 and 1, without both")
        if not 0.0 <= self.class_weight_power <= 1.0:
            raise ValueError(f"class_weight_power is {self.class_weight_power}: write a number from 0 to 1")


class Mixed(NamedTuple):
    """Target frames with pasted objects."""

    images: Tensor
    """[B,3,H,W]."""
    labels: Tensor
    """[B,H,W]: true where pasted, F_A's elsewhere."""
    trust: Tensor
    """[B,H,W] in [0, 1]: 1 where pasted, elsewhere the share of its frame that F_A is sure of."""


class ClassMixer:
    """Draws which adapted image goes onto which target frame, and which of its classes.

    Source: ClassMix (Olsson et al., arXiv:2007.07936) between domains, as DACS (Tranheden et al., arXiv:2007.08702).
    *Deviations*: what is pasted comes from adapted images, not from the sources as they are.

    Args:
        config: See `SelfTrainingConfig`.
        seed: Of the draws of this process.
    """

    def __init__(self, config: SelfTrainingConfig, seed: int) -> None:
        self._config = config
        self._draws = torch.Generator().manual_seed(seed)

    def __call__(self, adapted: Tensor, masks: Tensor, target: Tensor, answers: Tensor) -> Mixed:
        """Half of the classes of one drawn adapted image on each target frame; an odd one out is pasted.

        Args:
            adapted: [N,3,H,W] in [0, 1].
            masks: [N,H,W], their true labels; ignored pixels are never pasted.
            target: [B,3,H,W] in [0, 1].
            answers: [B,C,H,W] probabilities of F_A on `target`.
        """
        confidence, labels = answers.max(1)
        share = (confidence >= self._config.confidence).float().mean((1, 2))
        images, trust = target.clone(), share[:, None, None].expand_as(confidence).clone()
        for number in range(len(target)):
            source = int(torch.randint(len(adapted), (), generator=self._draws))
            pasted = torch.isin(masks[source], self._drawn_classes(masks[source]))
            images[number] = torch.where(pasted, adapted[source], images[number])
            labels[number] = torch.where(pasted, masks[source], labels[number])
            trust[number].masked_fill_(pasted, 1.0)
        return Mixed(images, labels, trust)

    def loss(self, logits: Tensor, mixed: Mixed, class_weights: Tensor | None) -> Tensor:
        """Cross-entropy in which each pixel counts as much as its label is trusted, nats.

        Args:
            logits: [B,C,H,W] of F on the mixed images.
            mixed: What they are.
            class_weights: [C] of the task loss, or None.
        """
        weights = None if class_weights is None else class_weights**self._config.class_weight_power
        each = functional.cross_entropy(logits, mixed.labels, weight=weights, reduction="none")
        norm = each.new_tensor(each.numel()) if weights is None else weights[mixed.labels].sum()
        return (mixed.trust * each).sum() / norm

    def _drawn_classes(self, mask: Tensor) -> Tensor:
        # torch leaves the tensor's own method untyped under strict checking.
        present = cast(Tensor, torch.unique(mask[mask != IGNORE_INDEX]))
        order = torch.randperm(len(present), generator=self._draws).to(present.device)
        drawn: Tensor = present[order[: (len(present) + 1) // 2]]
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """The random state."""
        return {"random": self._draws.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._draws.set_state(state["random"])
