"""No frame that a run is judged on may be in the pool that it adapts to."""

import shutil
from pathlib import Path

import pytest

from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.fakes import write_fakes
from isthmus.datasets.shards.packing import pack_dataset
from isthmus.errors import ConfigurationError
from isthmus.training.target_pool import check_styles_apart, check_target_apart


def opened(root: Path, split: str, dataset: str = "camvid", *, labelled: bool = True):
    return build_dataset(DatasetConfig(dataset=dataset, root=root, split=split), labelled=labelled)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camvid")
    for seed, split in enumerate(("train", "val")):
        write_fakes("camvid", root, split, num_frames=3, size_hw=(32, 48), seed=seed)
    return root


def test_another_split_is_apart(camvid: Path) -> None:
    check_target_apart(opened(camvid, "train", labelled=False), [("camvid/val", opened(camvid, "val"))])


def test_the_same_files_are_found(camvid: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"target: the target holds 3 of the frames of camvid/val.*val.*png"):
        check_target_apart(opened(camvid, "val", labelled=False), [("camvid/val", opened(camvid, "val"))])


@pytest.mark.parametrize("split", ["val", "test"])
def test_splits_that_others_judge_by_are_refused_whatever_this_run_is_judged_on(tmp_path: Path, split: str) -> None:
    write_fakes("camvid", tmp_path, split, num_frames=1, size_hw=(32, 48), seed=0)
    with pytest.raises(ConfigurationError, match=f"target: the target is split {split} of camvid.*train split"):
        check_target_apart(opened(tmp_path, split, labelled=False), [])


def test_a_folder_of_ones_own_may_call_its_splits_as_it_likes(tmp_path: Path) -> None:
    write_fakes("folder", tmp_path, "val", num_frames=1, size_hw=(32, 48), seed=0)
    check_target_apart(opened(tmp_path, "val", "folder", labelled=False), [])


def test_a_copy_under_another_name_is_found_by_its_content(camvid: Path, tmp_path: Path) -> None:
    shutil.copytree(camvid, tmp_path, dirs_exist_ok=True)
    image = sorted((camvid / "val").iterdir())[0]
    some = sorted((tmp_path / "train").iterdir())[0]
    shutil.copy(image, some)
    with pytest.raises(ConfigurationError, match="holds 1 of the frames"):
        check_target_apart(opened(tmp_path, "train", labelled=False), [("camvid/val", opened(camvid, "val"))])


def test_packed_frames_are_known_by_their_origin(camvid: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        pack_dataset(
            DatasetConfig(dataset="camvid", root=camvid, split=split),
            tmp_path,
            labelled=False,
            frames_per_shard=None,
            base_url=None,
            workers=1,
            progress=None,
        )
    judged = [("camvid/val", opened(camvid, "val"))]
    check_target_apart(opened(tmp_path, "train", "shards", labelled=False), judged)
    with pytest.raises(ConfigurationError, match="holds 3 of the frames of camvid/val"):
        check_target_apart(opened(tmp_path, "val", "shards", labelled=False), judged)


def test_style_images_are_no_judged_frames(camvid: Path, tmp_path: Path) -> None:
    judged = [("camvid/val", opened(camvid, "val"))]
    check_styles_apart((camvid / "train").iterdir(), judged)
    copied = shutil.copy(next((camvid / "val").iterdir()), tmp_path / "style.png")
    with pytest.raises(ConfigurationError, match=r"styles\.images: .* hold 1 of the frames of camvid/val"):
        check_styles_apart([Path(copied)], judged)
