"""The stylist: draws the versions of a step's frames from K style domains.

Legend: `B` batch, `V` views, `K` domains, `H W` pixels.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from isthmus.datasets.layout import write_bytes
from isthmus.training.randomization.styles.amplitude import AmplitudeDomain
from isthmus.training.randomization.styles.config import IMAGE_KINDS, StylesConfig
from isthmus.training.randomization.styles.domain import StyleDomain
from isthmus.training.randomization.styles.fourier import FourierDomain
from isthmus.training.randomization.styles.images import StyleImages, deal_images, dealing_to_know
from isthmus.training.randomization.styles.record import DOMAINS_FILE
from isthmus.training.randomization.styles.statistics import StatisticsDomain
from isthmus.training.randomization.styles.translation import TranslationDomain

_KEY: Final = 1909
"""Enters every draw's seed, so that no other user of the run's seed shares its numbers."""


class Stylist:
    """Versions of frames in drawn style domains; their labels stay true, since nothing in them moves.

    What is drawn depends on seed, step, source and rank alone: there is no state, and a resumed run draws the same.

    Args:
        domains: K of them; none where there is one view.
        views: V, the frames themselves among them.
        seed: Of the run.
    """

    def __init__(self, domains: Sequence[StyleDomain], *, views: int, seed: int) -> None:
        self._domains, self._views, self._seed = domains, views, seed

    @torch.no_grad()
    def views(self, images: Tensor, step: int, source: int, rank: int) -> Tensor:
        """The frames and their versions.

        Within a domain each frame has its own style and strength. Generators run in the caller's autocast; all else is
        float32.

        Args:
            images: RGB in [0, 1], [B,3,H,W], float32, on the stylist's device.
            step: Of the run.
            source: Index of the source that the frames come from.
            rank: Of this process.

        Returns:
            [V,B,3,H,W], float32 in [0, 1], without gradients; the first are the images themselves.
        """
        draws = self._draws(step, source, rank)
        styled = [self._domains[one].stylise(images, source, draws) for one in self._choose(draws)]
        return torch.stack([images, *(one.clamp(0, 1) for one in styled)])

    def chosen(self, step: int, source: int, rank: int) -> tuple[int, ...]:
        """Indices of the domains that `views` draws there, one for each view after the first."""
        return tuple(self._choose(self._draws(step, source, rank)))

    def describe(self) -> list[dict[str, Any]]:
        """Each domain's number, kind and parameters, with path and SHA-256 of the style images or generators it has."""
        return [
            {"domain": number, "kind": domain.kind, **domain.describe()} for number, domain in enumerate(self._domains)
        ]

    def write(self, folder: Path) -> None:
        """Write what `describe` gives to `style_domains.json` in a run's folder, whole or not at all."""
        write_bytes(folder / DOMAINS_FILE, (json.dumps(self.describe(), indent=2) + "\n").encode())

    def _draws(self, step: int, source: int, rank: int) -> np.random.Generator:
        return np.random.default_rng([_KEY, self._seed, step, source, rank])

    def _choose(self, draws: np.random.Generator) -> list[int]:
        """Domains of all views but the first: none comes a second time before all have come."""
        order: list[int] = []
        while len(order) < self._views - 1:
            order.extend(draws.permutation(len(self._domains)).tolist())
        return order[: self._views - 1]


def build_stylist(config: StylesConfig, *, seed: int, device: torch.device) -> Stylist:
    """A stylist with its domains; style images and generators are read here.

    Args:
        config: What to draw from.
        seed: Of the run.
        device: Where frames will lie.

    Raises:
        DataError: The style images are missing, too few or unreadable.
        CheckpointError: A translation's run cannot be read or lacks a source.
    """
    return Stylist(list(_build_domains(config, seed, device)), views=config.views, seed=seed)


def styles_to_know(config: StylesConfig) -> list[str]:
    """What a person should know of the styles before a run draws from them, one line each.

    Args:
        config: What to draw from.
    """
    lines = []
    if config.views > config.domains + 1:
        lines.append(
            f"method.styles: {config.views} views of a frame, but only {config.domains} domains and the frame itself: "
            "in a step domains come again, in other styles of theirs"
        )
    owners = sum(kind in IMAGE_KINDS for kind in config.kinds)
    dealing = dealing_to_know(config.images, owners) if owners and config.images is not None else None
    return [*lines, *([] if dealing is None else [dealing])]


def _build_domains(config: StylesConfig, seed: int, device: torch.device) -> Iterator[StyleDomain]:
    owners = sum(kind in IMAGE_KINDS for kind in config.kinds)
    stocks: Iterator[list[Path]] = iter(())
    folder = Path() if config.images is None else config.images
    if owners:
        stocks = iter(deal_images(folder, owners, config.images_per_domain))
    checkpoints = iter(config.translation.checkpoints)
    for number, kind in enumerate(config.kinds):
        if kind == "amplitude":
            yield AmplitudeDomain(config.amplitude, seed=seed, number=number)
        elif kind == "fourier":
            yield FourierDomain(config.fourier, StyleImages(folder, next(stocks), device))
        elif kind == "statistics":
            yield StatisticsDomain(config.statistics, StyleImages(folder, next(stocks), device))
        else:
            yield TranslationDomain(next(checkpoints), config.translation.sources, device)
