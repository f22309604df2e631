"""How far a packing has come: what is being made, and a line for each finished shard."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from isthmus.configuration import explain
from isthmus.datasets.layout import write_bytes
from isthmus.datasets.shards.index import PackedSource, ShardRecord, index_path, read_index
from isthmus.errors import ConfigurationError, UnreadableFileError


@contextmanager
def claimed(root: Path, packed_split: str) -> Iterator[None]:
    """Keep other processes from packing the same split into the same folder, which is made.

    The claim ends with the process, however it ends; what a kill leaves of it is an empty file that hinders nobody.

    Raises:
        ConfigurationError: Another process is at it, or the folder cannot be written.
    """
    path = root / f".{packed_split}.packing.lock"
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.fstat(file.fileno()).st_nlink > 0  # else its owner removed it between our calls
        except BlockingIOError:
            ours = False
        except OSError as error:
            raise ConfigurationError(
                f"cannot hold shards ({error.strerror})", where=root, remedy="Choose another folder for them."
            ) from error
        if not ours:
            raise ConfigurationError(
                f"another process packs split {packed_split!r} into this folder",
                where=root,
                remedy="Wait until it is done, or pack into another folder.",
            )
        stack.callback(path.unlink, missing_ok=True)  # before it is closed, which gives the claim up
        yield


class Journal:
    """Of one packed split.

    Args:
        root: The folder of its shards.
        source: What it is packed from, and how.
    """

    def __init__(self, root: Path, source: PackedSource) -> None:
        self._root, self._source = root, source
        self._path = root / f".{source.packed_split}.packing.jsonl"

    def begin(self) -> Sequence[ShardRecord]:
        """Claim the folder for this split, or go on in it.

        Returns:
            The shards that an earlier call finished.

        Raises:
            ConfigurationError: The folder holds the same split of another request.
            UnreadableFileError: Journal or index are damaged.
        """
        path = index_path(self._root, self._source.packed_split)
        if path.is_file():
            index = read_index(self._root, self._source.packed_split)
            self._check_same(index.source, path)
            return index.shards
        if self._path.is_file():
            return self._read()
        foreign = next(self._root.glob(f"{self._source.packed_split}-*.tar"), None)
        if foreign is not None:
            raise ConfigurationError(
                "the folder holds shards that no index and no journal tell of",
                where=foreign,
                remedy="Pack into a new folder, or remove them.",
            )
        write_bytes(self._path, TypeAdapter(PackedSource).dump_json(self._source))
        return ()

    def add(self, record: ShardRecord) -> None:
        """Note a finished shard."""
        with self._path.open("ab") as stream:
            stream.write(b"\n" + TypeAdapter(ShardRecord).dump_json(record))  # ends a line that was cut short

    def remove(self) -> None:
        """The split is packed."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> Sequence[ShardRecord]:
        first, *lines = self._path.read_bytes().split(b"\n")
        try:
            self._check_same(TypeAdapter(PackedSource).validate_json(first, strict=True), self._path)
        except ValidationError as error:
            raise UnreadableFileError(
                f"damaged journal ({explain(error)})"[:500], where=self._path, remedy="Pack into a new folder."
            ) from error
        records = []
        for line in lines:
            try:
                records.append(TypeAdapter(ShardRecord).validate_json(line, strict=True))
            except ValidationError:
                continue  # cut short by an interruption: its shard is packed again
        return records

    def _check_same(self, found: PackedSource, noted_in: Path) -> None:
        for field in fields(PackedSource):
            there, here = getattr(found, field.name), getattr(self._source, field.name)
            if there != here:
                raise ConfigurationError(
                    f"the folder holds shards of another request: {field.name} is {json.dumps(there)} there and "
                    f"{json.dumps(here)} now",
                    where=noted_in,
                    remedy="Pack into a new folder, or remove this file and the shards that it tells of.",
                )
