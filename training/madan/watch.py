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
from isthmus.training.madan.pictures import Shown

_EVERY: Final = 50
"""Steps between looks; a look needs one more pass of F_A."""
_MEMORY: Final = 0.5
"""Share of the running means that the last look leaves."""
_WON: Final = 0.02
"""Least-squares loss below which a discriminator is hardly ever wrong."""
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
    """Looks at every 50th step of adaptation and says what is wrong with it."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def looks_at(self, step: int) -> bool:
        """Whether this step's frames are looked at: only then must they be translated."""
        return step % _EVERY == 0

    def notes(self, step: int, shown: Shown, losses: Mapping[str, Tensor]) -> list[str]:
        """Sentences for the person who trains; none most of the time.

        Args:
            step: Index of the step.
            shown: Its frames.
            losses: Its losses, detached.
        """
        if not self.looks_at(step):
            return []
        notes = []
        for name in ("target_discriminator", "source_discriminator"):
            if name in losses and self._mean(name, float(losses[name])) < _WON:
                notes.append(
                    f"the {name.replace('_', ' ')} wins outright ({self._means[name]:.3f}): generators learn little; "
                    "lower method.learning_rate or make method.discriminator narrower"
                )
        for source in range(len(shown.translated)):
            notes += self._collapse(source, shown)
            notes += self._changed_classes(source, shown)
        return notes

    def _collapse(self, source: int, shown: Shown) -> list[str]:
        """Whether images come back from their cycle, keep their contrast, and differ from each other."""
        image = shown.crop.images[source]
        adapted, reconstructed = (one[: len(image)] for one in shown.translated[source][:2])
        notes = []
        lost = _ratio((reconstructed - image).abs().mean(), _spread(image))
        if self._mean(f"lost.{source}", lost) > _LOST:
            notes.append(
                f"images of source {source} do not come back from their cycle (error {lost:.2f} of a blank frame's): "
                "raise method.weights.cycle"
            )
        remedy = "the generator has collapsed; go back to an earlier checkpoint with a lower learning rate"
        contrast = _ratio(_spread(adapted), _spread(image))
        if self._mean(f"contrast.{source}", contrast) < _FLAT:
            notes.append(
                f"adapted images of source {source} have gone flat (contrast {contrast:.2f} of the source's): {remedy}"
            )
        elif len(image) > 1:
            variety = _ratio(adapted.diff(dim=0).abs().mean(), image.diff(dim=0).abs().mean())
            if self._mean(f"variety.{source}", variety) < _ALIKE:
                notes.append(
                    f"adapted images of source {source} all look alike (they differ {variety:.2f} times as much as "
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
            counts[train_id] = 0
            share, other = float(counts.max() / right.sum()), int(counts.argmax())
            name, other_name = CITYSCAPES19.names[train_id], CITYSCAPES19.names[other]
            if self._mean(f"changed.{source}.{name}.{other_name}", share) > _CHANGED:
                notes.append(
                    f"translation turns {name} of source {source} into {other_name} ({100 * share:.0f} % of it): "
                    "raise method.weights.semantic"
                )
        return notes

    def _mean(self, name: str, value: float) -> float:
        """The running mean with the new value in it."""
        self._means[name] = value + _MEMORY * (self._means.get(name, value) - value)
        return self._means[name]

    def state_dict(self) -> dict[str, Any]:
        """The running means."""
        return dict(self._means)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._means = dict(state)


def _spread(images: Tensor) -> Tensor:
    """Mean distance of the values from their image's and channel's mean."""
    return (images - images.mean((2, 3), keepdim=True)).abs().mean()


def _ratio(value: Tensor, whole: Tensor) -> float:
    return float(value / whole.clamp_min(1e-3))
