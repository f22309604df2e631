"""Scores of a segmenter from one confusion matrix summed over a whole set.

Legend: `C` own classes of the target's label space.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, SYNTHIA13, SYNTHIA16, LabelSpace

_SUBSETS: Final = {"miou_16": SYNTHIA16, "miou_13": SYNTHIA13}


@dataclass(frozen=True, slots=True)
class Scores:
    """What a confusion matrix says, all in [0, 1]; None where nothing can be said."""

    iou_per_class: dict[str, float | None]
    """By own class name; None where the class occurs neither in truth nor in prediction."""
    miou: float | None
    """Mean over the own classes that occur in the truth.

    Only there: what a mean is taken over must not depend on the predictions, or one stray pixel of a class that the
    frames do not show would lower it, and two segmenters would be compared over different classes.
    """
    miou_shared: float | None
    """Mean over those of them that every source labels too."""
    pixel_accuracy: float | None
    """Share of valid pixels that are right."""
    miou_subsets: dict[str, float | None] = field(default_factory=dict)
    """On Cityscapes' classes `miou_16` and `miou_13`, the means that papers report with SYNTHIA as source."""


class ConfusionMatrix:
    """Counts of (true class, predicted class) over valid pixels, in a target's own label space.

    Truth and prediction come as train ids and are folded into own classes. Pixels whose truth has no own class
    are left out; a prediction without an own class lands in an extra last column: a miss of the true class.

    Args:
        space: The target's label space.
        device: Where the counting happens.
    """

    def __init__(self, space: LabelSpace, device: torch.device | None = None) -> None:
        self.space = space
        self.counts = torch.zeros(space.num_classes, space.num_classes + 1, dtype=torch.int64, device=device)
        """[C, C + 1] int64: row true class, column predicted class or, last, none of them."""
        self._fold = torch.from_numpy(space.fold_table).to(self.counts.device, torch.int64)

    def update(self, pred: Tensor, mask: Tensor) -> None:
        """Count one frame or batch.

        Args:
            pred: Predicted train ids, any integer type and shape.
            mask: True train ids or 255, same shape.
        """
        classes = self.space.num_classes
        truth, predicted = self._fold[mask.long()], self._fold[pred.long()]
        valid = truth != IGNORE_INDEX
        columns = torch.where(predicted == IGNORE_INDEX, classes, predicted)[valid]
        pairs = truth[valid] * (classes + 1) + columns
        self.counts += torch.bincount(pairs, minlength=classes * (classes + 1)).view_as(self.counts)

    def scores(self, shared_train_ids: Iterable[int]) -> Scores:
        """IoU = TP / (TP + FP + FN) per class, and means of it.

        Args:
            shared_train_ids: Train ids that the sources label.
        """
        counts = self.counts.cpu().double()
        right = counts.diagonal()
        union = counts.sum(1) + counts[:, :-1].sum(0) - right
        ious = [float(r / u) if u > 0 else None for r, u in zip(right, union, strict=True)]
        occurring = frozenset(counts.sum(1).nonzero().flatten().tolist())
        total = float(counts.sum())

        def mean_over(train_ids: Iterable[int]) -> float | None:
            chosen = occurring & self.space.own_ids_labelled_by(train_ids)
            return _mean([iou for own, iou in enumerate(ious) if own in chosen])

        return Scores(
            iou_per_class=dict(zip(self.space.names, ious, strict=True)),
            miou=_mean([iou for own, iou in enumerate(ious) if own in occurring]),
            miou_shared=mean_over(shared_train_ids),
            pixel_accuracy=float(right.sum()) / total if total else None,
            miou_subsets={name: mean_over(ids) for name, ids in _SUBSETS.items()} if self.space == CITYSCAPES19 else {},
        )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
