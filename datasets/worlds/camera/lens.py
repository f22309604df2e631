"""What a lens does to straight lines, to the picture and to its labels alike."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.mesh import Floats

_BORDER_POINTS: Final = 9

_Id = TypeVar("_Id", np.uint8, np.uint16)


@dataclass(frozen=True, slots=True)
class Lens:
    """Radial and tangential distortion in the inverse form of Brown (1966).

    A point `p` of the picture, in focal lengths from its middle, shows what a pinhole camera would show at
    `p · (1 + k1 r² + k2 r⁴)` plus the tangential terms of `p1` and `p2`. Positive `k1` is a barrel.
    """

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @property
    def is_straight(self) -> bool:
        """Whether it changes nothing."""
        return self == PINHOLE

    def seen_at(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Where a pinhole camera shows what this lens shows at (x, y), in focal lengths."""
        square = x * x + y * y
        radial = 1.0 + square * (self.k1 + square * self.k2)
        return (
            x * radial + 2.0 * self.p1 * x * y + self.p2 * (square + 2.0 * x * x),
            y * radial + self.p1 * (square + 2.0 * y * y) + 2.0 * self.p2 * x * y,
        )

    def margin(self, focal: float, aspect: float) -> float:
        """How many times wider the pinhole picture must be, so that no pixel of the bent one lies outside it."""
        if self.is_straight:
            return 1.0
        right, top = _half_sides(focal, aspect)
        along = np.linspace(-1.0, 1.0, _BORDER_POINTS)
        x = np.concatenate([along, along, np.full_like(along, 1), np.full_like(along, -1)]) * right
        y = np.concatenate([np.full_like(along, 1), np.full_like(along, -1), along, along]) * top
        seen_x, seen_y = self.seen_at(x, y)
        return float(max(1.0, np.abs(seen_x).max() / right, np.abs(seen_y).max() / top))


PINHOLE: Final = Lens()
"""No lens at all: straight lines stay straight."""


class Bend:
    """The way from a pinhole picture to the one behind a lens, for one size.

    Args:
        lens: The lens.
        focal: Focal length in units of the geometric mean of the picture's sides.
        size_hw: Height and width of both pictures.
    """

    def __init__(self, lens: Lens, focal: float, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        pixels = focal * np.sqrt(height * width)
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / np.float32(pixels)
        y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / np.float32(pixels)
        seen_x, seen_y = lens.seen_at(*np.meshgrid(x, y))
        scale = np.float32(pixels / lens.margin(focal, width / height))
        self._x = np.asarray(seen_x * scale + np.float32(width / 2 - 0.5), np.float32)
        self._y = np.asarray(seen_y * scale + np.float32(height / 2 - 0.5), np.float32)

    def picture(self, light: NDArray[np.float32]) -> NDArray[np.float32]:
        """[H, W, 3] light, interpolated."""
        import cv2

        bent = cv2.remap(light, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(bent, np.float32)

    def labels(self, ids: NDArray[_Id]) -> NDArray[_Id]:
        """[H, W] ids of any kind, each from the nearest pixel."""
        height, width = ids.shape
        rows = np.clip(np.rint(self._y), 0, height - 1).astype(np.intp)
        columns = np.clip(np.rint(self._x), 0, width - 1).astype(np.intp)
        return ids[rows, columns]


def _half_sides(focal: float, aspect: float) -> tuple[float, float]:
    """Half the picture's width and height in focal lengths."""
    return 0.5 * aspect**0.5 / focal, 0.5 / aspect**0.5 / focal
