"""IDD, the India Driving Dataset: unstructured traffic; the full set and IDD-Lite with seven groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CITYSCAPES19, IDDLITE7, IGNORE_INDEX, TRAIN_ID, build_id_table
from isthmus.datasets.layout import LayoutWriter, raw_id_table, write_jpeg, write_png
from isthmus.datasets.pairing import files_by_key, paired, unlabelled
from isthmus.errors import DataMissingError

IDD_ID_TO_TRAIN_ID: Final = {
    0: TRAIN_ID["road"],
    3: TRAIN_ID["sidewalk"],
    5: TRAIN_ID["terrain"],  # "non-drivable fallback"
    6: TRAIN_ID["person"],
    8: TRAIN_ID["rider"],
    9: TRAIN_ID["motorcycle"],
    10: TRAIN_ID["bicycle"],
    12: TRAIN_ID["car"],
    13: TRAIN_ID["truck"],
    14: TRAIN_ID["bus"],
    17: TRAIN_ID["train"],
    20: TRAIN_ID["wall"],
    21: TRAIN_ID["fence"],
    24: TRAIN_ID["traffic sign"],
    25: TRAIN_ID["traffic light"],
    26: TRAIN_ID["pole"],
    29: TRAIN_ID["building"],
    32: TRAIN_ID["vegetation"],
    33: TRAIN_ID["sky"],
}
"""IDD's ids 0..39 that train, by the `csTrainId` column of its published label table."""

IDD_LEVEL3_TO_TRAIN_ID: Final = {
    0: TRAIN_ID["road"],
    2: TRAIN_ID["sidewalk"],
    3: TRAIN_ID["terrain"],  # with rail track
    4: TRAIN_ID["person"],  # with animal
    5: TRAIN_ID["rider"],
    6: TRAIN_ID["motorcycle"],
    7: TRAIN_ID["bicycle"],
    9: TRAIN_ID["car"],
    10: TRAIN_ID["truck"],
    11: TRAIN_ID["bus"],
    14: TRAIN_ID["wall"],
    15: TRAIN_ID["fence"],
    18: TRAIN_ID["traffic sign"],
    19: TRAIN_ID["traffic light"],
    20: TRAIN_ID["pole"],  # with pole group
    22: TRAIN_ID["building"],
    24: TRAIN_ID["vegetation"],
    25: TRAIN_ID["sky"],  # with fallback background
}
"""IDD's 26 level-3 ids that train: each by its largest member, since level 3 merges what Cityscapes ignores."""

_UNLABELLED_ID: Final = 35

_TABLE_BY_KIND: Final = {
    "ids": build_id_table(IDD_ID_TO_TRAIN_ID, ignored=(set(range(40)) | {IGNORE_INDEX}) - IDD_ID_TO_TRAIN_ID.keys()),
    "level3Ids": build_id_table(
        IDD_LEVEL3_TO_TRAIN_ID, ignored=(set(range(26)) | {IGNORE_INDEX}) - IDD_LEVEL3_TO_TRAIN_ID.keys()
    ),
    "csTrainIds": build_id_table({i: i for i in range(19)}, ignored=(IGNORE_INDEX,)),
}
"""Table by the kind of label file that AutoNUE's `createLabels.py` writes, the most exact one first."""


