"""Any labelled pictures: a folder of images, a folder of labels, and an id map."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.configuration import config, load_config, to_yaml
from isthmus.datasets.base import FileDataset, FramePaths, Part
from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, TRAIN_ID, build_id_table
from isthmus.datasets.layout import LayoutWriter, write_bytes, write_png
from isthmus.datasets.pairing import images_by_stem, paired, unlabelled
from isthmus.errors import DataError, DataMissingError

ID_MAP_FILE: Final = "id_map.yaml"
_MAX_RAW_ID: Final = 255


@config
class IdMap:
    """What the raw ids of a folder's label files mean."""

    classes: dict[int, str | int]
    """Class name (such as `road`) or train id 0..18 by raw id 0..255."""
    ignore: tuple[int, ...] = ()
    """Raw ids that are legal but count nowhere."""

    def __post_init__(self) -> None:
        for raw, meaning in self.classes.items():
            if meaning not in TRAIN_ID and meaning not in range(19):
                raise ValueError(f"id {raw}: {meaning!r} is no class; write one of {', '.join(TRAIN_ID)} or 0..18")
        illegal = [raw for raw in (*self.classes, *self.ignore) if raw not in range(_MAX_RAW_ID + 1)]
        both = sorted(set(self.classes) & set(self.ignore))
        if illegal or both or not self.classes:
            raise ValueError(
                f"raw ids must lie in 0..{_MAX_RAW_ID} and stand in `classes` or in `ignore`, not in both: "
                f"{illegal or both or 'no class at all'}"
            )

    def id_to_train_id(self) -> dict[int, int]:
        """Train id by raw id, without the ignored ones."""
        return {raw: TRAIN_ID[m] if isinstance(m, str) else m for raw, m in self.classes.items()}


class Folder(FileDataset):
    """Pictures and label pictures of anybody's own.

    Layout: (`all` reads the folders themselves, the other splits their subfolders)
        ```
        id_map.yaml                        classes: {0: road, 1: car, …}, ignore: [255]
        images/NAME.{png,jpg}              or images/{train,val,test}/NAME.{png,jpg}
        labels/NAME.png                    or labels/{train,val,test}/NAME.png
        ```

    Images: any number, of any size. As a target, `images/` is all that it needs.
    Splits: `all`, `train`, `val` and `test`.
    Label space: 8-bit ids, mapped by `id_map.yaml` (or `id_map` in the configuration) to the 19 train ids.
    Licence: yours.
    Citation: none.
    Home page: none
    """

    dataset_name = "folder"
    label_space = CITYSCAPES19
    splits = ("all", "train", "val", "test")

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        limit: int | None = None,
        part: Part | None = None,
        collect: list[DataError] | None = None,
        labelled: bool = True,
        id_map: IdMap | None = None,
    ) -> None:
        self._id_map = id_map
        super().__init__(root, split, limit=limit, part=part, collect=collect, labelled=labelled)

    def _list_frames(self) -> Sequence[FramePaths]:
        subfolder = "" if self.split == "all" else self.split
        images = images_by_stem(self.root / "images" / subfolder)
        if not self.labelled:  # a target needs neither labels nor what they mean
            return unlabelled(self.root, images.values())
        id_map = self._id_map or self._read_id_map()
        self.id_table = build_id_table(id_map.id_to_train_id(), ignored=id_map.ignore)
        labels = images_by_stem(self.root / "labels" / subfolder)
        return paired(self.root, images, labels, self._report)

    def _read_id_map(self) -> IdMap:
        path = self.root / ID_MAP_FILE
        if not path.is_file():
            raise DataMissingError(
                "no such file: it says what the label ids mean",
                where=path,
                remedy="Write e.g. `classes: {0: road, 1: car}` and `ignore: [255]` into it, or set `id_map`.",
            )
        return load_config(path, IdMap)


class FolderWriter(LayoutWriter):
    """Writes train ids as raw ids, with the id map that says so."""

    dataset_name = "folder"
    splits = ("all", "train", "val", "test")

    def _write(
        self,
        index: int,
        image: NDArray[np.uint8],
        train_ids: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None,  # noqa: ARG002 - the layout holds no instances
    ) -> str:
        subfolder = "" if self.split == "all" else f"{self.split}/"
        name = f"images/{subfolder}frame{index:06d}.png"
        write_png(self.root / name, image)
        write_png(self.root / f"labels/{subfolder}frame{index:06d}.png", train_ids)
        return name

    def finish(self) -> None:
        """Write the id map."""
        id_map = IdMap(classes=dict(enumerate(CITYSCAPES19.names)), ignore=(IGNORE_INDEX,))
        write_bytes(self.root / ID_MAP_FILE, to_yaml(id_map).encode())
