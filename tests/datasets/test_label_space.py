import numpy as np
import pytest

from isthmus.datasets.label_space import (
    CAMVID11,
    CITYSCAPES19,
    CITYSCAPES_ID_TO_TRAIN_ID,
    IDDLITE7,
    LABEL_SPACES,
    SYNTHIA13,
    SYNTHIA16,
    TRAIN_ID,
    build_id_table,
)


def own_names(space, *train_names):
    ids = np.array([TRAIN_ID[name] for name in train_names], np.uint8)
    return [space.names[own] for own in space.fold(ids)]


def test_cityscapes_folds_onto_itself():
    ids = np.arange(19, dtype=np.uint8)
    assert CITYSCAPES19.fold(ids).tolist() == ids.tolist()


def test_camvid_groups_the_cityscapes_classes():
    assert own_names(CAMVID11, "road", "sidewalk", "building", "wall", "fence", "pole") == [
        *("road", "pavement", "building", "building", "fence", "pole")
    ]
    assert own_names(CAMVID11, "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person") == [
        *("sign", "sign", "tree", "tree", "sky", "pedestrian")
    ]
    assert own_names(CAMVID11, "rider", "motorcycle", "bicycle", "car", "truck", "bus", "train") == [
        *("bicyclist",) * 3,
        *("car",) * 4,
    ]


def test_idd_lite_groups_the_cityscapes_classes():
    assert own_names(IDDLITE7, "road", "sidewalk", "terrain") == ["drivable", "non-drivable", "non-drivable"]
    assert own_names(IDDLITE7, "person", "rider") == ["living thing"] * 2
    assert own_names(IDDLITE7, "car", "truck", "bus", "train", "motorcycle", "bicycle") == ["vehicle"] * 6
    assert own_names(IDDLITE7, "wall", "fence", "pole", "traffic light", "traffic sign") == ["roadside object"] * 5
    assert own_names(IDDLITE7, "building", "vegetation", "sky") == ["far object", "far object", "sky"]


@pytest.mark.parametrize("space", LABEL_SPACES.values(), ids=lambda space: space.name)
def test_ignored_and_unknown_ids_fold_to_ignored(space):
    assert space.fold(np.array([19, 200, 255], np.uint8)).tolist() == [255, 255, 255]


def test_hashes_are_stable():
    assert {name: space.id_hash for name, space in LABEL_SPACES.items()} == {
        "cityscapes19": "edce178bdb84",
        "camvid11": "0541c0d65213",
        "iddlite7": "7952e6c03611",
    }


def test_colours_follow_own_ids():
    picture = CAMVID11.colorize(np.array([[0, 3, 255]], np.uint8))
    assert picture.tolist() == [[[70, 130, 180], [128, 64, 128], [0, 0, 0]]]


def test_own_classes_that_a_source_labels():
    assert CAMVID11.own_ids_labelled_by([TRAIN_ID["road"], TRAIN_ID["truck"]]) == {3, 8}


def test_synthia_subsets():
    names = {CITYSCAPES19.names[i] for i in set(range(19)) - SYNTHIA16}
    assert names == {"terrain", "truck", "train"}
    assert {CITYSCAPES19.names[i] for i in SYNTHIA16 - SYNTHIA13} == {"wall", "fence", "pole"}


def test_cityscapes_ids():
    assert {7: 0, 8: 1, 17: 5, 23: 10, 26: 13, 33: 18}.items() <= CITYSCAPES_ID_TO_TRAIN_ID.items()
    assert sorted(CITYSCAPES_ID_TO_TRAIN_ID.values()) == list(range(19))


def test_id_table_tells_known_ignored_and_unknown_apart():
    table = build_id_table({1: 10, 4: 0}, ignored=[2, 5])
    assert table.tolist() == [-1, 10, 255, -1, 0, 255]
