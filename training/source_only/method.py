"""Source-only training: one segmenter, cross-entropy on the union of all sources' batches."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.datasets.sample import Batch, labels_of
from isthmus.training.losses import cross_entropy
from isthmus.training.method import Picture, StepResult
from isthmus.training.optim import ScheduledOptimiser
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import Segmenter
from isthmus.training.tensor_pictures import label_picture, rgb_picture


class SourceOnly:
    """The lower bound of the papers' tables ("source only", "source combined" for several sources).

    All sources' batches go through the network together, so that normalisation layers see their mixture.

    Args:
        segmenter: Already placed on the runtime's device.
        optimiser: Over the segmenter's parameters.
        class_weights: [C] weights of true classes in the loss, or None.
        runtime: Precision and processes.
    """

    name = "source_only"

    def __init__(
        self, segmenter: Segmenter, optimiser: ScheduledOptimiser, class_weights: Tensor | None, runtime: Runtime
    ) -> None:
        self._segmenter = segmenter
        self._optimiser = optimiser
        self._class_weights = None if class_weights is None else class_weights.to(runtime.device)
        self._runtime = runtime
        self._parallel = runtime.parallel(segmenter)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The segmenter alone."""
        return {"segmenter": self._segmenter}

    @property
    def segmenter(self) -> nn.Module:
        """The network that is trained."""
        return self._segmenter

    def train_step(self, step: int, sources: Sequence[Batch], target: Batch | None) -> StepResult:  # noqa: ARG002
        """One supervised step; a target would not be looked at.

        Args:
            step: Index of this step.
            sources: One labelled batch a source, all of one size.
            target: Ignored.
        """
        image = torch.cat([batch["image"] for batch in sources])
        mask = torch.cat([labels_of(batch) for batch in sources])
        with self._runtime.autocast():
            logits = self._parallel(image)
        loss = cross_entropy(logits, mask, self._class_weights)
        self._optimiser.zero_grad()
        # torch leaves the tensor's method untyped under strict checking.
        cast(Any, loss).backward()
        metrics = self._optimiser.step(step)
        return StepResult(
            losses={"total": loss.detach()},
            metrics=metrics,
            # Copies of one frame: views would keep the whole batch's memory until the next step has its own.
            pictures=partial(_draw, image[0].clone(), mask[0].clone(), logits[0].detach().clone()),
        )

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's moments and the class weights, so that a resumed run does not count pixels again."""
        return {"optimiser": self._optimiser.state_dict(), "class_weights": self._class_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._optimiser.load_state_dict(state["optimiser"])
        weights = state["class_weights"]
        self._class_weights = None if weights is None else weights.to(self._runtime.device)

    def local_state(self) -> dict[str, Any]:
        """Nothing: all processes are alike."""
        return {}

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _draw(image: Tensor, mask: Tensor, logits: Tensor) -> Mapping[str, Picture]:
    """Input, truth and prediction of the batch's first frame, side by side."""
    panels = [rgb_picture(image), label_picture(mask), label_picture(logits.argmax(0))]
    return {"batch": np.concatenate(panels, axis=1)}
