"""Files that are made to keep a decoder busy: refused before it sees them, and honest ones left as they are."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from isthmus.errors import FrameTooLargeError, InvalidFrameError
from isthmus.serving import bombs
from isthmus.serving.codec import MAX_SIDE, check_pixels, decode_image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)


@pytest.fixture(autouse=True)
def decoder(monkeypatch):
    """Counts what OpenCV is given."""
    seen = []
    original = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: seen.append(bytes(data)) or original(data, flags))
    return seen


def chunk(name, data=b""):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*middle, width=21, height=13, kind=2, depth=8, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(middle) + chunk(b"IEND")


def rows(picture=PICTURE):
    return b"".join(b"\0" + row.tobytes() for row in picture)


def pixels(picture=PICTURE, more=b""):
    return chunk(b"IDAT", zlib.compress(rows(picture) + more))


def decode(data, max_pixels=10_000):
    return decode_image(data, max_pixels, field="f")


def test_an_honest_file_is_left_as_it_is(decoder):
    data = png(pixels())
    np.testing.assert_array_equal(decode(data), PICTURE)
    assert decoder == [data]


def test_texts_and_profiles_never_reach_the_decoder(decoder):
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    animation = chunk(b"acTL", struct.pack(">II", 1000, 0))
    data = png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1000))), animation, *[text] * 50, pixels(), text)
    np.testing.assert_array_equal(decode(data), PICTURE)
    assert decoder == [png(pixels())]


def test_transparency_is_dropped_not_blended():
    palette = chunk(b"PLTE", bytes(range(6))) + chunk(b"tRNS", b"\0\0")
    indices = np.tile([[0, 1]], (2, 1)).astype(np.uint8)
    image = decode(png(palette, pixels(indices), width=2, height=2, kind=3))
    assert image.tolist() == [[[0, 1, 2], [3, 4, 5]]] * 2


@pytest.mark.parametrize("pieces", [1, 7])
def test_needless_data_behind_the_pixels(decoder, pieces):
    stream = zlib.compress(rows() + bytes(100_000_000), 1)
    step = -(-len(stream) // pieces)
    idat = [chunk(b"IDAT", stream[start : start + step]) for start in range(0, len(stream), step)]
    assert len(idat) == pieces
    with pytest.raises(InvalidFrameError, match="more data than its pixels need"):
        decode(png(*idat))
    assert decoder == []


def test_the_inflater_stops_in_time(monkeypatch):
    inflated = []

    original = zlib.decompressobj

    class Counting:
        def __init__(self):
            self.inner = original()

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def decompress(self, data, most):
            inflated.append(most)
            return self.inner.decompress(data, most)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(InvalidFrameError):
        decode(png(pixels(more=bytes(50_000_000))))
    assert sum(inflated) < 1_000_000


def test_a_little_too_much_is_forgiven():
    np.testing.assert_array_equal(decode(png(pixels(more=bytes(1000)))), PICTURE)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (21, 13), (1, 9), (9, 1)])
@pytest.mark.parametrize(("kind", "depth"), [(0, 1), (0, 16), (2, 8), (6, 8), (3, 2)])
def test_size_of_interlaced_files(size, kind, depth):
    width, height = size
    bits = depth * {0: 1, 2: 3, 3: 1, 6: 4}[kind]
    expected = 0
    for left, top, across, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)):
        columns, lines = len(range(left, width, across)), len(range(top, height, down))
        expected += lines * (1 + -(-columns * bits // 8)) if columns else 0
    expected += len(range(1, height, 2)) * (1 + -(-width * bits // 8))  # the seventh pass: every second row
    header = png(width=width, height=height, kind=kind, depth=depth, interlace=1)
    assert bombs._inflated_bytes(header) == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)), pixels()), "IHDR is not first"),
        (SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"IEND"), "empty"),
        (png(struct.pack(">I", 1 << 31) + b"IDAT"), "ends behind the file"),
        (png(*[chunk(b"IDAT")] * 20_000, pixels()), "more than 16384"),
        (png(chunk(b"IDAT", b"no zlib stream")), "cannot be decoded"),
        (png(pixels(), kind=5), "chunks are broken"),
        (png(pixels())[:-12] + b"????" + png(pixels())[-12:], "chunks are broken"),
    ],
    ids=["two headers", "no size", "length", "chunks", "no stream", "kind", "end"],
)
def test_broken_png_files(decoder, data, said):
    with pytest.raises(InvalidFrameError, match=said):
        decode(data)
    assert decoder == []


@pytest.mark.parametrize(("kind", "depth"), [(6, 255), (2, 0), (0, 3), (2, 4), (3, 16), (4, 2), (6, 32)])
def test_depths_that_no_picture_has(decoder, monkeypatch, kind, depth):
    monkeypatch.setattr(zlib, "decompressobj", lambda: pytest.fail("was inflated"))
    with pytest.raises(InvalidFrameError, match=f"{depth} bits do not go with colour type {kind}"):
        decode(png(pixels(), kind=kind, depth=depth))
    assert decoder == []


def test_jpeg_of_many_scans(decoder):
    data = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode(data).shape == PICTURE.shape
    decoder.clear()
    last = data[data.rfind(b"\xff\xda") : -2]
    with pytest.raises(InvalidFrameError, match="scans, more than 32"):
        decode(data[:-2] + last * 30 + data[-2:])
    assert decoder == []


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_truncated_anywhere(kind, decoder):
    data = cv2.imencode(kind, PICTURE)[1].tobytes()
    for length in range(len(data)):
        with pytest.raises(InvalidFrameError):
            decode(data[:length])
    assert decoder == []


@pytest.mark.parametrize("size", [(65_535, 65_535), (65_535, 1), (1, 65_535), (9_000, 100)])
def test_absurd_jpeg_header(size, decoder):
    height, width = size
    data = bytearray(cv2.imencode(".jpg", PICTURE)[1].tobytes())
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    with pytest.raises(FrameTooLargeError):
        decode(bytes(data), max_pixels=3840 * 2160)
    assert decoder == []


@pytest.mark.parametrize("marker", [0x00, 0x02, 0xBF, 0xC8, 0xD8, 0xD9, 0xDA, 0xDE, 0xF0, 0xFD])
def test_a_frame_hidden_in_what_libjpeg_does_not_jump_over(decoder, marker):
    large = bytearray(cv2.imencode(".jpg", PICTURE)[1].tobytes())
    at = large.find(b"\xff\xc0")
    frame = large[at : at + 19]
    large[at + 5 : at + 9] = struct.pack(">HH", 9000, 9000)
    decoy = b"\xff\xfe" + struct.pack(">H", len(frame) + 2) + frame
    scan = large.find(b"\xff\xda")
    length = scan + 4
    jump = b"\xff" + bytes([marker]) + struct.pack(">H", length)
    data = bytes(large[:2] + jump + large[2:scan] + decoy + large[scan:])
    assert data[4 + length :].startswith(frame)  # the jump would land within the comment
    with pytest.raises(InvalidFrameError, match="header is broken"):
        decode(data, max_pixels=3840 * 2160)
    assert decoder == []


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (20_000, 20)])
def test_absurd_png_header(size, decoder):
    height, width = size
    with pytest.raises(FrameTooLargeError):
        decode(png(pixels(), width=width, height=height), max_pixels=3840 * 2160)
    assert decoder == []


def test_longest_side():
    check_pixels(MAX_SIDE, 1, 10**9, field="f")
    with pytest.raises(FrameTooLargeError, match="a side of 8193 pixels"):
        check_pixels(1, MAX_SIDE + 1, 10**9, field="f")
