"""Tensors as pictures that a person can look at."""

import numpy as np
from torch import Tensor

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.method import Picture


def rgb_picture(image: Tensor) -> Picture:
    """A frame as bytes.

    Args:
        image: RGB [3,H,W]; what lies outside [0, 1] is clipped.
    """
    scaled = image.detach().float().clamp(0, 1).permute(1, 2, 0).cpu().numpy() * 255
    picture: Picture = scaled.round().astype(np.uint8)
    return picture


def label_picture(labels: Tensor) -> Picture:
    """Labels in the classes' colours.

    Args:
        labels: Train ids [H,W], 255 ignored.
    """
    return CITYSCAPES19.colorize(labels.cpu().numpy().astype(np.uint8))
