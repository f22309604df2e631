"""Packing a data set: its images as they are and its masks as train ids, in tar files of equal numbers of frames.

Frames are put into one fixed random order, so that any run of neighbours in a shard is a fair sample of the set.
While a split is being packed, `.SPLIT.packing.jsonl` notes what is made and each finished shard; a later call checks
those and goes on. Equal requests give equal bytes (of the masks, as far as Pillow's PNG encoder is the same).
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.catalogue import SHARDS, DatasetConfig, build_dataset, dataset_digest
from isthmus.datasets.images import decode_image_rgb
from isthmus.datasets.layout import encode_png
from isthmus.datasets.shards.index import (
    FORMAT_VERSION,
    PackedSource,
    ShardIndex,
    ShardRecord,
    check_base_url,
    shard_name,
    write_index,
)
from isthmus.datasets.shards.journal import Journal, claimed
from isthmus.datasets.shards.reading import MASK_SUFFIX, key_and_suffix
from isthmus.errors import ConfigurationError, DataError, DataMissingError

_SHARD_BYTES: Final = 256 << 20
"""About the size of a shard: large enough for an object store, small enough to be fetched again."""
_LEAST_SHARDS: Final = 16
"""Shards of a small data set, so that the lanes of two processes find different ones."""
_CHUNK_BYTES: Final = 1 << 20


def pack_dataset(
    config: DatasetConfig,
    out: Path,
    *,
    labelled: bool = True,
    frames_per_shard: int | None = None,
    base_url: str | None = None,
    workers: int = 1,
    progress: Console | None = None,
) -> ShardIndex:
    """Pack a data set's split, or a part of it, into shards; read back as `dataset: shards`.

    Args:
        config: Which data set, in its own layout.
        out: Folder of the shards and of the index; may hold other splits.
        labelled: False packs images only, for a target.
        frames_per_shard: Frames in each shard but the last; by default as many as make 256 MiB, and no more than
            leave 16 shards.
        base_url: Where the shards will be; beside the index where left out. See `index.check_base_url`.
        workers: Threads that read, check and write; most of that work lets go of the interpreter's lock.
        progress: Where to draw progress bars; None for none.

    Raises:
        ConfigurationError: An argument is out of range, `out` holds shards of another request, or another process
            packs the same split into it.
        DataError: A frame cannot be read, or a shard not be written.
    """
    _check_arguments(config, frames_per_shard, base_url, workers)
    dataset = build_dataset(config, labelled=labelled)
    assert isinstance(dataset, FileDataset)
    with _bar("reading labels for the digest", len(dataset), progress) as advance:
        digest = dataset_digest(dataset, lambda *_: advance())
    source = PackedSource(
        dataset=config.dataset,
        split=config.split,
        part=config.part,
        limit=config.limit,
        labelled=all(frame.label is not None for frame in dataset.frames),
        num_frames=len(dataset),
        frames_per_shard=frames_per_shard or _default_size(dataset.frames),
        digest=digest,
        label_space=dataset.label_space.name,
        labelled_train_ids=tuple(sorted(dataset.labelled_train_ids)),
    )
    with claimed(out, source.packed_split):
        journal = Journal(out, source)
        finished = _whole(out, journal.begin(), progress)
        for record in _packed(dataset, source, out, finished=frozenset(finished), workers=workers, progress=progress):
            journal.add(record)
            finished[record.name] = record
        index = ShardIndex(
            format_version=FORMAT_VERSION,
            source=source,
            base_url=base_url,
            shards=tuple(finished[name] for name in sorted(finished)),
        )
        write_index(out, index)
        journal.remove()
    return index


def _check_arguments(config: DatasetConfig, frames_per_shard: int | None, base_url: str | None, workers: int) -> None:
    if config.dataset == SHARDS:
        raise ConfigurationError("shards are packed already", where=config.root, remedy="Name the data set's files.")
    for name, number in (("frames_per_shard", frames_per_shard), ("workers", workers)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{name} is {number}", remedy="Use 1 or more.")
    if base_url is not None:
        try:
            check_base_url(base_url)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error


def _default_size(frames: Sequence[FramePaths]) -> int:
    mean_bytes = sum(frame.image.stat().st_size for frame in frames) / len(frames)
    return max(1, min(int(_SHARD_BYTES / max(mean_bytes, 1)), -(-len(frames) // _LEAST_SHARDS)))


def _whole(out: Path, records: Sequence[ShardRecord], progress: Console | None) -> dict[str, ShardRecord]:
    """Finished shards that still are what they were, by name; the others will be packed again."""
    with _bar("checking finished shards", len(records), progress) as advance:
        whole = {}
        for record in records:
            if _sha256(out / record.name) == record.sha256:
                whole[record.name] = record
            advance()
    return whole


def _sha256(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _packed(
    dataset: FileDataset,
    source: PackedSource,
    out: Path,
    *,
    finished: Collection[str],
    workers: int,
    progress: Console | None,
) -> Iterator[ShardRecord]:
    """Pack what is missing; records as shards get finished."""
    order = np.random.default_rng(int(source.digest, 16)).permutation(len(dataset)).tolist()
    size = source.frames_per_shard
    pieces = {
        shard_name(source.packed_split, number): order[first : first + size]
        for number, first in enumerate(range(0, len(order), size))
    }
    missing = {name: frames for name, frames in pieces.items() if name not in finished}
    stopped = threading.Event()
    with _bar("packing", sum(map(len, missing.values())), progress) as advance, ThreadPoolExecutor(workers) as pool:

        def on_frame() -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            advance()

        running = [pool.submit(_write_shard, dataset, frames, out / name, on_frame) for name, frames in missing.items()]
        try:
            for future in as_completed(running):
                yield future.result()
        finally:  # after an error or an interruption, no thread begins or ends another shard
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _write_shard(dataset: FileDataset, frames: Sequence[int], path: Path, on_frame: Callable[[], None]) -> ShardRecord:
    from webdataset.writer import TarWriter

    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            stream = _Digesting(file)
            # No encoder: bytes stay as they are. Nobody's name and no time, so that equal frames give equal bytes.
            with TarWriter(cast("BinaryIO", stream), user="", group="", mtime=0, encoder=False) as tar:
                for frame in frames:
                    tar.write(_sample(dataset, frame))
                    on_frame()
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # those of the source's files are `DataError`s already
            raise DataError(
                f"the shard cannot be written ({error.strerror or error})",
                where=path,
                remedy="Make room and pack again: finished shards are kept.",
            ) from error
        raise
    return ShardRecord(
        name=path.name, num_frames=len(frames), num_bytes=stream.num_bytes, sha256=stream.digest.hexdigest()
    )


def _sample(dataset: FileDataset, index: int) -> dict[str, str | bytes]:
    """A frame as webdataset writes it; image and label are decoded once to know that they are whole."""
    frame = dataset.frames[index]
    try:
        content = frame.image.read_bytes()
    except OSError as error:
        raise DataMissingError(f"cannot be read any more ({error.strerror})", where=frame.image) from error
    image = decode_image_rgb(content, frame.image)
    key, suffix = key_and_suffix(frame.name)
    sample: dict[str, str | bytes] = {"__key__": key, suffix: content}
    if frame.label is not None:
        mask = dataset.read_mask(index)
        dataset.check_sizes(frame, image.shape, mask.shape)
        sample[MASK_SUFFIX] = encode_png(mask)
    return sample


class _Digesting:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.num_bytes = 0

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.num_bytes += len(content)
        return self._file.write(content)


@contextmanager
def _bar(what: str, total: int, console: Console | None) -> Iterator[Callable[[], None]]:
    """A progress bar, gone when the work is done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console is None, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
