"""Cityscapes: a car's view of 50 cities, the target that simulation-to-street papers report on."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CITYSCAPES19, CITYSCAPES_ID_TO_TRAIN_ID, TRAIN_ID, build_id_table
from isthmus.datasets.layout import LayoutWriter, raw_id_table, write_png, write_png16
from isthmus.datasets.pairing import files_by_key, paired, unlabelled

_IDS: Final = range(34)  # -1 (license plate) is never painted into the id files
_IMAGE_SUFFIX: Final = "_leftImg8bit.png"
_LABEL_SUFFIX: Final = "_gtFine_labelIds.png"


class Cityscapes(FileDataset):
    """Cityscapes (Cordts et al.) with its fine annotations.

    Layout:
        ```
        leftImg8bit/{train,val,test}/CITY/CITY_000000_000019_leftImg8bit.png
        gtFine/{train,val}/CITY/CITY_000000_000019_gtFine_labelIds.png   ids 0..33
        ```

    Images: 2 975 train, 500 val and 1 525 test, of 2048x1024.
    Splits: `train`, `val`, and `test` without labels.
    Label space: Cityscapes' label ids, 19 of them train.
    Licence: the Cityscapes licence, for non-commercial use.
    Citation: Cordts et al.: The Cityscapes Dataset for Semantic Urban Scene Understanding. CVPR 2016.
    Home page: https://www.cityscapes-dataset.com

    The `labelIds` files are read, never `labelTrainIds`, which exist only where somebody has made them.
    """

    dataset_name = "cityscapes"
    label_space = CITYSCAPES19
    splits = ("train", "val", "test")

    id_table = build_id_table(CITYSCAPES_ID_TO_TRAIN_ID, ignored=set(_IDS) - CITYSCAPES_ID_TO_TRAIN_ID.keys())

    def _list_frames(self) -> Sequence[FramePaths]:
        images = files_by_key(
            self.root / "leftImg8bit" / self.split,
            f"*/*{_IMAGE_SUFFIX}",
            lambda path: path.name.removesuffix(_IMAGE_SUFFIX),
        )
        if self.split == "test" or not self.labelled:  # the id files of `test` exist, but hold no classes
            return unlabelled(self.root, images.values())
        labels = files_by_key(
            self.root / "gtFine" / self.split,
            f"*/*{_LABEL_SUFFIX}",
            lambda path: path.name.removesuffix(_LABEL_SUFFIX),
        )
        return paired(self.root, images, labels, self._report)


class CityscapesWriter(LayoutWriter):
    """Writes Cityscapes' layout with one city a split; `instanceIds` files too where instances are given."""

    dataset_name = "cityscapes"
    splits = ("train", "val", "test")

    _CITY: Final = {"train": "aachen", "val": "frankfurt", "test": "berlin"}
    _RAW: Final = raw_id_table(CITYSCAPES_ID_TO_TRAIN_ID, ignored_id=0)

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,
    ) -> str:
        city = self._CITY[self.split]
        stem = f"{city}_{index:06d}_000019"
        name = f"leftImg8bit/{self.split}/{city}/{stem}{_IMAGE_SUFFIX}"
        write_png(self.root / name, image)
        if self.split == "test":
            return name
        label_folder = self.root / "gtFine" / self.split / city
        label_ids = self._RAW[train_ids]
        write_png(label_folder / f"{stem}{_LABEL_SUFFIX}", label_ids)
        if instances is not None:
            write_png16(label_folder / f"{stem}_gtFine_instanceIds.png", _instance_ids(label_ids, train_ids, instances))
        return name


def _instance_ids(
    label_ids: NDArray[np.uint8], train_ids: NDArray[np.uint8], instances: NDArray[np.uint16]
) -> NDArray[np.uint16]:
    """Cityscapes' instance ids: id · 1000 + number for things that can be counted, the plain id elsewhere."""
    countable = (train_ids >= TRAIN_ID["person"]) & (train_ids <= TRAIN_ID["bicycle"]) & (instances > 0)
    numbered = label_ids.astype(np.uint16) * 1000 + (instances - 1) % 1000
    return np.where(countable, numbered, label_ids).astype(np.uint16)
