"""The index of a packed split: what it was made of, where its shards are, how they look when they are whole.

`SPLIT.json` is small and stays on a local disk; the shards beside it (`SPLIT-000000.tar`, …) may move to an object
store, whose address is then the index's `base_url`.
"""

import re
from itertools import accumulate
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from isthmus.configuration import config, explain
from isthmus.datasets.base import Part
from isthmus.datasets.label_space import LABEL_SPACES
from isthmus.datasets.layout import write_bytes
from isthmus.errors import DataMissingError, UnreadableFileError

FORMAT_VERSION: Final = 1
"""Raised whenever older readers would misread new shards."""

_SHARD_NAME: Final = re.compile(r"[A-Za-z0-9_-]+-[0-9]{6,}\.tar")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Of data sets and splits, which become parts of file names."""
_BASE_URL: Final = re.compile(
    r"(https?://[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*(:(?P<port>[0-9]{1,5}))?(/|$)|file:///)[A-Za-z0-9._~%+=,/-]*"
)
_LAST_PORT: Final = 65535
_NUM_TRAIN_IDS: Final = 19


@config
class PackedSource:
    """What a split was packed from, and how: equal values give equal shards."""

    dataset: str
    """Name of the reader."""
    split: str
    """The reader's split."""
    part: Part | None
    """The part of it."""
    limit: int | None
    """Only its first so many frames, in sorted order."""
    labelled: bool
    """Whether each image has its mask beside it."""
    num_frames: int
    """Frames in all shards."""
    frames_per_shard: int
    """Frames in each shard but the last."""
    digest: str
    """`catalogue.dataset_digest` of the source."""
    label_space: str
    """Name of the space that it is evaluated in."""
    labelled_train_ids: tuple[int, ...]
    """Train ids that its masks can hold, sorted."""

    def __post_init__(self) -> None:
        for key, name in (("dataset", self.dataset), ("split", self.split)):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{key} is {name!r}: only letters, digits, - and _ make a name")
        if self.label_space not in LABEL_SPACES:
            raise ValueError(f"label_space is {self.label_space!r}: choose from {', '.join(LABEL_SPACES)}")
        if min(self.num_frames, self.frames_per_shard) < 1:
            raise ValueError("num_frames and frames_per_shard must be above 0")
        if not set(self.labelled_train_ids) <= set(range(_NUM_TRAIN_IDS)):
            raise ValueError(f"labelled_train_ids must lie in 0..{_NUM_TRAIN_IDS - 1}")

    @property
    def packed_split(self) -> str:
        """What the packed split is called: `all`, or `all-fit` for a part."""
        return self.split if self.part is None else f"{self.split}-{self.part}"


@config
class ShardRecord:
    """One whole shard."""

    name: str
    """Of the file, without folders."""
    num_frames: int
    """Frames in it."""
    num_bytes: int
    """Its size."""
    sha256: str
    """Of its bytes, in hex."""

    def __post_init__(self) -> None:
        if not _SHARD_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no shard's name")
        if not _SHA256.fullmatch(self.sha256) or self.num_frames < 1 or self.num_bytes < 1:
            raise ValueError(f"the record of {self.name} makes no sense")


@config
class ShardIndex:
    """A packed split."""

    format_version: int
    """Of index and shards."""
    source: PackedSource
    """What it was packed from."""
    base_url: str | None
    """Where the shards are: `http://`, `https://` or `file:///`; null is beside the index."""
    shards: tuple[ShardRecord, ...]
    """In order."""

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version is {self.format_version}: this isthmus reads version {FORMAT_VERSION}")
        if self.base_url is not None:
            check_base_url(self.base_url)
        if sum(shard.num_frames for shard in self.shards) != self.source.num_frames:
            raise ValueError("the shards do not add up to num_frames")

    @property
    def starts(self) -> list[int]:
        """First ordinal of each shard, and the number of frames."""
        return list(accumulate((shard.num_frames for shard in self.shards), initial=0))


def check_base_url(url: str) -> None:
    """Refuse an address that no shard could be read from, or that other tools would hand to a shell.

    Raises:
        ValueError: Another scheme than http, https and file, a user's name and password, a query, or characters
            that would have to be quoted.
    """
    match = _BASE_URL.fullmatch(url)
    if match is None or int(match["port"] or 0) > _LAST_PORT:
        raise ValueError(
            f"base_url is {url!r}: write http://HOST/PATH, https://HOST/PATH or file:///PATH, without user, query "
            "and special characters"
        )


def shard_name(packed_split: str, number: int) -> str:
    """For example `all-000003.tar`."""
    return f"{packed_split}-{number:06d}.tar"


def index_path(root: Path, packed_split: str) -> Path:
    """Where the index of a packed split lies."""
    return root / f"{packed_split}.json"


def packed_splits(root: Path) -> tuple[str, ...]:
    """Splits that have an index in a folder, sorted."""
    return tuple(sorted(path.stem for path in root.glob("*.json") if not path.name.startswith(".")))


def read_index(root: Path, packed_split: str) -> ShardIndex:
    """The index of a packed split.

    Raises:
        DataMissingError: There is no such folder or no such index in it.
        UnreadableFileError: It is damaged, or of another version.
    """
    if not root.is_dir():
        raise DataMissingError(
            "no such folder, so shards cannot be read", where=root, remedy="Check the `root` of this data set."
        )
    path = index_path(root, packed_split)
    if not path.is_file():
        there = ", ".join(packed_splits(root))
        raise DataMissingError(
            f"no packed split {packed_split!r}",
            where=path,
            remedy=f"Choose from {there}." if there else "`isthmus data pack` makes one.",
        )
    try:
        return TypeAdapter(ShardIndex).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise UnreadableFileError(
            f"no whole index of shards ({explain(error)})"[:500], where=path, remedy="Pack the split again."
        ) from error


def write_index(root: Path, index: ShardIndex) -> None:
    """Write the index of a packed split, whole or not at all."""
    content = TypeAdapter(ShardIndex).dump_json(index, indent=2)
    write_bytes(index_path(root, index.source.packed_split), content + b"\n")
