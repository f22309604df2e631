"""Headers, masks and class fractions; frames are tested through a server in test_segment.py."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from isthmus.errors import InvalidFrameError
from isthmus.serving.codec import (
    ImageFormat,
    MaskFormat,
    class_fractions,
    decode_image,
    decode_mask,
    encode_mask,
    image_size_of,
)

MASK = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("kind", list(MaskFormat))
@pytest.mark.parametrize("mask", [MASK, np.asfortranarray(MASK), MASK[:, ::2]], ids=["plain", "fortran", "strided"])
def test_mask_comes_back(kind, mask):
    np.testing.assert_array_equal(decode_mask(encode_mask(mask, kind), kind, *mask.shape), mask)


@pytest.mark.parametrize("flags", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]])
def test_jpeg_header(flags):
    data = cv2.imencode(".jpg", np.zeros((30, 50, 3), np.uint8), flags)[1].tobytes()
    assert image_size_of(data, ImageFormat.JPEG, field="f") == (30, 50)
    # fill bytes before a marker are legal
    assert image_size_of(data[:2] + b"\xff\xff" + data[2:], ImageFormat.JPEG, field="f") == (30, 50)


def test_padding_after_a_jpeg_is_accepted():
    data = cv2.imencode(".jpg", np.full((8, 8, 3), 99, np.uint8))[1].tobytes()
    assert decode_image(data + b"\x00" * 16, 64, field="f").shape == (8, 8, 3)


def test_grey_and_16_bit_files_become_rgb():
    grey = cv2.imencode(".png", np.full((2, 3), 77, np.uint8))[1].tobytes()
    np.testing.assert_array_equal(decode_image(grey, 6, field="f"), np.full((2, 3, 3), 77))
    deep = cv2.imencode(".png", np.full((2, 3, 3), 77 << 8, np.uint16))[1].tobytes()
    np.testing.assert_array_equal(decode_image(deep, 6, field="f"), np.full((2, 3, 3), 77))


def test_orientation_is_not_applied():
    plain = cv2.imencode(".jpg", np.zeros((4, 8, 3), np.uint8))[1].tobytes()
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff  # orientation 6: turn by 90 degrees
    turned = plain[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (8, 4, 3)
    assert decode_image(turned, 32, field="f").shape == (4, 8, 3)


def test_mask_that_no_png_can_hold():
    with pytest.raises(InvalidFrameError, match="mask_encoding: a side of 1000001 pixels"):
        encode_mask(np.zeros((1, 1_000_001), np.uint8), MaskFormat.PNG)


def test_what_follows_a_file_is_not_called_truncation_alone():
    data = cv2.imencode(".jpg", np.full((8, 8, 3), 99, np.uint8))[1].tobytes()
    with pytest.raises(InvalidFrameError, match="or something follows it"):
        decode_image(data + b"GPS", 64, field="f")


def test_damaged_png_data():
    data = bytearray(cv2.imencode(".png", np.arange(300, dtype=np.uint16).reshape(10, 30))[1].tobytes())
    data[60] ^= 0xFF
    with pytest.raises(InvalidFrameError, match="cannot be decoded"):
        decode_image(bytes(data), 300, field="f")


def test_class_fractions_leave_out_the_unlabelled():
    labels = np.array([[0, 0, 1, 255], [0, 2, 255, 255]], np.uint8)
    assert class_fractions(labels, 3) == [3 / 8, 1 / 8, 1 / 8]


def png_chunks(*chunks):
    """A PNG file of (name, data, stated length or None for the right one)."""
    body = b"".join(
        struct.pack(">I", len(data) if stated is None else stated)
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data, stated in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


PNG_HEAD = (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0), None)
PNG_BODY = (b"IDAT", zlib.compress(bytes(2 * 7)), None)
PNG_TAIL = (b"IEND", b"", None)


@pytest.mark.parametrize(
    "chunks",
    [
        (PNG_HEAD, (b"IDAT", bytes(20), 1_610_613_147), PNG_TAIL),  # found by the fuzzer: OpenCV took 1.6 GB for it
        (PNG_HEAD, PNG_HEAD, PNG_BODY, PNG_TAIL),
        (PNG_BODY, PNG_HEAD, PNG_TAIL),
        (PNG_HEAD, PNG_BODY, PNG_TAIL, PNG_TAIL),
    ],
    ids=["length", "two headers", "no header first", "two ends"],
)
def test_png_with_odd_chunks_is_refused_before_it_is_decoded(monkeypatch, chunks):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(InvalidFrameError):
        decode_image(png_chunks(*chunks), 1 << 20, field="f")


def test_png_with_a_few_other_chunks_is_decoded():
    others = (b"pHYs", struct.pack(">IIB", 1, 1, 0), None), (b"acTL", struct.pack(">II", 1000, 0), None)
    data = png_chunks(PNG_HEAD, *others, PNG_BODY, PNG_TAIL)
    assert decode_image(data, 1 << 20, field="f").shape == (2, 2, 3)


def test_jpeg_with_many_scans_is_refused_before_it_is_decoded(monkeypatch):
    image = np.full((64, 64, 3), 90, np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_image(data, 1 << 20, field="f").shape == image.shape
    last_scan = data[data.rfind(b"\xff\xda") : -2]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(InvalidFrameError, match="scans, more than"):
        decode_image(data[:-2] + last_scan * 1000 + b"\xff\xd9", 1 << 20, field="f")
