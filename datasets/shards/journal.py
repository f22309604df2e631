"""How far a packing has come: what is being made, and a line for each finished shard."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from isthmus.configuration import explain
from isthmus.datasets.layout import write_bytes
from isthmus.datasets.shards.index import PackedSource, ShardRecord, index_path, read_index
from isthmus.errors import ConfigurationError, UnreadableFileError


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
            ConfigurationError: The folder holds the same split of another request, or cannot be written.
            UnreadableFileError: Journal or index are damaged.
        """
        if index_path(self._root, self._source.packed_split).is_file():
            index = read_index(self._root, self._source.packed_split)
            self._check_same(index.source)
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
        try:
            write_bytes(self._path, TypeAdapter(PackedSource).dump_json(self._source))
        except OSError as error:
            raise ConfigurationError(
                f"cannot hold shards ({error.strerror})", where=self._root, remedy="Choose another folder for them."
            ) from error
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
            self._check_same(TypeAdapter(PackedSource).validate_json(first, strict=True))
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

    def _check_same(self, found: PackedSource) -> None:
        for field in fields(PackedSource):
            there, here = getattr(found, field.name), getattr(self._source, field.name)
            if there != here:
                raise ConfigurationError(
                    f"the folder holds shards of another request: {field.name} is {json.dumps(there)} there and "
                    f"{json.dumps(here)} now",
                    where=index_path(self._root, self._source.packed_split),
                    remedy="Pack into a new folder, or remove the old shards and their index.",
                )
