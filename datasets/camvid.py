"""CamVid: a dash camera in Cambridge, the first driving video with semantic labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CAMVID11, IGNORE_INDEX, build_id_table
from isthmus.datasets.layout import LayoutWriter, write_png
from isthmus.datasets.pairing import images_by_stem, paired

_VOID: Final = 11


class Camvid(FileDataset):
    """CamVid (Brostow et al.) in the 11-class form of SegNet, 480x360.

    Layout:
        ```
        {train,val,test}/NAME.png          RGB
        {train,val,test}annot/NAME.png     8-bit ids 0..11
        ```

    Images: 367 train, 101 val and 233 test, of 480x360.
    Splits: `train`, `val` and `test`. Neighbouring frames are near-duplicates: never divide them at random.
    Label space: 11 classes (`CAMVID11`), 11 is void. Rider and bicycle are one class, read as rider.
    Licence: for research.
    Citation: Brostow, Fauqueur, Cipolla: Semantic object classes in video. Pattern Recognition Letters 2009.
    Home page: http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/
    """

    dataset_name = "camvid"
    label_space = CAMVID11
    splits = ("train", "val", "test")

    id_table = build_id_table(dict(enumerate(CAMVID11.train_id_of_own_id)), ignored=(_VOID,))

    def _list_frames(self) -> Sequence[FramePaths]:
        images = images_by_stem(self.root / self.split)
        labels = images_by_stem(self.root / f"{self.split}annot")
        return paired(self.root, images, labels, self._report)


class CamvidWriter(LayoutWriter):
    """Writes CamVid's layout."""

    dataset_name = "camvid"
    splits = ("train", "val", "test")

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - CamVid holds no instances
    ) -> str:
        name = f"0001TP_{index:06d}.png"
        own_ids = CAMVID11.fold(train_ids)
        own_ids[own_ids == IGNORE_INDEX] = _VOID
        write_png(self.root / self.split / name, image)
        write_png(self.root / f"{self.split}annot" / name, own_ids)
        return f"{self.split}/{name}"
