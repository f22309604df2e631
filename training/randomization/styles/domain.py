"""What all kinds of style domains have in common."""

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from isthmus.training.randomization.styles.config import Kind


class StyleDomain(Protocol):
    """A fixed kind with a fixed stock of styles; which of them a frame gets, and how strongly, is drawn."""

    @property
    def kind(self) -> Kind:
        """How it changes a frame's look."""
        ...

    def stylise(self, images: Tensor, source: int, draws: np.random.Generator) -> Tensor:
        """Frames in this domain's look, each in one of its styles.

        Args:
            images: RGB in [0, 1], [B,3,H,W], float32.
            source: Index of the source that they come from.
            draws: Decides style and strength of each frame.

        Returns:
            [B,3,H,W], aligned with the images; may leave [0, 1].
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Parameters and stock as plain values, for the run's artifacts."""
        ...
