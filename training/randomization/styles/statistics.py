"""Statistics domains: a frame takes mean and deviation of each channel from a style image."""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from isthmus.training.randomization.styles.color import lab_to_rgb, rgb_to_lab
from isthmus.training.randomization.styles.config import Kind, StatisticsConfig
from isthmus.training.randomization.styles.images import StyleImages

_MIN_DEVIATION: Final = 1e-5
"""Below it a channel counts as flat and takes the style's mean alone."""


def exchange_statistics(images: Tensor, styles: Tensor, strength: Tensor) -> Tensor:
    """Shift and stretch each channel to a mixture of its own and the style's mean and deviation over the pixels.

    *Equation*: y = ((1 - t) s(x) + t s(z)) (x - m(x)) / s(x) + (1 - t) m(x) + t m(z) for image x, style z and strength
    t, with mean m and standard deviation s: AdaIN (Huang and Belongie, arXiv:1703.06868, equations 8 and 14) on colours
    instead of features, which is Reinhard et al.'s colour transfer (IEEE CG&A 21(5), 2001, equations 10 and 11).

    *Deviations*: Reinhard's channels are those of the l-alpha-beta space; `lab` stands for CIELAB here.

    Args:
        images: [B,3,H,W] in any colour space.
        styles: [B,3,h,w] in the same.
        strength: [B] in [0, 1].

    Returns:
        [B,3,H,W]; with strength 1 exactly the style's mean and deviation (population, over all pixels).
    """
    mixture = strength[:, None, None, None]
    mean, deviation = _moments(images)
    style_mean, style_deviation = _moments(styles)
    stretch = torch.lerp(torch.ones_like(deviation), style_deviation / deviation.clamp_min(_MIN_DEVIATION), mixture)
    return (images - mean) * stretch + torch.lerp(mean, style_mean, mixture)


class StatisticsDomain:
    """Frames with the colour statistics of one of a few style images.

    Args:
        config: Colour space and strength.
        images: The domain's own.
    """

    kind: Kind = "statistics"

    def __init__(self, config: StatisticsConfig, images: StyleImages) -> None:
        self._config, self._images = config, images

    def stylise(self, images: Tensor, source: int, draws: np.random.Generator) -> Tensor:  # noqa: ARG002
        """See `StyleDomain`."""
        height, width = images.shape[-2:]
        styles = self._images.draw(len(images), (height, width), draws)
        strength = images.new_tensor(draws.uniform(*self._config.strength, size=len(images)))
        if self._config.space == "rgb":
            return exchange_statistics(images, styles, strength)
        return lab_to_rgb(exchange_statistics(rgb_to_lab(images), rgb_to_lab(styles), strength))

    def describe(self) -> dict[str, Any]:
        """See `StyleDomain`."""
        parameters = {"space": self._config.space, "strength": list(self._config.strength)}
        return {"parameters": parameters, "images": self._images.describe()}


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population deviation of each channel, [B,3,1,1]."""
    deviation, mean = torch.std_mean(images, dim=(-2, -1), correction=0, keepdim=True)
    return mean, deviation
