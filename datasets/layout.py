"""Writing frames in a data set's real on-disk layout: for tiny fakes and for rendered worlds.

Each reader's file holds its `LayoutWriter`. A writer knows nothing of where frames come from, so a test's
random pixels and a renderer's streets take the same road to disk.
"""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.errors import ConfigurationError

JPEG_QUALITY: Final = 95
"""High enough that compression is no domain gap of its own."""


class LayoutWriter(ABC):
    """Writes image and label pairs the way the real data set stores them.

    Files appear whole or not at all (temporary name, then rename), so that an interrupted writer can start
    again over its own output.

    Args:
        root: The data set's top folder; made where missing.
        split: One of `splits`.

    Raises:
        ConfigurationError: The layout has no such split.
    """

    dataset_name: ClassVar[str]
    """Name of the data set whose layout this is."""
    splits: ClassVar[tuple[str, ...]]
    """Splits that the layout can store."""

    def __init__(self, root: Path, split: str) -> None:
        if split not in self.splits:
            raise ConfigurationError(
                f"the {self.dataset_name} layout has no split {split!r}",
                remedy=f"Choose from {', '.join(self.splits)}.",
            )
        self.root = root
        self.split = split

    def write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None = None,
    ) -> str:
        """Write frame `index`, over whatever was there.

        Args:
            index: Number of the frame in its split, from 0.
            image: [H, W, 3] RGB, 0..255.
            train_ids: [H, W] train ids 0..18; 255 becomes a legal ignored id of the layout.
            instances: [H, W] number of the object a pixel belongs to, 0 for none; stored where the layout
                has a place for it.

        Returns:
            The name under which the data set's reader lists the frame.
        """
        assert image.dtype == np.uint8
        assert image.shape == (*train_ids.shape, 3)
        assert train_ids.dtype == np.uint8
        assert instances is None or instances.shape == train_ids.shape
        return self._write(index, image, train_ids, instances)

    @abstractmethod
    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,
    ) -> str:
        """Write a checked frame and return its name."""

    def finish(self) -> None:  # noqa: B027 - most layouts have nothing beside their frames
        """Write what belongs beside the frames, such as Mapillary's `config.json`."""


def raw_id_table(id_to_train_id: Mapping[int, int], *, ignored_id: int) -> NDArray[np.uint8]:
    """Look-up table [256] uint8 from train ids to raw ids: a reader's map, backwards.

    Args:
        id_to_train_id: The reader's map; of several raw ids with one train id the first is written.
        ignored_id: The raw id for 255 and for classes that the layout lacks.
    """
    table = np.full(256, ignored_id, np.uint8)
    for raw, train in reversed(tuple(id_to_train_id.items())):
        if train != IGNORE_INDEX:
            table[train] = raw
    return table


def palette_by_raw_id(id_to_train_id: Mapping[int, int], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB palette [256, 3] for palette PNGs of raw ids; ids without a train id are black."""
    palette = np.zeros((256, 3), np.uint8)
    for raw, train in id_to_train_id.items():
        palette[raw] = colors[train]
    return palette


def write_png(path: Path, pixels: NDArray[np.uint8], *, palette: NDArray[np.uint8] | None = None) -> None:
    """Write [H, W] or [H, W, 3] uint8 as a PNG, atomically; with a palette, as indices (mode P)."""
    write_bytes(path, encode_png(pixels, palette=palette))


def encode_png(pixels: NDArray[np.uint8], *, palette: NDArray[np.uint8] | None = None) -> bytes:
    """The bytes of the same PNG."""
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())  # turns mode L into P and keeps the values
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def write_jpeg(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write [H, W, 3] uint8 RGB as a JPEG without chroma subsampling, atomically."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    write_bytes(path, buffer.getvalue())


def write_png16(path: Path, pixels: NDArray[np.uint16]) -> None:
    """Write [H, W] or [H, W, 3] uint16 (RGB order) as a 16-bit PNG, atomically."""
    import cv2

    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    done, encoded = cv2.imencode(".png", ordered)
    assert done
    write_bytes(path, encoded.tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:  # a full disk, or a folder of that name
        temporary.unlink(missing_ok=True)
        raise
