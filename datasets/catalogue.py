"""Which data sets exist, how one is built from a configuration, and what people should know about each."""

import hashlib
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from isthmus.configuration import config
from isthmus.datasets.base import FileDataset, Part, SegmentationDataset
from isthmus.datasets.folder import Folder, IdMap
from isthmus.datasets.layout import LayoutWriter
from isthmus.datasets.shards.index import packed_splits
from isthmus.datasets.shards.reader import SHUFFLE_FRAMES, Shards
from isthmus.errors import ConfigurationError, DataError, DataMissingError

DATASETS: Final[Mapping[str, tuple[str, str, str]]] = {
    "gta5": ("isthmus.datasets.gta5", "Gta5", "Gta5Writer"),
    "synthia": ("isthmus.datasets.synthia", "Synthia", "SynthiaWriter"),
    "cityscapes": ("isthmus.datasets.cityscapes", "Cityscapes", "CityscapesWriter"),
    "bdd100k": ("isthmus.datasets.bdd100k", "Bdd100k", "Bdd100kWriter"),
    "mapillary": ("isthmus.datasets.mapillary", "Mapillary", "MapillaryWriter"),
    "mapillary_v2": ("isthmus.datasets.mapillary", "MapillaryV2", "MapillaryV2Writer"),
    "idd": ("isthmus.datasets.idd", "Idd", "IddWriter"),
    "idd_lite": ("isthmus.datasets.idd", "IddLite", "IddLiteWriter"),
    "camvid": ("isthmus.datasets.camvid", "Camvid", "CamvidWriter"),
    "folder": ("isthmus.datasets.folder", "Folder", "FolderWriter"),
}
"""Module, reader and writer by name; as text, so that listing names imports nothing."""

SHARDS: Final = "shards"
"""Name of all packed data sets, whichever they were before; see `shards`."""

_LOG: Final = logging.getLogger(__name__)
_CHUNK_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_FACT = re.compile(r"^(Layout|Images|Splits|Label space|Licence|Citation|Home page):\s*(.*)$")


@config
class DatasetConfig:
    """A data set on disk, or a part of it."""

    dataset: str
    """Name of the reader, as `isthmus data list` shows it, or `shards` for what `isthmus data pack` wrote."""
    root: Path
    """The data set's top folder; of shards, the folder with the index."""
    split: str
    """One of the data set's splits; of shards, the packed one, such as `all` or `all-fit`."""
    part: Part | None = None
    """`fit` or `holdout`: a fixed division by contiguous blocks, for splits without validation frames."""
    limit: int | None = None
    """Use only the first so many frames, for trials."""
    id_map: IdMap | None = None
    """Meaning of the raw ids of a `folder` data set; without it, its `id_map.yaml` is read."""
    shuffle_frames: int | None = None
    """Of `shards`: compressed frames that wait to be shuffled in each training process; 256 where left out."""
    name: str | None = None
    """In tables, plots and tracking, where it stands for reader and split; tells two sets of one split apart."""

    def __post_init__(self) -> None:
        if self.dataset not in {*DATASETS, SHARDS}:
            raise ValueError(f"no data set {self.dataset!r}: choose from {', '.join((*DATASETS, SHARDS))}")
        if self.dataset == SHARDS and self.part is not None:
            raise ValueError("part is chosen when shards are packed: leave it out, and name the packed split")
        if self.dataset != SHARDS and self.shuffle_frames is not None:
            raise ValueError(f"shuffle_frames is for `shards`; files of {self.dataset} are drawn one by one")
        if self.shuffle_frames is not None and self.shuffle_frames < 1:
            raise ValueError(f"shuffle_frames is {self.shuffle_frames}: write a number above 0 or leave it out")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit}: write a number above 0 or leave it out")
        if self.id_map is not None and self.dataset != "folder":
            raise ValueError(f"id_map is for `folder` data sets; {self.dataset} knows its own ids")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ValueError(f"name is {self.name!r}: write letters, digits, '.', '_' and '-'")

    @property
    def split_and_part(self) -> str:
        """For example `all:holdout`."""
        return self.split if self.part is None else f"{self.split}:{self.part}"

    @property
    def title(self) -> str:
        """Its name, or reader and split: `gta5/all:holdout`."""
        return self.name or f"{self.dataset}/{self.split_and_part}"


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a reader's docstring says about its data set."""

    name: str
    summary: str
    layout: str
    """The tree on disk, with newlines."""
    images: str
    splits: tuple[str, ...]
    label_space: str
    label_space_name: str
    """Name in `LABEL_SPACES`."""
    num_classes: int
    licence: str
    citation: str
    homepage: str


