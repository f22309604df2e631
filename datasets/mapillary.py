"""Mapillary Vistas: crowd-sourced street photographs from all over the world."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, TRAIN_ID, build_id_table
from isthmus.datasets.layout import LayoutWriter, raw_id_table, write_bytes, write_jpeg, write_png
from isthmus.datasets.pairing import images_by_stem, paired, unlabelled
from isthmus.errors import DataMissingError, UnreadableFileError

CLASS_BY_VISTAS_NAME: Final[Mapping[str, str | None]] = {
    "construction--flat--road": "road",
    "marking--general": "road",
    "marking--continuous": "road",
    "marking--discrete": "road",
    "marking--discrete--crosswalk-zebra": None,
    "marking-only--continuous": "road",
    "marking-only--discrete": "road",
    "marking-only--discrete--crosswalk-zebra": None,
    "object--manhole": "road",
    "construction--barrier--curb": "sidewalk",
    "construction--flat--sidewalk": "sidewalk",
    "construction--structure--building": "building",
    "construction--barrier--wall": "wall",
    "construction--barrier--fence": "fence",
    "object--support--pole": "pole",
    "object--support--utility-pole": "pole",
    "object--traffic-light": "traffic light",
    "object--traffic-sign--front": "traffic sign",
    "object--traffic-sign--direction-front": "traffic sign",
    "object--traffic-sign--information-parking": "traffic sign",
    "object--traffic-sign--temporary-front": "traffic sign",
    "nature--vegetation": "vegetation",
    "nature--terrain": "terrain",
    "nature--sky": "sky",
    "human--person": "person",
    "human--rider": "rider",
    "object--vehicle--car": "car",
    "object--vehicle--truck": "truck",
    "object--vehicle--bus": "bus",
    "object--vehicle--on-rails": "train",
    "object--vehicle--motorcycle": "motorcycle",
    "object--vehicle--bicycle": "bicycle",
}
"""Class by Vistas name or by its beginning (whole `--` parts, the longest wins); other names are ignored.

