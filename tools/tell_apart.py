"""Can a patch discriminator tell two data sets apart? Where it cannot, sub-domain aggregation has nothing to do.

    .venv/bin/python tools/tell_apart.py gta5=data/worlds/arcade synthia=data/worlds/studio

Trains MADAN's discriminator alone, as the worlds' configurations have it, on crops of the frames of both
(`NAME=FOLDER`, split `all`, as `isthmus adapt` writes them too), and prints which share of patches of held-out frames
it gets right: 50 % is a guess.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.training.discriminators import PatchDiscriminator, PatchDiscriminatorConfig

SIZE_HW = (240, 320)
CROP_HW = (96, 128)
STEPS = 500


def frames_of(named: str, part: str) -> SegmentationDataset:
    """One part of a data set that is given as NAME=FOLDER."""
    dataset, _, root = named.partition("=")
    return build_dataset(DatasetConfig(dataset=dataset, root=Path(root), split="all", part=part))  # type: ignore[arg-type]


def crops(frames: list[Tensor], count: int, draws: torch.Generator) -> Tensor:
    """[count,3,h,w] from anywhere in any of the frames."""

    def one() -> Tensor:
        frame = frames[int(torch.randint(len(frames), (), generator=draws))]
        top, left = (
            int(torch.randint(side - crop + 1, (), generator=draws))
            for side, crop in zip(frame.shape[-2:], CROP_HW, strict=True)
        )
        return frame[:, top : top + CROP_HW[0], left : left + CROP_HW[1]]

    return torch.stack([one() for _ in range(count)])


def read(dataset: SegmentationDataset) -> list[Tensor]:
    """All frames [3,H,W] in [0, 1], at one size."""
    images = (torch.from_numpy(np.array(dataset.read_unlabelled(i)["image"])) for i in range(len(dataset)))
    sized = (
        functional.interpolate(image.permute(2, 0, 1)[None].float() / 255.0, SIZE_HW, mode="area") for image in images
    )
    return [image[0] for image in sized]


def share_right(first: str, second: str, *, instance_norm: bool, steps: int = STEPS) -> float:
    """Share of held-out patches that a discriminator gets right after `steps`."""
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(0)
    config = PatchDiscriminatorConfig(width=32, layers=2, instance_norm=instance_norm)
    judge = PatchDiscriminator(config, outputs=2)
    optimiser = torch.optim.Adam(judge.parameters(), 2.0e-4, betas=(0.5, 0.999))
    seen, held_out = ([read(frames_of(one, part)) for one in (first, second)] for part in ("fit", "holdout"))

    def verdicts(frames: list[Tensor], count: int, label: int) -> tuple[Tensor, Tensor]:
        verdict = judge(crops(frames, count, draws))
        return verdict, torch.full((count, *verdict.shape[-2:]), label)

    for _ in range(steps):
        losses = [functional.cross_entropy(*verdicts(frames, 2, label)) for label, frames in enumerate(seen)]
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        judged = [verdicts(frames, 100, label) for label, frames in enumerate(held_out)]
    return float(np.mean([float((verdict.argmax(1) == label).float().mean()) for verdict, label in judged]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for norm in (True, False):
        right = share_right(*sys.argv[1:], instance_norm=norm)
        print(f"{'with' if norm else 'without'} instance normalisation: {100 * right:.0f} % of held-out patches right")
