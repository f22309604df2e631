"""GTA5, "Playing for Data": frames of a computer game with Cityscapes' label ids."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.datasets.base import FileDataset, FramePaths
from isthmus.datasets.label_space import CITYSCAPES19, CITYSCAPES_ID_TO_TRAIN_ID, build_id_table
from isthmus.datasets.layout import LayoutWriter, palette_by_raw_id, raw_id_table, write_png
from isthmus.datasets.pairing import images_by_stem, paired
from isthmus.errors import DataError, DataMissingError, PairMismatchError, UnreadableFileError

KNOWN_SIZE_MISMATCHES: Final = ("15188", "17705")
"""Frames of the published set whose label is of another size than its image."""

_IDS: Final = range(35)  # 0..33 as in Cityscapes, and 34 (license plate)
_SPLIT_KEYS: Final = {"train": "trainIds", "val": "valIds", "test": "testIds"}


class Gta5(FileDataset):
    """GTA5 (Richter et al.), frames of a game with dense labels.

    Layout:
        ```
        images/00001.png … 24966.png   RGB
        labels/00001.png …             palette PNG, the index is the label id
        split.mat                      optional: trainIds, valIds, testIds (numbers from 1)
        ```

    Images: 24 966 of 1914x1052.
    Splits: `all`; with `split.mat` also the authors' `train` (12 403), `val` (6 382) and `test` (6 181).
    Label space: Cityscapes' label ids, 19 of them train; 34 (license plate) is ignored.
    Licence: for research and education, no commercial use.
    Citation: Richter, Vineet, Roth, Koltun: Playing for Data: Ground Truth from Computer Games. ECCV 2016.
    Home page: https://download.visinf.tu-darmstadt.de/data/from_games/

    Frames 15188 and 17705 of the published set have labels of another size than their images. They are left out
    and named in `refused`.
    """

    dataset_name = "gta5"
    label_space = CITYSCAPES19
    splits = ("all", "train", "val", "test")

    id_table = build_id_table(CITYSCAPES_ID_TO_TRAIN_ID, ignored=set(_IDS) - CITYSCAPES_ID_TO_TRAIN_ID.keys())

    def _list_frames(self) -> Sequence[FramePaths]:
        images = images_by_stem(self.root / "images")
        labels = images_by_stem(self.root / "labels")
        if self.split != "all":
            stems = self._split_stems()
            images = {stem: path for stem, path in images.items() if stem in stems}
            labels = {stem: path for stem, path in labels.items() if stem in stems}
        frames = paired(self.root, images, labels, self._report)
        broken = {frame.name: error for frame in frames if (error := _known_mismatch(frame))}
        self.refused = tuple(broken.values())
        return [frame for frame in frames if frame.name not in broken]

    def _split_stems(self) -> frozenset[str]:
        path = self.root / "split.mat"
        if not path.is_file():
            raise DataMissingError(
                f"split {self.split!r} needs the data set's own split file, which is not there",
                where=path,
                remedy="Fetch it from the data set's page, or use split `all` (with `part: fit` or `holdout`).",
            )
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            numbers = loadmat(path)[_SPLIT_KEYS[self.split]]
        except (MatReadError, KeyError, ValueError, TypeError, OSError) as error:
            raise UnreadableFileError(
                f"no MATLAB file with {_SPLIT_KEYS[self.split]} ({error})", where=path, remedy="Fetch it again."
            ) from error
        return frozenset(f"{int(number):05d}" for number in np.ravel(numbers))


def _known_mismatch(frame: FramePaths) -> DataError | None:
    if frame.image.stem not in KNOWN_SIZE_MISMATCHES or frame.label is None:
        return None
    try:
        with Image.open(frame.image) as image, Image.open(frame.label) as label:
            sizes = image.size, label.size
    except OSError:
        return None  # reading the frame gives the clear error
    if sizes[0] == sizes[1]:
        return None  # a rendered or repaired frame of that number
    return PairMismatchError(
        f"known defect of GTA5, left out: label is {sizes[1][0]}x{sizes[1][1]} but the image is "
        f"{sizes[0][0]}x{sizes[0][1]}",
        where=frame.image,
    )


class Gta5Writer(LayoutWriter):
    """Writes GTA5's layout: PNG images, palette PNG labels."""

    dataset_name = "gta5"
    splits = ("all",)

    _RAW: Final = raw_id_table(CITYSCAPES_ID_TO_TRAIN_ID, ignored_id=0)
    _PALETTE: Final = palette_by_raw_id(CITYSCAPES_ID_TO_TRAIN_ID, CITYSCAPES19.palette)

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - GTA5's labels hold no instances
    ) -> str:
        name = f"{index + 1:05d}.png"
        write_png(self.root / "images" / name, image)
        write_png(self.root / "labels" / name, self._RAW[train_ids], palette=self._PALETTE)
        return f"images/{name}"