On version 1.2 this is the map that generalization papers evaluate with (RobustNet, Choi et al., CVPR 2021): lane
markings and manholes count as road, zebra crossings, bike lanes and the backs of signs as nothing. Version 2.0
splits some of those names; its parts follow their whole, and `marking-only` is what `marking` is.
"""

_FOLDER_OF_SPLIT: Final = {"train": "training", "val": "validation", "test": "testing"}


class Mapillary(FileDataset):
    """Mapillary Vistas (Neuhold et al.), annotations of version 1.2.

    Layout: (as version 2.0 is distributed; of version 1, with `config.json` and `training/labels`)
        ```
        config_v1.2.json
        {training,validation,testing}/images/NAME.jpg
        {training,validation}/v1.2/labels/NAME.png      palette PNG, the index is a row of config_v1.2.json
        ```

    Images: 18 000 train, 2 000 val and 5 000 test, of many sizes.
    Splits: `train`, `val`, and `test` without labels.
    Label space: 66 names in `config_v1.2.json`, mapped by name to the 19 train ids.
    Licence: CC BY-NC-SA 4.0.
    Citation: Neuhold, Ollmann, Rota Bulò, Kontschieder: The Mapillary Vistas Dataset. ICCV 2017.
    Home page: https://www.mapillary.com/dataset/vistas
    """

    dataset_name = "mapillary"
    label_space = CITYSCAPES19
    splits = ("train", "val", "test")
    version: ClassVar[str] = "v1.2"
    """Which annotations are read."""

    def _list_frames(self) -> Sequence[FramePaths]:
        names = _label_names(self._config_path())
        self.id_table = build_id_table({raw: train_id_of_vistas_name(name) for raw, name in enumerate(names)})
        folder = self.root / _FOLDER_OF_SPLIT[self.split]
        images = images_by_stem(folder / "images")
        if self.split == "test" or not self.labelled:
            return unlabelled(self.root, images.values())
        return paired(self.root, images, images_by_stem(self._label_folder(folder)), self._report)

    def _config_path(self) -> Path:
        return self._first_distribution(self.root / f"config_{self.version}.json", self.root / "config.json")

    def _label_folder(self, folder: Path) -> Path:
        return self._first_distribution(folder / self.version / "labels", folder / "labels")

    def _first_distribution(self, versioned: Path, plain: Path) -> Path:
        """The plain name where only that exists: version 1.2 was first distributed alone."""
        return plain if self.version == "v1.2" and plain.exists() and not versioned.exists() else versioned


class MapillaryV2(Mapillary):
    """Mapillary Vistas (Neuhold et al.), annotations of version 2.0.

    Layout:
        ```
        config_v2.0.json
        {training,validation,testing}/images/NAME.jpg
        {training,validation}/v2.0/labels/NAME.png      palette PNG, the index is a row of config_v2.0.json
        ```

    Images: 18 000 train, 2 000 val and 5 000 test, of many sizes.
    Splits: `train`, `val`, and `test` without labels.
    Label space: 124 names in `config_v2.0.json`, mapped by name to the 19 train ids.
    Licence: CC BY-NC-SA 4.0.
    Citation: Neuhold, Ollmann, Rota Bulò, Kontschieder: The Mapillary Vistas Dataset. ICCV 2017.
    Home page: https://www.mapillary.com/dataset/vistas
    """

    dataset_name = "mapillary_v2"
    version = "v2.0"


def train_id_of_vistas_name(name: str) -> int:
    """Train id of a name in `config.json`, 255 where it counts nowhere."""
    parts = name.split("--")
    for length in range(len(parts), 0, -1):
        prefix = "--".join(parts[:length])
        if prefix in CLASS_BY_VISTAS_NAME:
            found = CLASS_BY_VISTAS_NAME[prefix]
            return IGNORE_INDEX if found is None else TRAIN_ID[found]
    return IGNORE_INDEX


def _label_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DataMissingError(
            "no such file: it names the label ids", where=path, remedy="Unpack it beside the images."
        )
    try:
        names = [str(label["name"]) for label in json.loads(path.read_text(encoding="utf-8"))["labels"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFileError(f"no list of label names ({error})", where=path, remedy="Fetch it again.") from error
    if all(train_id_of_vistas_name(name) == IGNORE_INDEX for name in names):
        raise UnreadableFileError(
            "none of its label names is one of Vistas'", where=path, remedy="Use Vistas' own config file."
        )
    return names


class MapillaryWriter(LayoutWriter):
    """Writes Vistas' layout with a `config.json` of the real form and one name a class."""

    dataset_name = "mapillary"
    splits = ("train", "val", "test")
    version: ClassVar[str] = "v1.2"
    """Which annotations are written."""

    # One name a class, in their order, and a last one that counts nowhere.
    _NAMES: ClassVar[tuple[str, ...]] = (
        "construction--barrier--curb",
        "construction--barrier--fence",
        "construction--barrier--wall",
        "construction--flat--road",
        "construction--structure--building",
        "human--person",
        "human--rider--bicyclist",
        "nature--sky",
        "nature--terrain",
        "nature--vegetation",
        "object--support--pole",
        "object--traffic-light",
        "object--traffic-sign--front",
        "object--vehicle--bicycle",
        "object--vehicle--bus",
        "object--vehicle--car",
        "object--vehicle--motorcycle",
        "object--vehicle--on-rails",
        "object--vehicle--truck",
        "void--unlabeled",
    )

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - the label files hold no instances
    ) -> str:
        folder = _FOLDER_OF_SPLIT[self.split]
        stem = f"frame{index:06d}"
        name = f"{folder}/images/{stem}.jpg"
        write_jpeg(self.root / name, image)
        if self.split != "test":
            to_train = {raw: train_id_of_vistas_name(label) for raw, label in enumerate(self._NAMES)}
            to_raw = raw_id_table(to_train, ignored_id=self._NAMES.index("void--unlabeled"))
            palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
            label_path = self.root / folder / self.version / "labels" / f"{stem}.png"
            write_png(label_path, to_raw[train_ids], palette=palette)
        return name

    def finish(self) -> None:
        """Write the `config.json` that names the ids."""
        colors = [CITYSCAPES19.palette[train_id_of_vistas_name(name)].tolist() for name in self._NAMES]
        labels = [{"name": name, "color": color} for name, color in zip(self._NAMES, colors, strict=True)]
        content = json.dumps({"version": self.version.removeprefix("v"), "labels": labels}, indent=1)
        write_bytes(self.root / f"config_{self.version}.json", content.encode())


class MapillaryV2Writer(MapillaryWriter):
    """Writes Vistas' layout of version 2.0."""

    dataset_name = "mapillary_v2"
    version = "v2.0"
    _NAMES = tuple(
        {"human--person": "human--person--individual", "object--traffic-light": "object--traffic-light--other"}.get(
            name, name
        )
        for name in MapillaryWriter._NAMES
    )
