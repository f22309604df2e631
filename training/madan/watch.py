"""Warnings in words: what usually goes wrong in adversarial translation, noticed while it does.

A discriminator that wins outright teaches nothing; a generator that forgets the image gives the segmenter labels that
are no longer true; a sky that turns into trees is the classic failure between simulations and streets, because their
layouts differ.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.discriminator_watch import DiscriminatorWatch
from isthmus.training.madan.pictures import Shown
from isthmus.training.madan.stages import Stage
from isthmus.training.madan.trends import EVERY, Trends

_FLAT: Final = 0.25
"""Share of the source's contrast below which an adapted image has gone flat."""
_LOST: Final = 0.5
"""Cycle error, relative to what a frame of one colour would have, at which the image is hardly there."""
_ALIKE: Final = 0.25
"""Share of the source's differences between frames below which adapted images all look alike."""
_CHANGED: Final = 0.4
"""Share of a class's pixels that F_A takes for one other class."""
_FEWEST_PIXELS: Final = 200


class Watch:
    """Looks at every 50th step of adaptation and says what has been wrong with it for two looks and more.

    Args:
        config: Of the method.
        total_steps: Of the whole run.
        num_sources: M.
    """

    def __init__(self, config: MadanConfig, total_steps: int, num_sources: int) -> None:
        self._discriminators = DiscriminatorWatch(config, total_steps, num_sources)
        self._trends = Trends()

    def notes(self, step: int, shown: Shown, losses: Mapping[str, Tensor], stage: Stage) -> list[str]:
        """Sentences for the person who trains; none most of the time.

        Args:
            step: Index of the step.
            shown: Its frames.
            losses: Its losses, detached; those of source i by `NAME.i` where there are several.
            stage: What plays at it.
        """
        self._discriminators.add(losses, stage)
        if step % EVERY:
            return []
        notes = self._discriminators.notes()
        for source in range(len(shown.translated) * stage.generators):  # those that hold still were watched before
            notes += self._collapse(source, shown)
            notes += self._changed_classes(source, shown)
        return notes

    def _collapse(self, source: int, shown: Shown) -> list[str]:
        """Whether images come back from their cycle, keep their contrast, and differ from each other."""
        image = shown.crop.images[source]
        adapted, reconstructed = (one[: len(image)] for one in shown.translated[source][:2])
        notes = []
        error = _ratio((reconstructed - image).abs().mean(), _spread(image))
        lost = self._trends.above(f"lost.{source}", error, _LOST)
        if lost is not None:
            notes.append(
                f"images of source {source} do not come back from their cycle (error {lost:.2f} of a blank frame's): "
                "raise method.weights.cycle"
            )
        remedy = "the generator has collapsed; go back to an earlier checkpoint with a lower learning rate"
        flat = self._trends.below(f"contrast.{source}", _ratio(_spread(adapted), _spread(image)), _FLAT)
        alike = None
        if len(image) > 1:
            variety = _ratio(adapted.diff(dim=0).abs().mean(), image.diff(dim=0).abs().mean())
            alike = self._trends.below(f"variety.{source}", variety, _ALIKE)
        if flat is not None:
            notes.append(
                f"adapted images of source {source} have gone flat (contrast {flat:.2f} of the source's): {remedy}"
            )
        elif alike is not None:
            notes.append(
                f"adapted images of source {source} all look alike (they differ {alike:.2f} times as much as "
                f"the source's): {remedy}"
            )
        return notes

    @torch.no_grad()
    def _changed_classes(self, source: int, shown: Shown) -> list[str]:
        """Classes that translation turns into another one, by what F_A makes of them and F_i does not."""
        image, mask = shown.crop.images[source][:1], shown.crop.masks[source][:1]
        meant = shown.adapted_segmenter(shown.translated[source].adapted[:1]).argmax(1)
        seen = shown.source_segmenters[source](image).argmax(1)
        notes = []
        for train_id in torch.unique(mask[mask != IGNORE_INDEX]).tolist():
            right = (mask == train_id) & (seen == train_id)
            if int(right.sum()) < _FEWEST_PIXELS:
                continue
            counts = torch.bincount(meant[right], minlength=CITYSCAPES19.num_classes)
            name = CITYSCAPES19.names[train_id]
            for other, share in enumerate((counts / right.sum()).tolist()):
                key = f"changed.{source}.{name}.{CITYSCAPES19.names[other]}"
                if other == train_id or (share == 0 and key not in self._trends):
                    continue
                changed = self._trends.above(key, share, _CHANGED)
                if changed is not None:
                    notes.append(
                        f"translation turns {name} of source {source} into {CITYSCAPES19.names[other]} "
                        f"({100 * changed:.0f} % of it): raise method.weights.semantic"
                    )
        return notes

    def state_dict(self) -> dict[str, Any]:
        """What the looks so far left."""
        return {"discriminators": self._discriminators.state_dict(), "trends": self._trends.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._discriminators.load_state_dict(state["discriminators"])
        self._trends.load_state_dict(state["trends"])


def _spread(images: Tensor) -> Tensor:
    """Mean distance of the values from their image's and channel's mean."""
    return (images - images.mean((2, 3), keepdim=True)).abs().mean()


def _ratio(value: Tensor, whole: Tensor) -> float:
    return float(value / whole.clamp_min(1e-3))
