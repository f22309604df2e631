"""Frames that virtual vehicles send: good ones, and those that are meant to do harm."""

from dataclasses import dataclass, field
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Kind = Literal["raw", "jpeg"]

_BOMB_SIDE: Final = 60_000
_JPEG_QUALITY: Final = 90


@dataclass(frozen=True)
class Picture:
    """A frame as it is sent.

    Args:
        kind: raw (RGB8) or jpeg.
        width: Of the frame, pixels; 0 says nothing about it.
        height: The same.
        data: The bytes.
    """

    kind: Kind
    width: int
    height: int
    data: bytes = field(repr=False)


def street(size_hw: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A picture [H, W, 3] uint8 with large smooth regions and some grain, as photographs have, for JPEG."""
    height, width = size_hw
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (max(2, height // 32), max(2, width // 32), 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    grain = chance.integers(-6, 7, (height, width, 1), np.int16)
    return np.asarray(np.clip(smooth + grain, 0, 255), np.uint8)


def picture(kind: Kind, size_hw: tuple[int, int], seed: int = 0) -> Picture:
    """A good frame."""
    image = street(size_hw, seed)
    height, width = size_hw
    if kind == "raw":
        return Picture("raw", width, height, image.tobytes())
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Picture("jpeg", 0, 0, data.tobytes())


def hostile(size_hw: tuple[int, int]) -> tuple[Picture, ...]:
    """A JPEG that says it is huge, one cut short, one that is noise, and raw frames of wrong sizes."""
    good = picture("jpeg", size_hw).data
    raw = picture("raw", size_hw)
    noise = np.random.default_rng(1).integers(0, 256, 4096, np.uint8).tobytes()
    return (
        Picture("jpeg", 0, 0, _with_side(good, _BOMB_SIDE)),
        Picture("jpeg", 0, 0, good[:20]),
        Picture("jpeg", 0, 0, noise),
        Picture("raw", raw.width, raw.height, raw.data[:-7]),
        Picture("raw", raw.width * 2, raw.height, raw.data),
        Picture("raw", 0, 0, raw.data),
    )


def _with_side(jpeg: bytes, side: int) -> bytes:
    """The file, but with another height and width in its frame header (marker FFC0: length, precision, sides)."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + side.to_bytes(2, "big") * 2 + jpeg[at + 4 :]
