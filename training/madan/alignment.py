"""Alignment inside the segmenter: features, scores and categories of adapted sources and of the target.

Legend: `B` batch, `C` classes, `F` features, `h w` positions of a map.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.training.adversarial import held_still, position_loss
from isthmus.training.discriminators import FeatureDiscriminator
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.losses import category_loss, category_shares
from isthmus.training.madan.stages import Stage
from isthmus.training.reproducibility import draws_of
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import NUM_CLASSES, SIZE_MULTIPLE, SegmenterOutput


class Alignment:
    """(8) of MADAN, arXiv:1910.12181, on features and on scores, and the category level of MADAN+.

    The discriminators tell adapted sources from the target; the segmenter moves its target side until they cannot.

    *Deviations*: the released code lets the segmenter play only while the discriminator is right more than 60 % of
    the time, and gives up otherwise; here it always plays, with its weight ramped in.

    Args:
        config: Of the method.
        channels: Channels F of the segmenter's last features.
        runtime: Where it computes.
        network_seed: Of the discriminators' first weights; each draws for itself.
    """

    def __init__(self, config: MadanConfig, channels: int, runtime: Runtime, *, network_seed: int) -> None:
        self._grid_hw = config.category_grid_hw
        self._runtime = runtime
        self.networks: dict[str, nn.Module] = {}
        width = min(1024, 4 * channels)
        for name, weight, build in (
            ("feature", config.weights.feature, partial(FeatureDiscriminator, channels, width=width)),
            ("score", config.weights.score, partial(FeatureDiscriminator, NUM_CLASSES, width=512)),
            (
                "category",
                config.weights.category,
                partial(FeatureDiscriminator, channels, width=width, outputs=NUM_CLASSES),
            ),
        ):
            if weight > 0:
                with draws_of(network_seed, name):
                    self.networks[f"{name}_discriminator"] = build()
        for network in self.networks.values():
            runtime.place(network)
        parameters = [parameter for network in self.networks.values() for parameter in network.parameters()]
        self._optimiser = torch.optim.Adam(parameters, lr=config.feature_learning_rate) if parameters else None

    def is_active(self, stage: Stage) -> bool:
        """Whether the target must go through the segmenter at this stage."""
        return max(stage.feature, stage.score, stage.category) > 0

    def segmenter_losses(self, target: SegmenterOutput, stage: Stage) -> dict[str, Tensor]:
        """What the segmenter minimises on the target's side, unweighted, by name; no discriminator gets a gradient."""
        losses: dict[str, Tensor] = {}
        with held_still(*self.networks.values()):
            for name, weight in self._weights(stage).items():
                if weight > 0:
                    losses[name] = self._side(name, target, None, adapted=True)
        return losses

    def update(
        self, adapted: SegmenterOutput, masks: Tensor, target: SegmenterOutput, stage: Stage
    ) -> dict[str, Tensor]:
        """One step of the discriminators on detached outputs; their losses by name."""
        adapted, target = (SegmenterOutput(*(one.detach() for one in output)) for output in (adapted, target))
        losses: dict[str, Tensor] = {}
        for name, weight in self._weights(stage).items():
            if weight > 0:
                ours = self._side(name, adapted, masks, adapted=True)
                losses[f"{name}_discriminator"] = 0.5 * (ours + self._side(name, target, None, adapted=False))
        assert self._optimiser is not None
        self._optimiser.zero_grad(set_to_none=True)
        cast(Any, torch.stack(list(losses.values())).sum()).backward()
        self._runtime.world.average_gradients(self._parameters())
        self._optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _weights(self, stage: Stage) -> Mapping[str, float]:
        return {"feature": stage.feature, "score": stage.score, "category": stage.category}

    def _side(self, name: str, output: SegmenterOutput, masks: Tensor | None, *, adapted: bool) -> Tensor:
        """One discriminator's loss on one domain's outputs; without masks, classes are those that are predicted."""
        judge = self.networks[f"{name}_discriminator"]
        with self._runtime.autocast():
            if name == "score":
                return position_loss(judge(output.logits.softmax(1)), adapted=adapted)
            if name == "feature":
                return position_loss(judge(output.features), adapted=adapted)
            labels = output.logits.argmax(1) if masks is None else _padded(masks)
            shares = category_shares(labels, NUM_CLASSES, self._grid_hw)
            cells = functional.adaptive_avg_pool2d(output.features, self._grid_hw)
            return category_loss(judge(cells), shares, adapted=adapted)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for network in self.networks.values() for parameter in network.parameters()]

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's moments."""
        return {"optimiser": None if self._optimiser is None else self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        if self._optimiser is not None:
            self._optimiser.load_state_dict(state["optimiser"])


def _padded(masks: Tensor) -> Tensor:
    """Labels [B,H,W] over the padded image, as features lie: what the segmenter added has none."""
    right, below = -masks.shape[-1] % SIZE_MULTIPLE, -masks.shape[-2] % SIZE_MULTIPLE
    return functional.pad(masks, (0, right, 0, below), value=IGNORE_INDEX)
