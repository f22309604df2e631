"""SYNTHIA-RAND-CITYSCAPES: random views of a virtual city, labelled compatibly with Cityscapes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.images import read_png16_channels
from isthmus.datasets.label_space import CITYSCAPES19, SYNTHIA16, build_id_table
from isthmus.datasets.layout import LayoutWriter, raw_id_table, write_png, write_png16
from isthmus.datasets.pairing import images_by_stem, paired

SYNTHIA_ID_TO_TRAIN_ID: Final = {
    1: 10,
    2: 2,
    3: 0,
    4: 1,
    5: 4,
    6: 8,
    7: 5,
    8: 13,
    9: 7,
    10: 11,
    11: 18,
    12: 17,
    15: 6,
    16: 9,
    17: 12,
    18: 14,
    19: 15,
    20: 16,
    21: 3,
}
"""SYNTHIA's classes 0..22 that train. 16, 18 and 20 (terrain, truck, train) are defined but never occur."""

_IGNORED_IDS: Final = (0, 13, 14, 22)  # void, parking slot, road work, lane marking
_CLASS_CHANNEL: Final = 0
_INSTANCE_CHANNEL: Final = 1


class Synthia(FileDataset):
    """SYNTHIA-RAND-CITYSCAPES (Ros et al.), random views of a virtual city.

    Layout:
        ```
        RGB/0000000.png … 0009399.png
        GT/LABELS/0000000.png …        16-bit PNG: red is the class, green the instance, blue empty;
                                       two-channel files (grey and alpha) are read too
        GT/COLOR/                      not read
        ```

    Images: 9 400 of 1280x760.
    Splits: only `all`; use `part` to hold frames out.
    Label space: 23 classes, 16 of them occur and train (`SYNTHIA16`).
    Licence: CC BY-NC-SA 3.0.
    Citation: Ros, Sellart, Materzynska, Vazquez, Lopez: The SYNTHIA Dataset. CVPR 2016.
    Home page: https://synthia-dataset.net
    """

    dataset_name = "synthia"
    label_space = CITYSCAPES19
    splits = ("all",)

    id_table = build_id_table(SYNTHIA_ID_TO_TRAIN_ID, ignored=_IGNORED_IDS)

    @property
    def labelled_train_ids(self) -> frozenset[int]:
        """The 16 that occur."""
        return SYNTHIA16

    def read_label_ids(self, path: Path) -> NDArray[np.integer]:
        """The class channel of a 16-bit label file."""
        return read_png16_channels(path)[..., _CLASS_CHANNEL]

    def _list_frames(self) -> Sequence[FramePaths]:
        images = images_by_stem(self.root / "RGB")
        labels = images_by_stem(self.root / "GT" / "LABELS")
        return paired(self.root, images, labels, self._report)


class SynthiaWriter(LayoutWriter):
    """Writes SYNTHIA's layout: PNG images, 16-bit PNG labels with class and instance.

    Terrain, truck and train become void: the real set never shows them.
    """

    dataset_name = "synthia"
    splits = ("all",)

    _RAW: Final = raw_id_table(
        {raw: train for raw, train in SYNTHIA_ID_TO_TRAIN_ID.items() if train in SYNTHIA16}, ignored_id=0
    )

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,
    ) -> str:
        name = f"{index:07d}.png"
        label = np.zeros((*train_ids.shape, 3), np.uint16)
        label[..., _CLASS_CHANNEL] = self._RAW[train_ids]
        if instances is not None:
            label[..., _INSTANCE_CHANNEL] = instances
        write_png(self.root / "RGB" / name, image)
        write_png16(self.root / "GT" / "LABELS" / name, label)
        return f"RGB/{name}"