def dataset_class(name: str) -> type[FileDataset]:
    """The reader of a data set in its own layout.

    Raises:
        ConfigurationError: No such data set.
    """
    if name not in DATASETS:
        raise ConfigurationError(f"no data set {name!r}", remedy=f"Choose from {', '.join(DATASETS)}.")
    module, class_name, _ = DATASETS[name]
    reader: type[FileDataset] = getattr(import_module(module), class_name)
    return reader


def splits_of(name: str, root: Path) -> tuple[str, ...]:
    """Splits of a data set, training split first; of shards, the packed ones in `root`.

    Raises:
        ConfigurationError: No such data set.
        DataMissingError: There are no shards.
    """
    if name != SHARDS:
        return dataset_class(name).splits
    splits = packed_splits(root)
    if not splits:
        raise DataMissingError("no packed split", where=root, remedy="`isthmus data pack` makes one.")
    return splits


def layout_writer(layout: str) -> type[LayoutWriter]:
    """The writer of a data set's layout.

    Raises:
        ConfigurationError: No such layout.
    """
    if layout not in DATASETS:
        raise ConfigurationError(f"no layout {layout!r}", remedy=f"Choose from {', '.join(DATASETS)}.")
    module, _, class_name = DATASETS[layout]
    writer: type[LayoutWriter] = getattr(import_module(module), class_name)
    return writer


def build_dataset(
    config: DatasetConfig, *, collect: list[DataError] | None = None, labelled: bool = True
) -> SegmentationDataset:
    """Open a data set: list its frames and check that images and labels pair up.

    Frames that the data set is known to hold in a broken state are left out and logged as warnings.

    Args:
        config: Which one, and where.
        collect: Where given, pairs that don't match are added here instead of being raised.
        labelled: False lists images only, for a target.

    Raises:
        DataMissingError: A folder, a split or the frames are not there.
        PairMismatchError: An image has no label, a label no image, or two files stand for one frame.
    """
    dataset = _opened(config, collect, labelled=labelled)
    if collect is None:  # who collects problems shows these too
        for error in dataset.refused:
            _LOG.warning("%s", error)
    return dataset


def _opened(config: DatasetConfig, collect: list[DataError] | None, *, labelled: bool) -> SegmentationDataset:
    if config.dataset == SHARDS:
        return Shards(
            config.root,
            config.split,
            limit=config.limit,
            labelled=labelled,
            shuffle_frames=config.shuffle_frames or SHUFFLE_FRAMES,
        )
    reader = dataset_class(config.dataset)
    if issubclass(reader, Folder):
        return reader(
            config.root,
            config.split,
            limit=config.limit,
            part=config.part,
            collect=collect,
            labelled=labelled,
            id_map=config.id_map,
        )
    return reader(config.root, config.split, limit=config.limit, part=config.part, collect=collect, labelled=labelled)


def dataset_digest(dataset: SegmentationDataset, on_frame: Callable[[int, int], None] | None = None) -> str:
    """SHA-256 (hex) over the sorted frame names, the files' sizes and the labels' bytes.

    Images count by size only, so that the digest of a large set does not read all of it. Shards bring the digest of
    what they were packed from.

    Args:
        dataset: Whose frames.
        on_frame: Called after each frame with the numbers done and in all, for a progress bar.
    """
    if isinstance(dataset, Shards):
        return dataset.digest
    assert isinstance(dataset, FileDataset)
    digest = hashlib.sha256()
    for done, frame in enumerate(dataset.frames, start=1):  # sorted by name
        digest.update(f"{frame.name}\0{frame.image.stat().st_size}\0".encode())
        if frame.label is not None:
            digest.update(f"{frame.label.stat().st_size}\0".encode())
            with frame.label.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        if on_frame is not None:
            on_frame(done, len(dataset))
    return digest.hexdigest()


def describe(name: str) -> DatasetFacts:
    """The facts about a data set, read from its reader's docstring, where they stand once."""
    reader = dataset_class(name)
    text = inspect.getdoc(reader) or ""
    facts = _parse_facts(text)
    return DatasetFacts(
        name=name,
        summary=text.partition("\n")[0],
        layout=facts["Layout"],
        images=facts["Images"],
        splits=reader.splits,
        label_space=facts["Label space"],
        label_space_name=reader.label_space.name,
        num_classes=reader.label_space.num_classes,
        licence=facts["Licence"],
        citation=facts["Citation"],
        homepage=facts["Home page"],
    )


def _parse_facts(text: str) -> dict[str, str]:
    """`Key: value` paragraphs of a docstring; a value goes on until a blank line or the next key."""
    facts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if match := _FACT.match(line):
            current = facts[match[1]] = [match[2]] if match[2] else []
        elif not line:
            current = None
        elif current is not None and line.strip() != "```":
            current.append(line.removeprefix("    "))
    return {key: ("\n" if key == "Layout" else " ").join(lines) for key, lines in facts.items()}
