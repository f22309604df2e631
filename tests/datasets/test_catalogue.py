import subprocess
import sys

import pytest
from PIL import Image

from isthmus.configuration import parse_config, to_yaml
from isthmus.datasets.catalogue import DATASETS, DatasetConfig, build_dataset, dataset_digest, describe
from isthmus.errors import ConfigurationError, DataError, DataMissingError, PairMismatchError


def test_build_from_yaml(open_fakes):
    root = open_fakes("synthia", num_frames=20).root
    text = f"dataset: synthia\nroot: {root}\nsplit: all\npart: fit\nlimit: 5\n"
    config = parse_config(text, DatasetConfig)
    assert parse_config(to_yaml(config), DatasetConfig) == config
    dataset = build_dataset(config)
    assert len(dataset) == 5
    assert dataset.dataset_name == "synthia"


def test_a_folders_id_map_from_yaml(open_fakes):
    root = open_fakes("folder", num_frames=1).root
    text = f"dataset: folder\nroot: {root}\nsplit: all\nid_map: {{classes: {{0: road, 10: sky}}, ignore: [255]}}\n"
    dataset = build_dataset(parse_config(text, DatasetConfig))
    assert dataset.labelled_train_ids == {0, 10}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("dataset: kitti", "no data set 'kitti': choose from gta5, synthia"),
        ("dataset: gta5\nlimit: 0", "limit is 0"),
        ("dataset: gta5\nid_map: {classes: {1: road}}", "id_map is for `folder`"),
        ("dataset: gta5\npart: half", "part: .*'fit' or 'holdout'"),
    ],
)
def test_wrong_configuration(lines, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_config(f"{lines}\nroot: /data\nsplit: all\n", DatasetConfig)


def test_unmatched_pairs_can_be_collected(open_fakes):
    dataset = open_fakes("gta5")
    dataset.frames[0].label.unlink()
    dataset.frames[1].image.unlink()
    problems: list[DataError] = []
    config = DatasetConfig(dataset="gta5", root=dataset.root, split="all")
    assert len(build_dataset(config, collect=problems)) == 1
    assert [type(problem) for problem in problems] == [PairMismatchError, PairMismatchError]


def test_frames_left_out_are_said_aloud(tmp_path, open_fakes, caplog):
    dataset = open_fakes("gta5")
    for folder in ("images", "labels"):
        (dataset.root / folder / "00001.png").rename(dataset.root / folder / "15188.png")
    Image.new("L", (5, 5)).save(dataset.root / "labels" / "15188.png")
    assert len(build_dataset(DatasetConfig(dataset="gta5", root=dataset.root, split="all"))) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "15188.png: known defect of GTA5, left out" in caplog.text


def test_digest_is_that_of_the_contents(open_fakes, tmp_path):
    dataset = open_fakes("cityscapes")
    digest = dataset_digest(dataset)
    assert len(digest) == 64
    moved = dataset.root.rename(tmp_path / "elsewhere")
    assert dataset_digest(type(dataset)(moved, "train")) == digest
    assert dataset_digest(type(dataset)(moved, "train", limit=2)) != digest


def test_digest_changes_with_a_label_byte(open_fakes):
    dataset = open_fakes("gta5")
    before = dataset_digest(dataset)
    label = dataset.frames[2].label
    content = bytearray(label.read_bytes())
    content[-1] ^= 1
    label.write_bytes(content)
    assert dataset_digest(dataset) != before


def test_digest_changes_with_an_images_size(open_fakes):
    dataset = open_fakes("cityscapes", split="test")
    before = dataset_digest(dataset)
    image = dataset.frames[0].image
    image.write_bytes(image.read_bytes() + b"\0")
    assert dataset_digest(dataset) != before


@pytest.mark.parametrize("name", DATASETS)
def test_docstring_states_all_facts(name):
    facts = describe(name)
    assert facts.summary
    assert "\n" in facts.layout
    assert "```" not in facts.layout
    assert all((facts.images, facts.splits, facts.label_space, facts.licence, facts.citation, facts.homepage))


def test_facts_of_gta5():
    facts = describe("gta5")
    assert facts.images == "24 966 of 1914x1052."
    assert facts.layout.splitlines()[0] == "images/00001.png … 24966.png   RGB"
    assert facts.num_classes == 19
    assert facts.citation.endswith("ECCV 2016.")


def test_the_room_opens_without_heavy_packages():
    code = (
        "import sys, isthmus.datasets as d; print(len(d.__all__), {'torch', 'cv2', 'albumentations'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["10", "set()\n"]


def test_a_folder_of_images_alone_is_a_target(open_fakes, tmp_path):
    source = open_fakes("folder", num_frames=2).root
    (source / "images").rename(tmp_path / "images")
    config = DatasetConfig(dataset="folder", root=tmp_path, split="all")
    dataset = build_dataset(config, labelled=False)
    assert len(dataset) == 2
    assert dataset.read_unlabelled(1)["name"] == "images/frame000001.png"
    assert dataset_digest(dataset)
    with pytest.raises(DataMissingError):
        build_dataset(config)
