"""Translation domains: frozen generators that were trained from each source to a set of style images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.artifact import sha256_of
from isthmus.errors import CheckpointError
from isthmus.training.randomization.styles.config import Kind
from isthmus.training.translators import Translators, open_translators


class TranslationDomain:
    """Frames as a trained generator sees them: one style and one strength.

    *Equation*: x' = G(x), the randomization of arXiv:1909.00889, with a CycleGAN a domain.

    *Deviations*: frames are translated when they are used instead of being written to disk first.

    The generators stay where they were trained; a run keeps their paths and digests, not their weights.

    Args:
        checkpoint: A run's output folder (its best checkpoint, else its newest) or one checkpoint's folder.
        sources: Titles of the sources that will be translated, in order.
        device: Where the generators compute.

    Raises:
        CheckpointError: No whole checkpoint of a MADAN run, one without such a source, or one whose generators are
            untrained.
    """

    kind: Kind = "translation"

    def __init__(self, checkpoint: Path, sources: Sequence[str], device: torch.device) -> None:
        opened = _opened(checkpoint)
        opened.check_begun()
        numbers = [_number_of(title, opened) for title in sources]
        self.generators = [opened.load(number).to(device).requires_grad_(False) for number in numbers]
        self._stock = {
            "run": opened.info.name,
            "step": opened.info.step,
            "generators": [
                {"source": title, "path": str(file), "sha256": sha256_of(file)}
                for title, file in zip(sources, map(opened.weights, numbers), strict=True)
            ],
        }

    def stylise(self, images: Tensor, source: int, draws: np.random.Generator) -> Tensor:  # noqa: ARG002
        """See `StyleDomain`."""
        styled: Tensor = self.generators[source](images)
        return styled

    def describe(self) -> dict[str, Any]:
        """See `StyleDomain`."""
        return {"parameters": self._stock}


def _opened(checkpoint: Path) -> Translators:
    try:
        return open_translators(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(
            f"a style's generators cannot be had: {error.problem}",
            where=error.where,
            remedy="Name where they lie now under method.styles.translation.checkpoints: a run of method madan, or one "
            "of its checkpoints/step-*.",
        ) from error


def _number_of(title: str, opened: Translators) -> int:
    """Index of the one source of that title among those that the checkpoint's run translated."""
    titles = [source.title for source in opened.run.sources]
    if titles.count(title) != 1:
        raise CheckpointError(
            f"translates {', '.join(titles)}, where {title} is expected once",
            where=opened.folder,
            remedy="Name a run that was trained from the same sources, or give them the same `name` in both runs.",
        )
    return titles.index(title)
