"""The doctor's look at shards: digests, numbers of frames, and every frame in them."""

import hashlib
import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import IO, Final, cast

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.findings import Finding, examine_pair
from isthmus.datasets.shards.index import ShardRecord
from isthmus.datasets.shards.opening import location_of, open_shard
from isthmus.datasets.shards.reader import Shards
from isthmus.datasets.shards.reading import REMEDY, PackedFrame, check_sizes, walk
from isthmus.errors import DataError, UnknownLabelIdError, UnreadableFileError

_CHUNK_BYTES: Final = 1 << 20


def examine_shards(
    shards: Shards, wanted: Sequence[int], pool: Executor, collected: list[DataError]
) -> Iterator[Finding]:
    """Read each shard that holds a wanted frame, whole.

    Args:
        shards: The packed split.
        wanted: Frames to examine, rising.
        pool: Where shards are read.
        collected: What is wrong with whole shards is added here.
    """
    jobs = []
    for record, (start, end) in zip(shards.index.shards, pairwise(shards.index.starts), strict=True):
        members = wanted[bisect_left(wanted, start) : bisect_left(wanted, end)]
        if members:
            jobs.append((record, frozenset(ordinal - start for ordinal in members)))
    for findings, problems in pool.map(lambda job: _examine_shard(shards, *job), jobs):
        collected.extend(problems)
        yield from findings


def _examine_shard(
    shards: Shards, record: ShardRecord, members: frozenset[int]
) -> tuple[list[Finding], list[DataError]]:
    """Findings of the wanted members, and what is wrong with the shard itself."""
    where = location_of(shards.root, shards.index.base_url, record.name)
    findings: list[Finding] = []
    try:
        with open_shard(where, record.num_bytes) as stream:
            hashed = _Hashed(stream)
            count = 0
            for packed in walk(cast("IO[bytes]", hashed), where):
                if count in members:
                    findings.append(_examine_frame(shards, packed))
                count += 1
            while hashed.read(_CHUNK_BYTES):  # what follows the last frame belongs to the digest
                pass
    except DataError as error:
        return findings, [error]
    problems: list[DataError] = []
    if count != record.num_frames:
        problem = f"holds {count} frames, {record.num_frames} according to the index"
        problems.append(UnreadableFileError(problem, where=where, remedy=REMEDY))
    if hashed.digest.hexdigest() != record.sha256:
        problem = "SHA-256 is not the index's: bytes have changed"
        problems.append(UnreadableFileError(problem, where=where, remedy=REMEDY))
    return findings, problems


def _examine_frame(shards: Shards, packed: PackedFrame) -> Finding:
    def check_ids(ids: NDArray[np.integer]) -> None:
        unknown = shards.unknown_ids(ids)
        if unknown:
            raise UnknownLabelIdError(
                f"train id {', '.join(map(str, unknown))} is none that {shards.dataset_name} labels",
                where=packed.where,
                remedy=REMEDY,
            )

    return examine_pair(
        lambda: packed.decoded_unlabelled()["image"],
        packed.decoded_mask if shards.labelled and shards.index.source.labelled else None,
        lambda image_shape, mask_shape: check_sizes(image_shape, mask_shape, packed.where),
        check_ids,
    )


class _Hashed(io.RawIOBase):
    """A stream that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self.digest.update(content)
        return content
