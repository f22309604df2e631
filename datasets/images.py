"""Reading image and label files, with one clear error for each way they can be broken."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.errors import DataMissingError, UnreadableFileError

_BROKEN: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises on damaged files, depending on the byte."""

_COLOUR_PICTURE: Final = "This looks like a colour picture of labels: use the data set's id files."
_ID_FILES: Final = "Use the data set's id files, as they were published."

_PNG_DEPTH_AT, _PNG_COLOR_AT = 24, 25  # bytes of the header, which comes first in every PNG
_PNG_RGB, _PNG_GREY_ALPHA, _PNG_RGBA = 2, 4, 6
_PNG_KINDS: Final = {0: "grey", _PNG_RGB: "RGB", _PNG_GREY_ALPHA: "grey with alpha", _PNG_RGBA: "RGB with alpha"}


def read_image_rgb(path: Path) -> NDArray[np.uint8]:
    """A JPEG or PNG as [H, W, 3] uint8 RGB.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated or no image.
    """
    with _opened(path, path) as image:
        return np.asarray(_loaded(image, path).convert("RGB"))


def decode_image_rgb(content: bytes, where: str | Path) -> NDArray[np.uint8]:
    """The bytes of a JPEG or PNG as `read_image_rgb` reads a file; `where` names them in errors."""
    with _opened(io.BytesIO(content), where) as image:
        return np.asarray(_loaded(image, where).convert("RGB"))


def read_label_png(path: Path) -> NDArray[np.uint8]:
    """An 8-bit grey or palette PNG as raw indices [H, W] uint8; palettes are not applied.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated, no PNG, or colours where indices should be.
    """
    with _opened(path, path) as image:
        return _label_ids(image, path)


def decode_label_png(content: bytes, where: str | Path) -> NDArray[np.uint8]:
    """The bytes of a PNG as `read_label_png` reads a file; `where` names them in errors."""
    with _opened(io.BytesIO(content), where) as image:
        return _label_ids(image, where)


def _label_ids(image: Image.Image, where: str | Path) -> NDArray[np.uint8]:
    if image.mode not in {"L", "P"}:
        raise UnreadableFileError(
            f"label has mode {image.mode}, expected 8-bit ids (L or P)",
            where=where,
            remedy=_COLOUR_PICTURE if image.mode in {"RGB", "RGBA"} else _ID_FILES,
        )
    return np.asarray(_loaded(image, where))


def _opened(source: Path | io.BytesIO, where: str | Path) -> Image.Image:
    try:
        return Image.open(source)
    except FileNotFoundError as error:
        raise DataMissingError("no such file", where=where) from error
    except _BROKEN as error:
        raise UnreadableFileError(f"no readable image ({error})", where=where, remedy="Fetch it again.") from error


def _loaded(image: Image.Image, where: str | Path) -> Image.Image:
    try:
        image.load()
    except _BROKEN as error:
        raise UnreadableFileError(f"truncated or damaged ({error})", where=where, remedy="Fetch it again.") from error
    return image


def read_png16_channels(path: Path) -> NDArray[np.uint16]:
    """A 16-bit PNG of several channels, which Pillow would cut to 8 bits.

    Returns:
        [H, W, 3] red, green and blue, or [H, W, 2] grey and alpha.

    Raises:
        DataMissingError: No such file.
        UnreadableFileError: Truncated, no PNG, or neither of these two kinds.
    """
    import cv2

    with _opened(path, path) as image:
        if image.format != "PNG":
            raise UnreadableFileError(f"no PNG but {image.format}", where=path, remedy=_ID_FILES)
        _checked(image, path)
    content = path.read_bytes()
    depth, color = content[_PNG_DEPTH_AT], content[_PNG_COLOR_AT]
    if (depth, color) not in {(16, _PNG_RGB), (16, _PNG_GREY_ALPHA)}:
        kind = f"{depth}-bit {_PNG_KINDS.get(color, 'palette')}"
        raise UnreadableFileError(
            f"expected a PNG of 16-bit RGB or grey with alpha, found {kind}",
            where=path,
            remedy=_COLOUR_PICTURE if color in {_PNG_RGB, _PNG_RGBA} else _ID_FILES,
        )
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise UnreadableFileError("truncated or damaged", where=path, remedy="Fetch it again.")
    # OpenCV's order is blue, green, red, alpha, and it repeats grey three times.
    return np.asarray(decoded[..., ::-1] if color == _PNG_RGB else decoded[..., 2:], np.uint16)


def _checked(image: Image.Image, path: Path) -> None:
    """Compare a PNG's checksums: OpenCV would print its decoder's complaints about a damaged file."""
    try:
        image.verify()
    except _BROKEN as error:
        raise UnreadableFileError(f"truncated or damaged ({error})", where=path, remedy="Fetch it again.") from error
