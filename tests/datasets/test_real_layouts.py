"""What is peculiar to one data set each, on hand-made files."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from isthmus.datasets.bdd100k import Bdd100k
from isthmus.datasets.camvid import Camvid
from isthmus.datasets.cityscapes import Cityscapes
from isthmus.datasets.folder import Folder, IdMap
from isthmus.datasets.gta5 import Gta5
from isthmus.datasets.idd import IDD_ID_TO_TRAIN_ID, IDD_LEVEL3_TO_TRAIN_ID, Idd, IddLite
from isthmus.datasets.images import read_png16_channels
from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.mapillary import Mapillary, MapillaryV2, train_id_of_vistas_name
from isthmus.datasets.synthia import SYNTHIA_ID_TO_TRAIN_ID, Synthia
from isthmus.errors import ConfigurationError, DataMissingError, PairMismatchError, UnreadableFileError


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def save_image(path, size=(2, 1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


# --- GTA5


def test_gta5_keeps_palette_indices(tmp_path):
    save_image(tmp_path / "images" / "00001.png", (4, 1))
    label = Image.fromarray(np.array([[7, 26, 0, 34]], np.uint8))
    label.putpalette([255 - i // 3 for i in range(768)])
    assert label.mode == "P"
    (tmp_path / "labels").mkdir()
    label.save(tmp_path / "labels" / "00001.png")
    assert Gta5(tmp_path, "all")[0]["mask"].tolist() == [[0, 13, 255, 255]]


def test_gta5_splits_come_from_its_split_file(open_fakes):
    root = open_fakes("gta5", num_frames=4).root
    savemat(root / "split.mat", {"trainIds": [[1], [3]], "valIds": [[2]], "testIds": [[4]]})
    names = {split: [frame.name for frame in Gta5(root, split).frames] for split in ("train", "val", "test")}
    assert names == {
        "train": ["images/00001.png", "images/00003.png"],
        "val": ["images/00002.png"],
        "test": ["images/00004.png"],
    }


def test_gta5_without_its_split_file_has_only_all(open_fakes):
    root = open_fakes("gta5").root
    with pytest.raises(DataMissingError, match=r"split\.mat.*use split `all`"):
        Gta5(root, "train")


@pytest.mark.parametrize("content", [b"", b"no MATLAB file at all, but longer than its header of 128 bytes" * 4])
def test_gta5_damaged_split_file(content, open_fakes):
    root = open_fakes("gta5").root
    (root / "split.mat").write_bytes(content)
    with pytest.raises(UnreadableFileError, match="no MATLAB file with trainIds"):
        Gta5(root, "train")


def test_gta5_known_mismatch_is_left_out_and_named(tmp_path):
    for number, label_size in ((1, (2, 1)), (15188, (3, 1)), (17705, (2, 1))):
        save_image(tmp_path / "images" / f"{number:05d}.png")
        save(tmp_path / "labels" / f"{number:05d}.png", np.zeros(label_size[::-1]))
    dataset = Gta5(tmp_path, "all")
    assert [frame.name for frame in dataset.frames] == ["images/00001.png", "images/17705.png"]
    assert [error.where for error in dataset.refused] == [str(tmp_path / "images" / "15188.png")]
    assert "label is 3x1 but the image is 2x1" in str(dataset.refused[0])


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_two_files_for_one_frame(folder, open_fakes):
    root = open_fakes("gta5").root
    save_image(root / folder / "00002.JPG")
    with pytest.raises(PairMismatchError, match=r"stands for the same frame as 00002\.JPG") as caught:
        Gta5(root, "all")
    assert caught.value.where == str(root / folder / "00002.png")


# --- SYNTHIA


def test_synthia_class_is_the_red_channel(tmp_path):
    save_image(tmp_path / "RGB" / "0000000.png")
    label = np.zeros((1, 2, 3), np.uint16)
    label[0, :, 2] = [8, 15]  # OpenCV writes BGR: the last channel is red
    label[0, :, 1] = [1000, 65535]  # instances
    (tmp_path / "GT" / "LABELS").mkdir(parents=True)
    assert cv2.imwrite(str(tmp_path / "GT" / "LABELS" / "0000000.png"), label)
    (tmp_path / "GT" / "COLOR").mkdir()
    dataset = Synthia(tmp_path, "all")
    assert dataset.read_label_ids(dataset.frames[0].label).tolist() == [[8, 15]]
    assert dataset[0]["mask"].tolist() == [[TRAIN_ID["car"], TRAIN_ID["traffic light"]]]


def test_synthia_two_channel_file(tmp_path):
    """Grey is the class, alpha the instance: the published description speaks of two channels."""
    path = tmp_path / "two.png"
    row = np.array([8, 1000, 15, 65535], ">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 4, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    )
    assert read_png16_channels(path).tolist() == [[[8, 1000], [15, 65535]]]


def test_synthia_map():
    by_name = {TRAIN_ID["road"]: 3, TRAIN_ID["wall"]: 21, TRAIN_ID["rider"]: 17, TRAIN_ID["bicycle"]: 11}
    assert {raw: train for train, raw in by_name.items()}.items() <= SYNTHIA_ID_TO_TRAIN_ID.items()
    assert sorted(SYNTHIA_ID_TO_TRAIN_ID.values()) == list(range(19))


# --- Cityscapes, BDD100K


def test_cityscapes_reads_label_ids_of_all_cities(tmp_path):
    for city in ("zurich", "aachen"):
        save_image(tmp_path / "leftImg8bit" / "train" / city / f"{city}_000000_000019_leftImg8bit.png", (3, 1))
        label = tmp_path / "gtFine" / "train" / city / f"{city}_000000_000019_gtFine"
        save(label.with_name(label.name + "_labelIds.png"), [[7, 0, 33]])
        save(label.with_name(label.name + "_labelTrainIds.png"), [[1, 1, 1]])
    dataset = Cityscapes(tmp_path, "train")
    assert [frame.name.split("/")[2] for frame in dataset.frames] == ["aachen", "zurich"]
    assert dataset[0]["mask"].tolist() == [[0, 255, 18]]


def test_bdd100k_reads_the_older_layout_too(tmp_path):
    save_image(tmp_path / "seg" / "images" / "val" / "ab.jpg")
    save(tmp_path / "seg" / "labels" / "val" / "ab_train_id.png", [[18, 255]])
    assert Bdd100k(tmp_path, "val")[0]["mask"].tolist() == [[18, 255]]


# --- Mapillary Vistas


@pytest.mark.parametrize(
    ("name", "train_class"),
    [
        ("construction--flat--road", "road"),
        ("marking--general", "road"),
        ("marking--discrete--arrow--left", "road"),
        ("marking-only--continuous--dashed", "road"),
        ("marking-only--discrete--other-marking", "road"),
        ("marking-only--discrete--text", "road"),
        ("human--person", "person"),
        ("human--person--individual", "person"),
        ("human--rider--motorcyclist", "rider"),
        ("object--traffic-light--general-upright", "traffic light"),
        ("object--support--utility-pole", "pole"),
        ("object--vehicle--on-rails", "train"),
    ],
)
def test_vistas_names_that_train(name, train_class):
    assert train_id_of_vistas_name(name) == TRAIN_ID[train_class]


@pytest.mark.parametrize(
    "name",
    [
        "marking--crosswalk-zebra",
        "marking--discrete--crosswalk-zebra",
        "marking-only--discrete--crosswalk-zebra",
        "object--traffic-sign--back",
        "object--vehicle--caravan",
        "construction--flat--parking",
        "void--unlabeled",
        "a name of some later version",
    ],
)
def test_vistas_names_that_count_nowhere(name):
    assert train_id_of_vistas_name(name) == 255


@pytest.mark.parametrize(
    ("reader", "config", "label_folder"),
    [
        (Mapillary, "config.json", "labels"),
        (Mapillary, "config_v1.2.json", "v1.2/labels"),
        (MapillaryV2, "config_v2.0.json", "v2.0/labels"),
    ],
)
def test_vistas_ids_follow_the_order_in_its_config(reader, config, label_folder, tmp_path):
    names = ["void--unlabeled", "nature--sky", "object--vehicle--car"]
    (tmp_path / config).write_text(json.dumps({"labels": [{"name": name} for name in names]}))
    save_image(tmp_path / "validation" / "images" / "x.jpg", (3, 1))
    save(tmp_path / "validation" / label_folder / "x.png", [[0, 1, 2]])
    assert reader(tmp_path, "val")[0]["mask"].tolist() == [[255, TRAIN_ID["sky"], TRAIN_ID["car"]]]


@pytest.mark.parametrize("content", ["{", "{}", '{"labels": []}', '{"labels": [{"name": "cat"}]}'])
def test_vistas_unusable_config(content, open_fakes):
    dataset = open_fakes("mapillary")
    (dataset.root / "config_v1.2.json").write_text(content)
    with pytest.raises(UnreadableFileError, match=r"config_v1\.2\.json"):
        Mapillary(dataset.root, "train")


def test_vistas_2_is_not_read_from_a_copy_of_version_1(open_fakes):
    root = open_fakes("mapillary").root
    (root / "config_v1.2.json").rename(root / "config.json")
    assert len(Mapillary(root, "train")) == 3
    with pytest.raises(DataMissingError, match=r"config_v2\.0\.json"):
        MapillaryV2(root, "train")


def test_vistas_without_config(open_fakes):
    dataset = open_fakes("mapillary_v2")
    (dataset.root / "config_v2.0.json").unlink()
    with pytest.raises(DataMissingError, match=r"config_v2\.0\.json: no such file"):
        MapillaryV2(dataset.root, "train")


# --- IDD


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("ids", [0, 1, 12, 35, 33], [0, 255, 13, 255, 10]),
        ("level3Ids", [0, 1, 9, 255, 25], [0, 255, 13, 255, 10]),
        ("csTrainIds", [0, 255, 13, 255, 10], [0, 255, 13, 255, 10]),
    ],
)
def test_idd_reads_each_kind_of_label_file(kind, raw, expected, tmp_path):
    save_image(tmp_path / "leftImg8bit" / "val" / "201" / "frame0001_leftImg8bit.jpg", (5, 1))
    save(tmp_path / "gtFine" / "val" / "201" / f"frame0001_gtFine_label{kind}.png", [raw])
    assert Idd(tmp_path, "val")[0]["mask"].tolist() == [expected]


def test_idd_maps_cover_the_classes_once():
    assert sorted(IDD_ID_TO_TRAIN_ID.values()) == list(range(19))
    assert sorted(IDD_LEVEL3_TO_TRAIN_ID.values()) == [i for i in range(19) if i != TRAIN_ID["train"]]


def test_idd_with_polygons_only_names_the_tool_that_is_missing(open_fakes):
    dataset = open_fakes("idd")
    for path in (dataset.root / "gtFine").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("_labelids.png", "_polygons.json")))
    with pytest.raises(DataMissingError, match=r"createLabels\.py"):
        Idd(dataset.root, "train")


def test_idd_frames_are_numbered_anew_in_each_drive(tmp_path):
    for drive, value in (("1", 0), ("2", 3)):
        save_image(tmp_path / "leftImg8bit" / "train" / drive / "frame0_leftImg8bit.png")
        save(tmp_path / "gtFine" / "train" / drive / "frame0_gtFine_labelids.png", [[value, value]])
    dataset = Idd(tmp_path, "train")
    assert [dataset[i]["mask"].tolist() for i in range(2)] == [[[0, 0]], [[1, 1]]]


def test_idd_lite_leaves_instance_files_alone(tmp_path):
    save_image(tmp_path / "leftImg8bit" / "val" / "9" / "024541_image.jpg", (8, 1))
    save(tmp_path / "gtFine" / "val" / "9" / "024541_label.png", [[0, 1, 2, 3, 4, 5, 6, 255]])
    save(tmp_path / "gtFine" / "val" / "9" / "024541_inst_label.png", [[9, 9, 9, 9, 9, 9, 9, 9]])
    expected = [TRAIN_ID[name] for name in ("road", "sidewalk", "person", "car", "fence", "building", "sky")]
    assert IddLite(tmp_path, "val")[0]["mask"].tolist() == [[*expected, 255]]


# --- CamVid


def test_camvid_ids(tmp_path):
    save_image(tmp_path / "val" / "a.png", (12, 1))
    save(tmp_path / "valannot" / "a.png", [list(range(12))])
    assert Camvid(tmp_path, "val")[0]["mask"].tolist() == [[10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 12, 255]]


# --- a folder of anybody's own


def test_folder_with_an_id_map_file(tmp_path):
    save_image(tmp_path / "images" / "a.jpg", (4, 1))
    save(tmp_path / "labels" / "a.png", [[1, 2, 9, 200]])
    (tmp_path / "id_map.yaml").write_text("classes: {1: road, 2: 13, 9: traffic sign}\nignore: [200]\n")
    dataset = Folder(tmp_path, "all")
    assert dataset[0]["mask"].tolist() == [[0, 13, 7, 255]]
    assert dataset.labelled_train_ids == {0, 13, 7}


def test_folder_with_subfolders_and_a_map_from_the_configuration(tmp_path):
    save_image(tmp_path / "images" / "val" / "a.png", (1, 1))
    save(tmp_path / "labels" / "val" / "a.png", [[5]])
    dataset = Folder(tmp_path, "val", id_map=IdMap(classes={5: "sky"}))
    assert dataset[0]["mask"].tolist() == [[10]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: {0: rode}", "'rode' is no class"),
        ("classes: {0: 19}", "19 is no class"),
        ("classes: {300: road}", r"0\.\.255.*300"),
        ("classes: {1: road}\nignore: [1]", "not in both"),
        ("classes: {}", "no class at all"),
        ("klasses: {1: road}", "klasses: unknown key"),
    ],
)
def test_folder_with_a_wrong_id_map(text, message, open_fakes):
    root = open_fakes("folder").root
    (root / "id_map.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        Folder(root, "all")


def test_folder_without_id_map(open_fakes):
    root = open_fakes("folder").root
    (root / "id_map.yaml").unlink()
    with pytest.raises(DataMissingError, match=r"id_map\.yaml: no such file"):
        Folder(root, "all")
