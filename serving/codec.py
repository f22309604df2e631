"""From a frame's bytes to pixels, and from labels to a mask's bytes.

These functions burn CPU time outside the GIL (OpenCV, zstd, NumPy) and run in the codec's thread pool. Sizes are
checked against the header before anything is decoded, so that a small file cannot unfold into a huge picture.
"""

import struct
from enum import Enum
from typing import Final

import cv2
import numpy as np
import zstandard
from numpy.typing import NDArray

from isthmus.errors import FrameTooLargeError, InvalidFrameError
from isthmus.serving import bombs

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_START: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# What libjpeg lets stand before a frame as a segment with a length: tables, intervals, comments, applications' data.
# Anything else it refuses or, as 0x00, skips as garbage: to jump over what it reads would be to miss the real size.
_JPEG_SEGMENTS: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
# All "start of frame" markers; 0xC4, 0xC8 and 0xCC lie between them and mean something else.
_JPEG_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MAX_MARKERS: Final = 1000  # a camera's file has about ten before its size; a file of fill bytes has millions
_ZSTD_LEVEL: Final = 1  # a 512x1024 mask: 524 kB to about 31 kB in half a millisecond
_PNG_LEVEL: Final = 1
_PNG_MAX_SIDE: Final = 1_000_000  # libpng's own limit

MAX_SIDE: Final = 8192
"""Longest side of a frame, pixels. The graph's antialiased resize goes column by column: 200,000 rows of 40 pixels, no
more in all than a large camera's, would take 34 s and 2.6 GB there."""


class ImageFormat(Enum):
    """Compressed pictures that the server takes."""

    JPEG = "JPEG"
    PNG = "PNG"


class MaskFormat(Enum):
    """Ways to write a mask."""

    RAW = "raw"
    ZSTD = "zstd"
    PNG = "png"


def image_format_of(data: bytes) -> ImageFormat | None:
    """What kind of file `data` starts as, or None if it is neither JPEG nor PNG."""
    if data.startswith(_PNG_SIGNATURE):
        return ImageFormat.PNG
    return ImageFormat.JPEG if data.startswith(_JPEG_START) else None


def check_pixels(height: int, width: int, max_pixels: int, *, field: str) -> None:
    """Refuse a frame that is empty or too large.

    Raises:
        InvalidFrameError: A side is not positive.
        FrameTooLargeError: A side is longer than `MAX_SIDE`, or there are more than `max_pixels` pixels.
    """
    if height <= 0 or width <= 0:
        raise InvalidFrameError(f"a frame of {width}x{height} pixels is empty", where=field)
    if max(height, width) > MAX_SIDE:
        raise FrameTooLargeError(
            f"a side of {max(height, width)} pixels is more than {MAX_SIDE}",
            where=field,
            remedy="Send a smaller frame.",
        )
    if height * width > max_pixels:
        raise FrameTooLargeError(
            f"{width}x{height} pixels are more than the {max_pixels} that this server takes",
            where=field,
            remedy="Send a smaller frame, or start the server with a larger --max-frame-pixels.",
        )


def decode_raw(data: bytes, height: int, width: int, *, field: str) -> NDArray[np.uint8]:
    """Raw RGB bytes as an image [H, W, 3] uint8 that shares their memory.

    Raises:
        InvalidFrameError: There are not exactly height x width x 3 bytes.
    """
    if len(data) != height * width * 3:
        raise InvalidFrameError(
            f"{len(data)} bytes are not the {height * width * 3} of {width}x{height} RGB pixels", where=field
        )
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def decode_image(data: bytes, max_pixels: int, *, field: str, kind: ImageFormat | None = None) -> NDArray[np.uint8]:
    """A JPEG or PNG file as an RGB image [H, W, 3] uint8.

    Grey files become RGB, 16-bit files lose their lower bits, an alpha channel is dropped, and an orientation in
    EXIF data is not applied: the mask belongs to the pixels as they are stored.

    Args:
        data: The file.
        max_pixels: Larger pictures are refused by their header.
        field: The request's field that holds the file, for errors.
        kind: What the sender says it is; None takes either.

    Raises:
        InvalidFrameError: The file is of another kind, cut off at its end, or cannot be decoded.
        FrameTooLargeError: The picture is too large.
    """
    height, width = check_header(data, max_pixels, field=field, kind=kind)
    if image_format_of(data) is ImageFormat.PNG:
        data = bombs.pixels_of_png(data, field=field)
    else:
        bombs.check_jpeg(data, field=field)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or image.shape != (height, width, 3):
        raise InvalidFrameError("the file cannot be decoded", where=field)
    return np.asarray(image, np.uint8)


