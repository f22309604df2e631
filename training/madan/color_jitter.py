"""Colours changed at random for segmenters alone: what generators and discriminators see keeps its domain's look.

Legend: `B` batch, `H W` pixels.
"""

import math
from typing import Any, Final

import torch
from torch import Tensor

from isthmus.configuration import config

_LUMA: Final = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


@config
class ColorJitterConfig:
    """How far colours change; the defaults are those of `augmentation`."""

    probability: float = 0.8
    """Of an image to be changed at all."""
    brightness: float = 0.4
    """Largest relative change of brightness."""
    contrast: float = 0.4
    """Largest relative change of contrast."""
    saturation: float = 0.4
    """Largest relative change of saturation."""
    hue: float = 0.05
    """Largest turn of hue, as a share of the colour circle."""

    def __post_init__(self) -> None:
        for name in ("probability", "brightness", "contrast", "saturation"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}: write a number from 0 to 1")
        if not 0.0 <= self.hue <= 0.5:
            raise ValueError(f"hue is {self.hue}: write a number from 0 to 0.5")


class ColorJitter:
    """Draws brightness, contrast, saturation and hue for each image of a batch, with a random state of its own.

    Args:
        config: How far each goes.
        seed: Of the draws of this process.
    """

    def __init__(self, config: ColorJitterConfig, seed: int) -> None:
        self._config = config
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [0, 1], changed each in its own way; the given ones stay as they are."""
        chosen = self._draw(len(images), 0.5, 0.5) < self._config.probability
        factors = [
            torch.where(chosen, self._draw(len(images), 1.0, most), 1.0)
            for most in (self._config.brightness, self._config.contrast, self._config.saturation)
        ]
        turn = torch.where(chosen, self._draw(len(images), 0.0, self._config.hue), 0.0)
        brightness, contrast, saturation, turn = (one.to(images.device) for one in (*factors, turn))
        return recolor(images, brightness, contrast, saturation, turn)

    def _draw(self, count: int, middle: float, most: float) -> Tensor:
        """Numbers [count] from middle - most to middle + most."""
        return middle + most * (2.0 * torch.rand(count, generator=self._generator) - 1.0)

    def state_dict(self) -> dict[str, Any]:
        """The random state."""
        return {"random": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._generator.set_state(state["random"])


def recolor(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, turn: Tensor) -> Tensor:
    """Images with their colours changed: one affine map of RGB an image, clipped to [0, 1] at the end.

    Args:
        images: [B,3,H,W] in [0, 1].
        brightness: [B] factors of all values.
        contrast: [B] factors of the distances to the image's mean grey.
        saturation: [B] factors of the distances to each pixel's grey.
        turn: [B] shares of a full turn of all colours about the grey axis.
    """
    luma = images.new_tensor(_LUMA)
    identity = torch.eye(3, device=images.device)
    grey = luma.expand(3, 3)
    saturate = saturation.view(-1, 1, 1) * (identity - grey) + grey
    matrix = brightness.view(-1, 1, 1) * (_rotation(turn) @ saturate)
    changed = torch.einsum("bij,bjhw->bihw", matrix, images.float())
    mean_grey = (changed.mean((2, 3)) @ luma).view(-1, 1, 1, 1)
    return (mean_grey + contrast.view(-1, 1, 1, 1) * (changed - mean_grey)).clamp(0.0, 1.0)


def _rotation(turn: Tensor) -> Tensor:
    """Rotations [B,3,3] about the axis of equal red, green and blue (Rodrigues' formula)."""
    angle = (2.0 * math.pi * turn).view(-1, 1, 1)
    side = 1.0 / math.sqrt(3.0)
    along = torch.full((3, 3), 1.0 / 3.0, device=turn.device)
    across = torch.tensor([[0.0, -side, side], [side, 0.0, -side], [-side, side, 0.0]], device=turn.device)
    identity = torch.eye(3, device=turn.device)
    return angle.cos() * (identity - along) + along + angle.sin() * across