class Idd(FileDataset):
    """IDD's segmentation set (Varma et al.), both parts or one of them.

    Layout: (the label PNGs are made from the polygons with AutoNUE's `createLabels.py`)
        ```
        leftImg8bit/{train,val,test}/DRIVE/FRAME_leftImg8bit.{png,jpg}
        gtFine/{train,val}/DRIVE/FRAME_gtFine_labelids.png        ids 0..39
                           or    FRAME_gtFine_labellevel3Ids.png  ids 0..25, 255
                           or    FRAME_gtFine_labelcsTrainIds.png train ids, 255
        ```

    Images: about 20 000 in both parts; part I has 6 993 train, 981 val and 2 029 test; 1920x1080 and 1280x964.
    Splits: `train`, `val`, and `test` without labels.
    Label space: 40 ids, of which 19 are mapped to Cityscapes' train ids by IDD's own table.
    Licence: IDD's own licence (IIIT Hyderabad), for non-commercial research.
    Citation: Varma et al.: IDD: A Dataset for Exploring Problems of Autonomous Navigation. WACV 2019.
    Home page: https://idd.insaan.iiit.ac.in
    """

    dataset_name = "idd"
    label_space = CITYSCAPES19
    splits = ("train", "val", "test")

    id_table = _TABLE_BY_KIND["ids"]

    def _list_frames(self) -> Sequence[FramePaths]:
        folder = self.root / "leftImg8bit" / self.split
        images = files_by_key(folder, "*/*_leftImg8bit.*", _drive_and_frame)
        if self.split == "test" or not self.labelled:
            return unlabelled(self.root, images.values())
        labels = self.root / "gtFine" / self.split
        for kind, table in _TABLE_BY_KIND.items():
            found = files_by_key(labels, f"*/*_gtFine_label{kind}.png", _drive_and_frame)
            if found:
                self.id_table = table
                return paired(self.root, images, found, self._report)
        raise DataMissingError(
            "holds no *_gtFine_labelids.png",
            where=labels,
            remedy="IDD comes as polygons: make the label images with AutoNUE's createLabels.py.",
        )


class IddLite(FileDataset):
    """IDD-Lite (Mishra et al.), a small IDD with seven groups of classes.

    Layout:
        ```
        leftImg8bit/{train,val,test}/DRIVE/FRAME_image.jpg
        gtFine/{train,val}/DRIVE/FRAME_label.png            ids 0..6, 255
        ```

    Images: 1 404 train, 204 val and 404 test, of 320x227.
    Splits: `train`, `val`, and `test` without labels.
    Label space: seven groups (`IDDLITE7`), level 1 of IDD's hierarchy.
    Licence: IDD's own licence (IIIT Hyderabad), for non-commercial research.
    Citation: Mishra et al.: Semantic Segmentation Datasets for Resource Constrained Training. NCVPRIPG 2019.
    Home page: https://idd.insaan.iiit.ac.in
    """

    dataset_name = "idd_lite"
    label_space = IDDLITE7
    splits = ("train", "val", "test")

    id_table = build_id_table(dict(enumerate(IDDLITE7.train_id_of_own_id)), ignored=(IGNORE_INDEX,))

    def _list_frames(self) -> Sequence[FramePaths]:
        images = files_by_key(self.root / "leftImg8bit" / self.split, "*/*_image.jpg", _drive_and_frame)
        if self.split == "test" or not self.labelled:
            return unlabelled(self.root, images.values())
        labels = files_by_key(self.root / "gtFine" / self.split, "*/*_label.png", _drive_and_frame)
        classes = {key: path for key, path in labels.items() if not key.endswith("_inst")}  # beside FRAME_inst_label
        return paired(self.root, images, classes, self._report)


def _drive_and_frame(path: Path) -> str:
    """Frames are numbered anew in each drive, so the drive belongs to the key."""
    stem = path.stem
    for ending in ("_leftImg8bit", "_image", "_label"):
        stem = stem.removesuffix(ending)
    return f"{path.parent.name}/{stem.partition('_gtFine_label')[0]}"


class IddWriter(LayoutWriter):
    """Writes IDD's layout with `labelids` files, all frames in one drive."""

    dataset_name = "idd"
    splits = ("train", "val", "test")

    _RAW: Final = raw_id_table(IDD_ID_TO_TRAIN_ID, ignored_id=_UNLABELLED_ID)

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - the label files hold no instances
    ) -> str:
        name = f"leftImg8bit/{self.split}/0/frame{index:04d}_leftImg8bit.png"
        write_png(self.root / name, image)
        if self.split != "test":
            label_path = self.root / "gtFine" / self.split / "0" / f"frame{index:04d}_gtFine_labelids.png"
            write_png(label_path, self._RAW[train_ids])
        return name


class IddLiteWriter(LayoutWriter):
    """Writes IDD-Lite's layout, all frames in one drive."""

    dataset_name = "idd_lite"
    splits = ("train", "val", "test")

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - written instances would be of no use to anyone
    ) -> str:
        name = f"leftImg8bit/{self.split}/0/frame{index:04d}_image.jpg"
        write_jpeg(self.root / name, image)
        if self.split != "test":
            label_path = self.root / "gtFine" / self.split / "0" / f"frame{index:04d}_label.png"
            write_png(label_path, IDDLITE7.fold(train_ids))
        return name
