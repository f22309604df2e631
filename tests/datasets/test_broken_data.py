"""Each way a data set can be missing or broken gives one clear error, in every layout."""

import shutil

import numpy as np
import pytest
from PIL import Image

from isthmus.datasets.catalogue import DATASETS, dataset_class
from isthmus.datasets.layout import write_png16
from isthmus.errors import DataMissingError, PairMismatchError, UnknownLabelIdError, UnreadableFileError

pytestmark = pytest.mark.parametrize("name", DATASETS)


def reopen(dataset):
    return type(dataset)(dataset.root, dataset.split)


def paint(dataset, value, size_hw=(24, 32)):
    """Overwrite the first label with one raw id."""
    path = dataset.frames[0].label
    if dataset.dataset_name == "synthia":
        write_png16(path, np.full((*size_hw, 3), value, np.uint16))
    else:
        Image.fromarray(np.full(size_hw, value, np.uint8)).save(path)
    return path


def test_missing_root(name, tmp_path):
    reader = dataset_class(name)
    with pytest.raises(DataMissingError, match=f"no-such: no such folder, so {name} cannot be read"):
        reader(tmp_path / "no-such", reader.splits[0])


def test_unknown_split(name, tmp_path):
    with pytest.raises(DataMissingError, match=f"{name} has no split 'night'"):
        dataset_class(name)(tmp_path, "night")


def test_missing_image_folder(name, open_fakes):
    dataset = open_fakes(name)
    shutil.rmtree(dataset.frames[0].image.parent)
    with pytest.raises((DataMissingError, PairMismatchError)) as caught:
        reopen(dataset)
    assert str(dataset.root) in str(caught.value)


def test_missing_label_folder(name, open_fakes):
    dataset = open_fakes(name)
    shutil.rmtree(dataset.frames[0].label.parent)
    with pytest.raises((DataMissingError, PairMismatchError)) as caught:
        reopen(dataset)
    assert str(dataset.root) in str(caught.value)


def test_no_frame_at_all(name, open_fakes):
    dataset = open_fakes(name, num_frames=1)
    dataset.frames[0].image.unlink()
    dataset.frames[0].label.unlink()
    with pytest.raises(DataMissingError):
        reopen(dataset)


def test_image_without_label(name, open_fakes):
    dataset = open_fakes(name)
    dataset.frames[1].label.unlink()
    with pytest.raises(PairMismatchError, match="image has no label") as caught:
        reopen(dataset)
    assert caught.value.where == str(dataset.frames[1].image)


def test_each_lonely_file_is_collected_but_the_first_is_raised_with_their_number(name, open_fakes):
    dataset = open_fakes(name)
    for frame in dataset.frames[:2]:
        frame.label.unlink()
    problems = []
    type(dataset)(dataset.root, dataset.split, collect=problems)
    assert [problem.where for problem in problems] == [str(frame.image) for frame in dataset.frames[:2]]
    with pytest.raises(PairMismatchError, match=r"image has no label \(and 1 more\)"):
        reopen(dataset)


def test_label_without_image(name, open_fakes):
    dataset = open_fakes(name)
    dataset.frames[1].image.unlink()
    with pytest.raises(PairMismatchError, match="label has no image") as caught:
        reopen(dataset)
    assert caught.value.where == str(dataset.frames[1].label)


def test_unknown_label_id_names_file_and_id(name, open_fakes):
    dataset = open_fakes(name)
    path = paint(dataset, 200)
    with pytest.raises(UnknownLabelIdError, match=f"unknown label id 200 for {name}") as caught:
        dataset[0]
    assert caught.value.where == str(path)


def test_label_of_another_size(name, open_fakes):
    dataset = open_fakes(name)
    path = paint(dataset, 0, size_hw=(24, 30))
    with pytest.raises(PairMismatchError, match=r"label is 30x24 but image .* is 32x24") as caught:
        dataset[0]
    assert caught.value.where == str(path)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_truncated_label(name, share, open_fakes, capfd):
    dataset = open_fakes(name)
    path = dataset.frames[0].label
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableFileError) as caught:
        dataset[0]
    assert caught.value.where == str(path)
    assert capfd.readouterr().err == ""  # no decoder's own complaints


@pytest.mark.parametrize("mode", ["LA", "I;16"])
def test_a_label_of_another_kind_is_not_called_a_colour_picture(name, mode, open_fakes):
    dataset = open_fakes(name)
    Image.new(mode, (32, 24)).save(dataset.frames[0].label)
    with pytest.raises(UnreadableFileError, match="as they were published") as caught:
        dataset[0]
    assert "colour" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_truncated_image(name, share, open_fakes):
    dataset = open_fakes(name)
    path = dataset.frames[0].image
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableFileError) as caught:
        dataset[0]
    assert caught.value.where == str(path)


def test_colour_picture_in_place_of_ids(name, open_fakes):
    dataset = open_fakes(name)
    Image.new("RGB", (32, 24)).save(dataset.frames[0].label)
    with pytest.raises(UnreadableFileError, match="use the data set's id files"):
        dataset[0]


def test_label_deleted_after_listing(name, open_fakes):
    dataset = open_fakes(name)
    dataset.frames[0].label.unlink()
    with pytest.raises(DataMissingError, match="no such file"):
        dataset[0]


def test_any_damaged_byte_of_a_header_is_one_kind_of_error(name, open_fakes):
    dataset = open_fakes(name, num_frames=1)
    path = dataset.frames[0].label
    content = path.read_bytes()
    for position in range(33):  # signature and IHDR chunk
        damaged = bytearray(content)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFileError):
            dataset[0]