def check_header(data: bytes, max_pixels: int, *, field: str, kind: ImageFormat | None = None) -> tuple[int, int]:
    """(height, width) of a JPEG or PNG file that may be decoded; costs microseconds.

    The arguments and errors are those of `decode_image`.
    """
    found = image_format_of(data)
    if found is None or kind not in (None, found):
        expected = "JPEG or PNG" if kind is None else kind.value
        raise InvalidFrameError(f"the bytes are no {expected} file", where=field)
    height, width = image_size_of(data, found, field=field)
    check_pixels(height, width, max_pixels, field=field)
    if not _is_complete(data, found):
        raise InvalidFrameError(
            f"the {found.value} file does not end where it should: it is truncated, or something follows it",
            where=field,
        )
    return height, width


def image_size_of(data: bytes, kind: ImageFormat, *, field: str) -> tuple[int, int]:
    """(height, width) by the file's header alone.

    Raises:
        InvalidFrameError: The header is broken.
    """
    try:
        return _png_size(data) if kind is ImageFormat.PNG else _jpeg_size(data)
    except (struct.error, IndexError, ValueError) as error:
        raise InvalidFrameError(f"the {kind.value} file's header is broken", where=field) from error


def encode_mask(labels: NDArray[np.uint8], kind: MaskFormat) -> bytes:
    """Labels [H, W] uint8 as bytes.

    Raises:
        InvalidFrameError: No PNG file can be so wide or high.
    """
    if kind is MaskFormat.RAW:
        return labels.tobytes()
    if kind is MaskFormat.ZSTD:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(np.ascontiguousarray(labels).data)
    if max(labels.shape) > _PNG_MAX_SIDE:
        raise InvalidFrameError(
            f"a side of {max(labels.shape)} pixels is more than the {_PNG_MAX_SIDE} of a PNG file",
            where="mask_encoding",
            remedy="Ask for another encoding.",
        )
    written, encoded = cv2.imencode(".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
    assert written, "an 8-bit grey picture can always be written as PNG"
    return encoded.tobytes()


def decode_mask(data: bytes, kind: MaskFormat, height: int, width: int) -> NDArray[np.uint8]:
    """Inverse of `encode_mask`: labels [H, W] uint8."""
    if kind is MaskFormat.PNG:
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    if kind is MaskFormat.ZSTD:
        data = zstandard.ZstdDecompressor().decompress(data, max_output_size=height * width)
    return np.frombuffer(data, np.uint8).reshape(height, width)


def class_fractions(labels: NDArray[np.uint8], num_classes: int) -> list[float]:
    """Share of the pixels of `labels` that each class holds, in [0, 1]."""
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()[:num_classes]
    return [float(count) / labels.size for count in counts]


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("IHDR is not the first chunk")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _jpeg_size(data: bytes) -> tuple[int, int]:
    position = 2
    for _ in range(_JPEG_MAX_MARKERS):
        if data[position] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _JPEG_STANDALONE:
            position += 2
        elif marker in _JPEG_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return height, width
        elif marker in _JPEG_SEGMENTS:
            (length,) = struct.unpack_from(">H", data, position + 2)
            if length < 2:
                raise ValueError("a segment is shorter than its own length")
            position += 2 + length
        else:
            raise ValueError(f"marker {marker:#04x} before the frame")
    raise ValueError("no start of frame among its first markers")


def _is_complete(data: bytes, kind: ImageFormat) -> bool:
    # OpenCV fills the missing part of a truncated JPEG file with grey and says nothing. Its end is all that is looked
    # at: a JPEG file with a hole in its middle passes.
    if kind is ImageFormat.PNG:
        return data.endswith(_PNG_END)
    return data.rstrip(b"\x00").endswith(_JPEG_END)  # cameras pad their buffers with zeros
