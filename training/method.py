"""The protocol between the one loop and the methods that it trains.

A method owns its networks and optimisers and knows how to make one step; the loop owns time, data, checkpoints,
evaluation and reporting. A step returns a result; it does not log, save or plot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.datasets.sample import Batch

Picture = NDArray[np.uint8]
"""[H, W, 3] RGB."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one optimisation step reports."""

    losses: Mapping[str, Tensor]
    """Detached scalars by name; `total` is always there. The loop moves them off the device when it logs."""
    metrics: Mapping[str, Tensor | float] = field(default_factory=dict)
    """Detached scalars that are no losses, for example gradient norms and learning rates."""
    notes: Sequence[str] = ()
    """Warnings in words, which the loop prints."""
    pictures: Callable[[], Mapping[str, Picture]] | None = None
    """Draws pictures on demand; called only when the loop wants them."""


class Method(Protocol):
    """What the loop asks of a training method."""

    name: str
    """The `method:` of its configuration."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """All networks by name, frozen ones too: on the device already; the run saves and restores them."""
        ...

    @property
    def segmenter(self) -> nn.Module:
        """The network that is evaluated and exported: RGB in [0, 1], [B,3,H,W] → logits [B,C,H,W]."""
        ...

    def train_step(self, step: int, sources: Sequence[Batch], target: Batch | None) -> StepResult:
        """One optimisation step, `step` counted from 0.

        Args:
            step: Index of this step.
            sources: One batch a labelled source, drawn independently, on the device.
            target: A batch of the unlabelled target, or None when the run has none.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Optimisers and schedules, equal on all processes: everything but the networks' weights and `local_state`."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        ...

    def local_state(self) -> dict[str, Any]:
        """What differs between the processes of a run, such as image pools; saved for each of them."""
        ...

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Restore what `local_state` gave on this process."""
        ...
