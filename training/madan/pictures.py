"""What a person looks at to see whether adaptation goes well: a row a source, and what the target becomes.

Legend: `H W` pixels of the generators' crops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.method import Picture


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
    for source, result in enumerate(shown.translated):
        image, mask = shown.crop.images[source], shown.crop.masks[source]
        seen = shown.source_segmenters[source](image).argmax(1)
        meant = shown.adapted_segmenter(result.adapted).argmax(1)
        cells = [
            _rgb(image),
            _colors(mask),
            _colors(seen),
            _rgb(result.adapted),
            _colors(meant),
            _rgb(result.reconstructed),
        ]
        rows.append(np.concatenate(cells, axis=1))
    target = [_rgb(shown.crop.target), *(_rgb(result.returned) for result in shown.translated)]
    return {"adaptation": np.concatenate(rows, axis=0), "target": np.concatenate(target, axis=1)}


def _rgb(images: Tensor) -> NDArray[np.uint8]:
    """The first image of a batch as [H,W,3]."""
    scaled = images[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy() * 255
    pixels: NDArray[np.uint8] = scaled.round().astype(np.uint8)
    return pixels


def _colors(labels: Tensor) -> NDArray[np.uint8]:
    """The first label map of a batch in the classes' colours."""
    return CITYSCAPES19.colorize(labels[0].cpu().numpy().astype(np.uint8))
