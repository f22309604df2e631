"""What a person looks at to see whether adaptation goes well: a row a source, and what the target becomes.

Legend: `H W` pixels of the generators' crops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.method import Picture
from isthmus.training.tensor_pictures import label_picture, rgb_picture


@dataclass(frozen=True, slots=True)
class Shown:
    """A step's frames, before and after translation."""

    crop: Frames
    translated: tuple[Translated, ...]
    source_segmenters: Sequence[nn.Module]
    """F_i."""
    adapted_segmenter: nn.Module
    """F_A."""

    def kept(self) -> "Shown":
        """The first frame of each batch, copied: views would keep whole batches until the next step has its own."""

        def first(images: Tensor) -> Tensor:
            return images[:1].detach().clone()

        crop = Frames(
            [first(one) for one in self.crop.images],
            [first(one) for one in self.crop.masks],
            first(self.crop.target),
        )
        translated = tuple(
            Translated(first(each.adapted), first(each.reconstructed), first(each.returned), {})
            for each in self.translated
        )
        return Shown(crop, translated, self.source_segmenters, self.adapted_segmenter)


@torch.no_grad()
def draw(shown: Shown) -> Mapping[str, Picture]:
    """Two pictures of a step.

    `adaptation` has a row a source: image, labels, F_i(x_i), adapted, F_A(adapted), reconstructed. `target` shows the
    target, then what each G'_i returns it to.
    """
    rows = []

    def rgb(images: Tensor) -> Picture:
        return rgb_picture(images[0])

    def colors(labels: Tensor) -> Picture:
        return label_picture(labels[0])

    for source, result in enumerate(shown.translated):
        image, mask = shown.crop.images[source], shown.crop.masks[source]
        seen = shown.source_segmenters[source](image).argmax(1)
        meant = shown.adapted_segmenter(result.adapted).argmax(1)
        cells = [
            rgb(image),
            colors(mask),
            colors(seen),
            rgb(result.adapted),
            colors(meant),
            rgb(result.reconstructed),
        ]
        rows.append(np.concatenate(cells, axis=1))
    target = [rgb(shown.crop.target), *(rgb(result.returned) for result in shown.translated)]
    return {"adaptation": np.concatenate(rows, axis=0), "target": np.concatenate(target, axis=1)}
