"""BDD100K's semantic segmentation set: crowd-sourced dash cameras, mostly in the United States."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, build_id_table
from isthmus.datasets.layout import LayoutWriter, write_jpeg, write_png
from isthmus.datasets.pairing import files_by_key, images_by_stem, paired, unlabelled

_TRAIN_IDS: Final = {i: i for i in range(19)}
_OLD_LABEL_SUFFIX: Final = "_train_id.png"


class Bdd100k(FileDataset):
    """BDD100K's 10k subset (Yu et al.) with semantic masks.

    Layout: (the current one, and the older one that the first papers used)
        ```
        images/10k/{train,val,test}/NAME.jpg           seg/images/{train,val,test}/NAME.jpg
        labels/sem_seg/masks/{train,val}/NAME.png      seg/labels/{train,val}/NAME_train_id.png
        ```

    Images: 7 000 train, 1 000 val and 2 000 test, of 1280x720.
    Splits: `train`, `val`, and `test` without labels.
    Label space: the masks hold Cityscapes' train ids 0..18, and 255.
    Licence: BDD100K's own licence (University of California), free for research and education.
    Citation: Yu et al.: BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning. CVPR 2020.
    Home page: https://bdd-data.berkeley.edu
    """

    dataset_name = "bdd100k"
    label_space = CITYSCAPES19
    splits = ("train", "val", "test")

    id_table = build_id_table(_TRAIN_IDS, ignored=(IGNORE_INDEX,))

    def _list_frames(self) -> Sequence[FramePaths]:
        old = self.root / "seg"
        if old.is_dir():
            image_folder, label_folder, suffix = old / "images", old / "labels", _OLD_LABEL_SUFFIX
        else:
            image_folder = self.root / "images" / "10k"
            label_folder = self.root / "labels" / "sem_seg" / "masks"
            suffix = ".png"
        images = images_by_stem(image_folder / self.split)
        if self.split == "test" or not self.labelled:
            return unlabelled(self.root, images.values())
        labels = files_by_key(label_folder / self.split, f"*{suffix}", lambda path: path.name.removesuffix(suffix))
        return paired(self.root, images, labels, self._report)


class Bdd100kWriter(LayoutWriter):
    """Writes BDD100K's current layout: JPEG images, train-id PNG masks."""

    dataset_name = "bdd100k"
    splits = ("train", "val", "test")

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - the masks hold no instances
    ) -> str:
        stem = f"{index:08x}-00000000"
        name = f"images/10k/{self.split}/{stem}.jpg"
        write_jpeg(self.root / name, image)
        if self.split != "test":
            write_png(self.root / "labels" / "sem_seg" / "masks" / self.split / f"{stem}.png", train_ids)
        return name
