"""Throws broken JPEG and PNG files at the decoder; libFuzzer, by atheris, breaks them.

    PYTHONSAFEPATH=1 .venv/bin/python tests/fuzz/fuzz_images.py -runs=20000 -seed=1
    PYTHONSAFEPATH=1 .venv/bin/python tests/fuzz/fuzz_images.py -max_total_time=3600 FOLDER

Arguments are libFuzzer's; FOLDER keeps what was found from run to run. Whatever the bytes are, `decode_image` must
return a picture within the caps or raise `InvalidFrameError` or `FrameTooLargeError`, and nothing else.
"""

import struct
import sys
import tempfile
import zlib
from pathlib import Path

import atheris
import cv2
import numpy as np

with atheris.instrument_imports(include=["isthmus.serving.codec"]):
    from isthmus.errors import FrameTooLargeError, InvalidFrameError
    from isthmus.serving import codec

MAX_PIXELS = 128 * 128
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def one_input(data: bytes) -> None:
    """Decode `data`; an exception that is none of the two ends the run with the bytes kept."""
    for kind in (None, codec.ImageFormat.JPEG, codec.ImageFormat.PNG):
        try:
            image = codec.decode_image(data, MAX_PIXELS, field="data", kind=kind)
        except (InvalidFrameError, FrameTooLargeError):
            continue
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS
        assert image.shape[:2] == codec.check_header(data, MAX_PIXELS, field="data")


def seeds() -> list[bytes]:
    """Whole files of many kinds, to begin with."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (16, 24, 3), np.uint8)
    grey, deep = color[..., 0], (color.astype(np.uint16) << 8)
    alpha = np.dstack([color, grey])
    files = [cv2.imencode(".png", image)[1].tobytes() for image in (color, grey, deep, alpha)]
    for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]):
        files += [cv2.imencode(".jpg", image, options)[1].tobytes() for image in (color, grey)]
    files += [_bomb(), *(file[: len(file) // 2] for file in files[:2])]
    return files


def _bomb() -> bytes:
    """A small PNG file that says it is 65,500 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 65_500, 65_500, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return _PNG_SIGNATURE + body


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Break `data`; half of the PNG files get right check sums again, else nearly all would be refused by those."""
    broken: bytes = atheris.Mutate(data, max_size)
    return broken if seed % 2 else _with_right_sums(broken)


def _with_right_sums(data: bytes) -> bytes:
    if not data.startswith(_PNG_SIGNATURE):
        return data
    fixed, position = bytearray(data), len(_PNG_SIGNATURE)
    while position + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, position)
        end = position + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def main() -> None:
    """Run libFuzzer on the seeds and on the folders that are named."""
    with tempfile.TemporaryDirectory() as name:
        for number, data in enumerate(seeds()):
            (Path(name) / f"{number}").write_bytes(data)
        folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
        # What is found goes to the first folder: one of the caller's, if there is one.
        atheris.Setup([sys.argv[0], *options, *folders, name], one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
