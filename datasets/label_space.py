"""Label spaces: which classes exist, how raw ids become train ids, and how coarse spaces fold finer ones.

Inside isthmus every mask holds *train ids*: the 19 Cityscapes classes 0..18, and `IGNORE_INDEX` (255) for
pixels that count nowhere. A data set with fewer or coarser classes (CamVid's 11, IDD-Lite's 7) stores a
representative train id for each of its classes, and its label space *folds* both truth and prediction into its
own classes when it is evaluated: a predicted `truck` counts as CamVid's `car`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

IGNORE_INDEX: Final = 255
"""Value of a mask's pixels that no loss and no metric counts."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """An ordered set of classes and the way into it from the 19 train ids.

    Args:
        name: Short identifier, for example `cityscapes19`.
        names: Class names in order of their own ids.
        colors: One RGB colour a class, 0..255.
        own_id_of_train_id: For each of the 19 train ids, this space's own id or 255 where it has none.
        train_id_of_own_id: For each own id, the train id that stands for it in masks.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    own_id_of_train_id: tuple[int, ...]
    train_id_of_own_id: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.colors) == len(self.train_id_of_own_id)
        assert len(self.own_id_of_train_id) == 19
        for own, train in enumerate(self.train_id_of_own_id):
            assert self.own_id_of_train_id[train] == own, f"{self.name}: class {own} does not fold onto itself"

    @property
    def num_classes(self) -> int:
        """Number of own classes, without the ignored one."""
        return len(self.names)

    @cached_property
    def id_hash(self) -> str:
        """First 12 hex digits of the SHA-256 over names and ids in order."""
        text = "\n".join(f"{i} {name}" for i, name in enumerate(self.names))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def fold_table(self) -> NDArray[np.uint8]:
        """Look-up table [256] uint8 from train ids to own ids; everything unknown becomes 255."""
        table = np.full(256, IGNORE_INDEX, np.uint8)
        table[:19] = self.own_id_of_train_id
        return table

    @cached_property
    def palette(self) -> NDArray[np.uint8]:
        """RGB colours [256, 3] uint8 by own id; unknown ids and 255 are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.colors
        return table

    def fold(self, train_ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Train ids of any shape as own ids of the same shape."""
        return self.fold_table[train_ids]

    def colorize(self, own_ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Own ids [H, W] as an RGB picture [H, W, 3] uint8."""
        return self.palette[own_ids]

    def own_ids_labelled_by(self, train_ids: Iterable[int]) -> frozenset[int]:
        """Own classes of which at least one of `train_ids` is a part."""
        return frozenset(self.own_id_of_train_id[i] for i in train_ids) - {IGNORE_INDEX}


_CITYSCAPES: Final[tuple[tuple[str, Color], ...]] = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)

CITYSCAPES19: Final = LabelSpace(
    name="cityscapes19",
    names=tuple(name for name, _ in _CITYSCAPES),
    colors=tuple(color for _, color in _CITYSCAPES),
    own_id_of_train_id=tuple(range(19)),
    train_id_of_own_id=tuple(range(19)),
)
"""The 19 classes that Cityscapes trains and evaluates on (Cordts et al., CVPR 2016)."""

TRAIN_ID: Final[Mapping[str, int]] = {name: i for i, name in enumerate(CITYSCAPES19.names)}
"""Train id by class name, for example `TRAIN_ID["car"] == 13`."""

CITYSCAPES_ID_TO_TRAIN_ID: Final[Mapping[int, int]] = {
    7: 0,
    8: 1,
    11: 2,
    12: 3,
    13: 4,
    17: 5,
    19: 6,
    20: 7,
    21: 8,
    22: 9,
    23: 10,
    24: 11,
    25: 12,
    26: 13,
    27: 14,
    28: 15,
    31: 16,
    32: 17,
    33: 18,
}
"""Cityscapes' `label ids` (0..33) that train; GTA5 uses the same ids and an extra 34 that is ignored."""

SYNTHIA16: Final = frozenset(range(19)) - {TRAIN_ID["terrain"], TRAIN_ID["truck"], TRAIN_ID["train"]}
"""Train ids of the 16 classes that SYNTHIA shares with Cityscapes: mIoU16 averages over these."""

SYNTHIA13: Final = SYNTHIA16 - {TRAIN_ID["wall"], TRAIN_ID["fence"], TRAIN_ID["pole"]}
"""Train ids of the 13-class protocol: SYNTHIA's 16 without wall, fence and pole."""

CAMVID11: Final = LabelSpace(
    name="camvid11",
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colors=(
        (70, 130, 180),
        (70, 70, 70),
        (153, 153, 153),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (220, 220, 0),
        (190, 153, 153),
        (0, 0, 142),
        (220, 20, 60),
        (255, 0, 0),
    ),
    # By train id: wall counts as building, light as sign, terrain as tree, truck, bus and train as car,
    # motorcycle and bicycle as bicyclist: the grouping that made CamVid's 11 classes of its first 32.
    own_id_of_train_id=(3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10),
    train_id_of_own_id=(10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 12),
)
"""CamVid's usual 11 classes (Brostow et al., 2009; grouping of Badrinarayanan et al., SegNet)."""

IDDLITE7: Final = LabelSpace(
    name="iddlite7",
    names=(
        "drivable",
        "non-drivable",
        "living thing",
        "vehicle",
        "roadside object",
        "far object",
        "sky",
    ),
    colors=(
        (128, 64, 128),
        (244, 35, 232),
        (220, 20, 60),
        (0, 0, 142),
        (190, 153, 153),
        (70, 70, 70),
        (70, 130, 180),
    ),
    own_id_of_train_id=(0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3),
    train_id_of_own_id=(0, 1, 11, 13, 4, 2, 10),
)
"""IDD-Lite's seven groups, level 1 of the India Driving Dataset's hierarchy (Varma et al., WACV 2019)."""

LABEL_SPACES: Final[Mapping[str, LabelSpace]] = {space.name: space for space in (CITYSCAPES19, CAMVID11, IDDLITE7)}


def build_id_table(mapping: Mapping[int, int], *, ignored: Iterable[int] = ()) -> NDArray[np.int16]:
    """Look-up table from raw label ids to train ids.

    Args:
        mapping: Raw id to train id.
        ignored: Raw ids that are legal but count nowhere.

    Returns:
        int16 table of the largest known raw id + 1 entries: a train id, 255 for `ignored`, −1 for ids that the
        data set does not know.
    """
    ignored = tuple(ignored)
    table = np.full(max([*mapping, *ignored]) + 1, -1, np.int16)
    table[list(ignored)] = IGNORE_INDEX
    for raw, train in mapping.items():
        table[raw] = train
    return table
