"""Frames out of shards, by ordinal: the number of a frame in its packed split, over all shards."""

import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, NamedTuple, cast
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.images import decode_image_rgb, decode_label_png
from isthmus.datasets.sample import Sample, UnlabelledSample
from isthmus.datasets.shards.index import ShardIndex
from isthmus.datasets.shards.opening import location_of, open_shard
from isthmus.errors import DataMissingError, PairMismatchError, UnreadableFileError

MASK_SUFFIX: Final = "mask.png"
"""Behind the key of each labelled frame."""

REMEDY: Final = "Fetch the shard again, or pack the split again."
"""Of a shard that is not what its index says."""


class PackedFrame(NamedTuple):
    """One frame as it lies in a shard."""

    name: str
    """As the source data set names it."""
    image: bytes
    """A PNG or JPEG."""
    mask: bytes | None
    """A PNG of train ids; None where the split is packed without labels."""
    shard: str
    """Path or address of its shard, for errors."""

    @property
    def where(self) -> str:
        """For errors."""
        return f"{self.shard}: {self.name}"

    def decoded(self) -> Sample:
        """Image and mask.

        Raises:
            DataMissingError: It has no mask.
            PairMismatchError: They differ in size.
            UnreadableFileError: One of them is damaged.
        """
        image, mask = decode_image_rgb(self.image, self.where), self.decoded_mask()
        check_sizes(image.shape, mask.shape, self.where)
        return {"image": image, "mask": mask, "name": self.name}

    def decoded_unlabelled(self) -> UnlabelledSample:
        """The image alone."""
        return {"image": decode_image_rgb(self.image, self.where), "name": self.name}

    def decoded_mask(self) -> NDArray[np.uint8]:
        """Train ids [H, W] uint8; raises as `decoded` does."""
        if self.mask is None:
            raise DataMissingError(
                "no labels in this packed split", where=self.where, remedy="Pack the split with its labels."
            )
        return decode_label_png(self.mask, self.where).copy()  # Pillow's memory is read-only, which torch minds


def check_sizes(image_shape: tuple[int, ...], mask_shape: tuple[int, ...], where: str) -> None:
    """Refuse a pair of different sizes.

    Raises:
        PairMismatchError: Height or width differ.
    """
    if image_shape[:2] != mask_shape[:2]:
        raise PairMismatchError(
            f"mask is {mask_shape[1]}x{mask_shape[0]} but the image is {image_shape[1]}x{image_shape[0]}",
            where=where,
            remedy=REMEDY,
        )


def key_and_suffix(name: str) -> tuple[str, str]:
    """A frame's key in a tar file, and its image's suffix.

    webdataset ends a key at the first dot, so dots in names are written as in addresses.

    >>> key_and_suffix("images/tour.2/00001.png")
    ('images/tour%2E2/00001', 'png')
    """
    path = PurePosixPath(name)
    key = quote(str(path.with_suffix("")), safe="/ ").replace(".", "%2E")
    return key, path.suffix.removeprefix(".")


def name_of(key: str, suffix: str) -> str:
    """A frame's name again."""
    return f"{unquote(key)}.{suffix}"


class FrameReader:
    """Reads frames by ordinal, fastest in rising order: a shard is then opened once and walked through.

    Args:
        root: The index's folder.
        index: Of the packed split.
    """

    def __init__(self, root: Path, index: ShardIndex) -> None:
        self._root, self._index = root, index
        self._starts = index.starts
        self._stream: IO[bytes] | None = None
        self._frames: Iterator[PackedFrame] = iter(())
        self._next, self._end = 0, 0

    def read(self, ordinal: int) -> PackedFrame:
        """One frame.

        Raises:
            DataMissingError: Its shard is not there.
            UnreadableFileError: Its shard is truncated or damaged.
            DataError: The shard's server cannot be reached.
        """
        if not self._next <= ordinal < self._end:
            self._open(bisect_right(self._starts, ordinal) - 1)
        while True:
            frame = next(self._frames, None)
            if frame is None:
                raise UnreadableFileError(
                    f"ends after {self._next - self._start} of {self._end - self._start} frames",
                    where=self._where,
                    remedy=REMEDY,
                )
            self._next += 1
            if self._next > ordinal:
                if self._next == self._end:
                    self.close()
                return frame

    def close(self) -> None:
        """Close the open shard, if any; reading opens it again."""
        stream, self._stream = self._stream, None
        self._next = self._end = 0
        if stream is not None:
            stream.close()

    def _open(self, number: int) -> None:
        self.close()
        shard = self._index.shards[number]
        self._where = location_of(self._root, self._index.base_url, shard.name)
        self._stream = open_shard(self._where, shard.num_bytes)
        self._frames = walk(self._stream, self._where)
        self._start, self._end = self._starts[number : number + 2]
        self._next = self._start


def walk(stream: IO[bytes], where: str) -> Iterator[PackedFrame]:
    """All frames of a shard.

    Args:
        stream: The shard's bytes.
        where: Its path or address.

    Raises:
        UnreadableFileError: It is no whole tar file of frames.
    """
    from webdataset.tariterators import group_by_keys

    # Its handlers take suffixes in lower case for types; here they are a part of the name.
    samples = group_by_keys(_members(stream, where), lcase=False)
    while True:
        try:
            sample = cast("dict[str, Any] | None", next(samples, None))
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise UnreadableFileError(
                f"damaged, no tar file of frames ({error.args[0] if error.args else type(error).__name__})",
                where=where,
                remedy=REMEDY,
            ) from error
        if sample is None:
            return
        yield _packed_frame(sample, where)


def _members(stream: IO[bytes], where: str) -> Iterator[dict[str, Any]]:
    """Name and bytes of each file of a tar file, as webdataset groups them.

    Not webdataset's own iterator: that one also unpacks compressed and sparse members, so that a few bytes could
    become more than the memory holds, and it passes over folders called `__NAME__`.
    """
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is None:
                raise tarfile.ReadError(f"{member.name!r} is no plain file")
            yield {"fname": member.name, "data": content.read(), "__url__": where}
            cast("Any", tar).members = []  # else it keeps the headers of all


def _packed_frame(sample: dict[str, Any], where: str) -> PackedFrame:
    images = [suffix for suffix in sample if suffix != MASK_SUFFIX and not suffix.startswith("__")]
    if len(images) != 1:
        raise UnreadableFileError(
            f"{sample['__key__']} has {len(images)} images: this tar file was not written by `isthmus data pack`",
            where=where,
            remedy=REMEDY,
        )
    (suffix,) = images
    return PackedFrame(name_of(sample["__key__"], suffix), sample[suffix], sample.get(MASK_SUFFIX), where)
