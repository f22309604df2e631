"""Tensors as pictures that a person can look at."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from torch import Tensor

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.method import Picture

_CELL_WIDTH: Final = 144
"""Least width of a cell, so that its heading can be read."""
_HEADING: Final = 18


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


def share_picture(share: Tensor) -> Picture:
    """Numbers as grey, white for 1.

    Args:
        share: [H,W] in [0, 1].
    """
    grey = (share.detach().float().cpu().numpy() * 255).round().astype(np.uint8)
    picture: Picture = np.repeat(grey[..., None], 3, axis=2)
    return picture


def fitted(picture: Picture, height: int, width: int) -> Picture:
    """A picture [H,W,3] brought into a cell of this size, whole and in its own shape, on white."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    tall, wide = (max(1, round(side * scale)) for side in picture.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    cell: Picture = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - tall) // 2, (width - wide) // 2
    cell[top : top + tall, left : left + wide] = cv2.resize(picture, (wide, tall), interpolation=way)
    return cell


def titled_grid(titles: Sequence[str], rows: Sequence[Sequence[Picture]]) -> Picture:
    """Pictures of one size in rows below the headings of their columns; small ones are enlarged by whole numbers.

    Args:
        titles: In ASCII, one a column.
        rows: Pictures [H,W,3].
    """
    body = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
    factor = -(-_CELL_WIDTH // rows[0][0].shape[1])
    body = body.repeat(factor, axis=0).repeat(factor, axis=1)
    heading = np.full((_HEADING, body.shape[1], 3), 255, np.uint8)
    for column, title in enumerate(titles):
        at = (column * body.shape[1] // len(titles) + 4, _HEADING - 5)
        cv2.putText(heading, title, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([heading, body], axis=0)
