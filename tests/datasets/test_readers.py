import numpy as np
import pytest

from isthmus.datasets.base import FramePaths, select_part
from isthmus.datasets.catalogue import DATASETS, dataset_class, layout_writer
from isthmus.datasets.fakes import write_fakes
from isthmus.errors import ConfigurationError, DataMissingError


def test_every_data_set_has_a_reader_and_a_writer():
    assert len(DATASETS) == 10
    assert all(dataset_class(name).dataset_name == name for name in DATASETS)
    assert all(layout_writer(name).dataset_name == name for name in DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_reads_back_what_its_writer_wrote(name, tmp_path):
    reader = dataset_class(name)
    writer = layout_writer(name)(tmp_path, reader.splits[0])
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 256, (20, 30, 1), np.uint8), 3, axis=2)
    mask = rng.choice([*range(19), 255], (20, 30)).astype(np.uint8)
    instances = rng.integers(0, 60000, (20, 30)).astype(np.uint16)
    name_in_set = writer.write(0, image, mask, instances)
    writer.finish()

    dataset = reader(tmp_path, reader.splits[0])
    assert len(dataset) == 1
    sample = dataset[0]
    assert sample["name"] == name_in_set
    assert sample["image"].dtype == sample["mask"].dtype == np.uint8
    if name == "synthia":  # has no terrain, truck and train
        mask[np.isin(mask, [9, 14, 16])] = 255
    assert np.array_equal(reader.label_space.fold(sample["mask"]), reader.label_space.fold(mask))
    assert np.abs(sample["image"].astype(int) - image).max() <= (40 if name_in_set.endswith(".jpg") else 0)


@pytest.mark.parametrize("name", DATASETS)
def test_labels_hold_only_what_the_reader_promises(name, open_fakes):
    dataset = open_fakes(name)
    seen = {int(i) for index in range(len(dataset)) for i in np.unique(dataset[index]["mask"])}
    assert seen - {255} <= dataset.labelled_train_ids


@pytest.mark.parametrize("name", DATASETS)
def test_frames_are_sorted_and_limited(name, open_fakes):
    dataset = open_fakes(name, num_frames=4)
    names = [frame.name for frame in dataset.frames]
    assert len(names) == 4
    assert names == sorted(names)
    limited = dataset_class(name)(dataset.root, dataset.split, limit=2)
    assert [frame.name for frame in limited.frames] == names[:2]


@pytest.mark.parametrize("name", ["cityscapes", "bdd100k", "mapillary", "mapillary_v2", "idd", "idd_lite"])
def test_test_splits_have_images_only(name, open_fakes):
    dataset = open_fakes(name, split="test", num_frames=1)
    assert dataset.read_unlabelled(0)["image"].shape == (24, 32, 3)
    with pytest.raises(DataMissingError, match="split 'test' has no labels"):
        dataset[0]


@pytest.mark.parametrize("name", DATASETS)
def test_unlabelled_reading_leaves_label_files_alone(name, open_fakes):
    dataset = open_fakes(name, num_frames=1)
    assert dataset.frames[0].label is not None
    dataset.frames[0].label.unlink()
    assert dataset.read_unlabelled(0)["name"] == dataset.frames[0].name


def test_fakes_are_the_same_bytes_for_the_same_seed(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_fakes("gta5", tmp_path / folder, "all", num_frames=1, size_hw=(8, 8), seed=seed)
    a, b, c = ((tmp_path / folder / "images" / "00001.png").read_bytes() for folder in "abc")
    assert a == b != c


def test_writers_leave_no_temporary_files(tmp_path):
    write_fakes("cityscapes", tmp_path, "train", num_frames=2, size_hw=(8, 8), seed=0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6  # image, label ids and instance ids of two frames
    assert not [path for path in files if path.suffix != ".png"]


def test_half_written_files_are_not_listed(open_fakes):
    dataset = open_fakes("gta5", num_frames=1)
    (dataset.root / "images" / ".00002.png.77.tmp").write_bytes(b"half")
    (dataset.root / "images" / ".00002.png").write_bytes(b"half")
    assert len(dataset_class("gta5")(dataset.root, "all")) == 1


def test_unknown_layout_and_split():
    with pytest.raises(ConfigurationError, match="no layout 'kitti'"):
        layout_writer("kitti")
    with pytest.raises(ConfigurationError, match="no data set 'kitti'"):
        dataset_class("kitti")
    with pytest.raises(ConfigurationError, match="the gta5 layout has no split 'train'"):
        layout_writer("gta5")("unused", "train")


def frames(count):
    return [FramePaths(name=f"{i:03d}", image=None, label=None) for i in range(count)]


def held_out(count):
    return [int(frame.name) for frame in select_part(frames(count), "holdout")]


def test_parts_are_blocks():
    # 40 frames are 20 blocks of 2: the 10th holds 18 and 19, the 20th 38 and 39.
    assert held_out(40) == [18, 19, 38, 39]
    assert held_out(10) == [9]
    assert held_out(9) == []


@pytest.mark.parametrize("count", [10, 33, 184, 1000])
def test_parts_divide_the_split(count):
    fit = [int(frame.name) for frame in select_part(frames(count), "fit")]
    assert sorted([*fit, *held_out(count)]) == list(range(count))
    assert len(held_out(count)) == pytest.approx(count / 10, rel=0.5)


def test_a_part_without_frames_is_an_error(open_fakes):
    dataset = open_fakes("synthia", num_frames=3)
    with pytest.raises(DataMissingError, match="part 'holdout' of synthia split 'all' is empty"):
        dataset_class("synthia")(dataset.root, "all", part="holdout")
