"""Masks as pictures for people."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

OVERLAY_WEIGHT: Final = 0.5
"""Share of the class colour in an overlay."""
_UNLABELLED: Final = 255


def color_mask(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask in its classes' colours, RGB [H, W, 3] uint8; unlabelled pixels are black.

    Args:
        mask: Ids [H, W] uint8.
        palette: RGB colours [256, 3] uint8 by id, as `ModelInfo.palette` gives them.
    """
    return palette[mask]


def overlay(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], palette: NDArray[np.uint8], weight: float = OVERLAY_WEIGHT
) -> NDArray[np.uint8]:
    """Class colours over a picture; unlabelled pixels (255) keep their own.

    Args:
        image: RGB [H, W, 3] uint8.
        mask: Ids [H, W] uint8.
        palette: RGB colours [256, 3] uint8 by id.
        weight: Share of the class colour, in [0, 1].
    """
    blended = cv2.addWeighted(image, 1 - weight, palette[mask], weight, 0)
    return np.where((mask == _UNLABELLED)[..., None], image, blended)
