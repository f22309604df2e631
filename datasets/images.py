"""Reading image and label files, with one clear error for each way they can be broken."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.errors import DataMissingError, UnreadableFileError

_BROKEN: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises on damaged files, depending on the byte."""


def read_image_rgb(path: Path) -> NDArray[np.uint8]:
    """A JPEG or PNG as [H, W, 3] uint8 RGB.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated or no image.
    """
    with _opened(path) as image:
        return np.asarray(_loaded(image, path).convert("RGB"))


def read_label_png(path: Path) -> NDArray[np.uint8]:
    """An 8-bit grey or palette PNG as raw indices [H, W] uint8; palettes are not applied.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated, no PNG, or colours where indices should be.
    """
    with _opened(path) as image:
        if image.mode not in {"L", "P"}:
            raise UnreadableFileError(
                f"label has mode {image.mode}, expected 8-bit ids (L or P)",
                where=path,
                remedy="This looks like a colour picture of labels: use the data set's id files.",
            )
        return np.asarray(_loaded(image, path))


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise DataMissingError("no such file", where=path) from error
    except _BROKEN as error:
        raise UnreadableFileError(f"no readable image ({error})", where=path, remedy="Fetch it again.") from error


def _loaded(image: Image.Image, path: Path) -> Image.Image:
    try:
        image.load()
    except _BROKEN as error:
        raise UnreadableFileError(f"truncated or damaged ({error})", where=path, remedy="Fetch it again.") from error
    return image


def read_png16_rgb(path: Path) -> NDArray[np.uint16]:
    """A 16-bit RGB PNG as [H, W, 3] uint16 in RGB order; Pillow would drop the low bytes.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated, no PNG, or not 16-bit RGB.
    """
    import cv2

    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataMissingError("no such file", where=path) from error
    encoded = np.frombuffer(content, np.uint8)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if content else None
    if decoded is None:
        raise UnreadableFileError("truncated, damaged or no image", where=path, remedy="Fetch it again.")
    if decoded.dtype != np.uint16 or decoded.ndim != 3 or decoded.shape[2] != 3:
        raise UnreadableFileError(
            f"expected a 16-bit RGB PNG, found {decoded.dtype} {decoded.shape}",
            where=path,
            remedy="This looks like a colour picture of labels: use the data set's id files.",
        )
    return np.asarray(decoded[..., ::-1], np.uint16)  # OpenCV's order is BGR
