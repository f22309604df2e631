"""What a person looks at to see whether adaptation goes well: a row a source, and what the target becomes.

Legend: `H W` pixels of the generators' crops.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.madan.self_training import Mixed
from isthmus.training.method import Picture
from isthmus.training.tensor_pictures import fitted, label_picture, rgb_picture, share_picture, titled_grid


@dataclass(frozen=True, slots=True)
class Shown:
    """A step's frames, before and after translation."""

    crop: Frames
    translated: tuple[Translated, ...]
    """One a source; none of generators that hold still, until somebody looks, nor where there are no generators."""
    source_segmenters: Sequence[nn.Module]
    """F_i."""
    adapted_segmenter: nn.Module
    """F_A."""
    mixed: Mixed | None = None
    """What self-training learned from, where it plays."""
    whole: tuple[Tensor, ...] = ()
    """[B,3,H,W] of each source, where the generators see crops of it and the segmenter all."""
    adapt: Callable[[Tensor, int], Tensor] | None = None
    """The pass that translates those for the segmenter, given source i's frames and i."""

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
        mixed = None if self.mixed is None else Mixed(*map(first, self.mixed))
        whole = tuple(map(first, self.whole))
        return Shown(crop, translated, self.source_segmenters, self.adapted_segmenter, mixed, whole, self.adapt)


@torch.no_grad()
def draw(shown: Shown) -> Mapping[str, Picture]:
    """Pictures of a step.

    `adaptation` has a row a source: image, labels, F_i(x_i), adapted, F_A(adapted), reconstructed; where generators
    learn from crops, the whole frame and its translation too, as the segmenter sees it, shrunk. `target` shows the
    target, then what each G'_i returns it to; `self_training`, where it plays, a target frame with what was pasted on
    it, its labels, and how far each counts. Without generators `adaptation` and `target` show what F_A sees.
    """
    pictures = _segmented(shown) if not shown.translated else _translated(shown)
    if shown.mixed is not None:
        mixed = [_rgb(shown.mixed.images), _colors(shown.mixed.labels), share_picture(shown.mixed.trust[0])]
        pictures["self_training"] = titled_grid(("pasted", "labels", "how far they count"), [mixed])
    return pictures


def _translated(shown: Shown) -> dict[str, Picture]:
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
        if shown.whole and shown.adapt is not None:
            whole = shown.whole[source]
            cells += [fitted(_rgb(one), *image.shape[-2:]) for one in (whole, shown.adapt(whole, source))]
        rows.append(cells)
    titles = ("source", "labels", "F_i sees", "adapted", "F_A sees", "and back", "whole", "whole adapted")
    target = [_rgb(shown.crop.target), *(_rgb(result.returned) for result in shown.translated)]
    return {
        "adaptation": titled_grid(titles[: len(rows[0])], rows),
        "target": titled_grid(("target", *(f"as source {i}" for i in range(len(shown.translated)))), [target]),
    }


def _segmented(shown: Shown) -> dict[str, Picture]:
    def seen(images: Tensor) -> Picture:
        return _colors(shown.adapted_segmenter(images).argmax(1))

    frames = zip(shown.crop.images, shown.crop.masks, strict=True)
    rows = [[_rgb(image), _colors(mask), seen(image)] for image, mask in frames]
    target = [_rgb(shown.crop.target), seen(shown.crop.target)]
    return {
        "adaptation": titled_grid(("source", "labels", "F_A sees"), rows),
        "target": titled_grid(("target", "F_A sees"), [target]),
    }


def _rgb(images: Tensor) -> Picture:
    return rgb_picture(images[0])


def _colors(labels: Tensor) -> Picture:
    return label_picture(labels[0])
