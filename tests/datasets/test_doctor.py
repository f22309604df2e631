import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from isthmus.datasets.catalogue import DATASETS, DatasetConfig
from isthmus.datasets.doctor import examine
from isthmus.errors import ConfigurationError


def config_of(dataset):
    return DatasetConfig(dataset=dataset.dataset_name, root=dataset.root, split=dataset.split)


def printed(report):
    console = Console(file=io.StringIO(), width=200)
    report.render(console)
    return console.file.getvalue()


@pytest.mark.parametrize("name", DATASETS)
def test_fakes_are_healthy(name, open_fakes):
    report = examine(config_of(open_fakes(name)))
    assert report.ok, report.problems
    assert (report.num_frames, report.num_examined, report.num_labelled) == (3, 3, 3)
    assert report.image_sizes == {"32x24": 3}
    assert sum(share.pixel_share for share in report.classes) == pytest.approx(1)
    assert report.ignored_share >= 1 / 32  # the unlabelled left column
    assert "No problem found." in printed(report)


def test_counts_by_hand(tmp_path):
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
    for name, ids in (("a", [0, 0, 0, 11]), ("b", [0, 3, 11, 11])):
        Image.new("RGB", (4, 1)).save(tmp_path / "val" / f"{name}.png")
        Image.fromarray(np.array([ids], np.uint8)).save(tmp_path / "valannot" / f"{name}.png")
    report = examine(DatasetConfig(dataset="camvid", root=tmp_path, split="val"))
    assert [(row.raw_id, row.meaning, row.pixels, row.frames) for row in report.raw_ids] == [
        (0, "sky", 4, 2),
        (3, "road", 1, 1),
        (11, "ignored", 3, 2),
    ]
    shares = {share.name: (share.pixel_share, share.frame_share) for share in report.classes}
    assert shares["sky"] == (0.8, 1.0)
    assert shares["road"] == (0.2, 0.5)
    assert shares["car"] == (0.0, 0.0)
    assert report.ignored_share == 3 / 8


def test_finds_every_defect_at_once(open_fakes):
    dataset = open_fakes("camvid", num_frames=7)
    frames = dataset.frames
    frames[0].label.write_bytes(frames[0].label.read_bytes()[:60])
    frames[1].image.write_bytes(frames[1].image.read_bytes()[:200])
    Image.fromarray(np.full((24, 32), 99, np.uint8)).save(frames[2].label)
    Image.fromarray(np.zeros((10, 32), np.uint8)).save(frames[3].label)
    frames[4].label.unlink()
    frames[5].image.unlink()

    report = examine(config_of(dataset))
    assert not report.ok
    assert (report.num_frames, report.num_labelled) == (5, 4)
    found = {(problem.kind, problem.where) for problem in report.problems}
    assert found == {
        ("UnreadableFileError", str(frames[0].label)),
        ("UnreadableFileError", str(frames[1].image)),
        ("UnknownLabelIdError", str(frames[2].label)),
        ("PairMismatchError", str(frames[3].label)),
        ("PairMismatchError", str(frames[4].image)),
        ("PairMismatchError", str(frames[5].label)),
    }
    assert (99, "unknown") in {(row.raw_id, row.meaning) for row in report.raw_ids}
    assert "unknown label id 99" in printed(report)
    assert "6 problems." in printed(report)


def test_a_missing_root_is_one_problem(tmp_path):
    report = examine(DatasetConfig(dataset="gta5", root=tmp_path / "nowhere", split="all"))
    assert [(problem.kind, problem.where) for problem in report.problems] == [
        ("DataMissingError", str(tmp_path / "nowhere"))
    ]
    assert "Check the `root`" in printed(report)


def test_brackets_in_paths_are_printed(tmp_path):
    report = examine(DatasetConfig(dataset="gta5", root=tmp_path / "[bold]", split="all"))
    assert f"gta5 all at {tmp_path}/[bold]" in printed(report)
    assert str(report.problems[0].where) in printed(report)


def test_known_defects_are_shown_but_no_problem(open_fakes):
    dataset = open_fakes("gta5")
    for folder in ("images", "labels"):
        (dataset.root / folder / "00001.png").rename(dataset.root / folder / "15188.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(dataset.root / "labels" / "15188.png")
    report = examine(config_of(dataset))
    assert report.ok
    assert report.num_frames == 2
    assert [problem.where for problem in report.refused] == [str(dataset.root / "images" / "15188.png")]
    assert "Left out: known defects" in printed(report)


def test_frames_are_spread_over_the_split(open_fakes):
    dataset = open_fakes("synthia", num_frames=9)
    dataset.frames[6].image.write_bytes(b"")
    report = examine(dataset, max_frames=3)  # frames 0, 3 and 6
    assert (report.num_frames, report.num_examined) == (9, 3)
    assert [problem.where for problem in report.problems] == [str(dataset.frames[6].image)]


@pytest.mark.parametrize("max_frames", [0, -3])
def test_no_frame_to_examine_is_refused(max_frames, open_fakes):
    with pytest.raises(ConfigurationError, match=f"max_frames is {max_frames}"):
        examine(open_fakes("camvid"), max_frames=max_frames)


def test_nothing_examined_is_a_problem(open_fakes):
    dataset = open_fakes("camvid")
    dataset.frames = ()
    report = examine(dataset)
    assert [problem.problem for problem in report.problems] == ["no frame was examined"]
    assert not report.ok


def test_the_header_names_part_and_limit(open_fakes):
    dataset = open_fakes("synthia", num_frames=20)
    config = DatasetConfig(dataset="synthia", root=dataset.root, split="all", part="fit", limit=5)
    report = examine(config)
    assert (report.to_tree()["part"], report.to_tree()["limit"]) == ("fit", 5)
    assert printed(report).startswith("synthia all, part fit, first 5 frames at ")
    assert examine(DatasetConfig(dataset="camvid", root=dataset.root, split="val", limit=7)).limit == 7


def test_unlabelled_split(open_fakes):
    report = examine(open_fakes("cityscapes", split="test"))
    assert report.ok
    assert report.num_labelled == 0
    assert report.classes == ()


def test_tree_is_json(open_fakes):
    tree = json.loads(json.dumps(examine(open_fakes("bdd100k")).to_tree()))
    assert tree["ok"] is True
    assert tree["image_sizes"] == {"32x24": 3}
    assert {"name": "train", "pixel_share": tree["classes"][16]["pixel_share"]}.items() <= tree["classes"][16].items()


def test_progress_is_drawn_where_asked(open_fakes):
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    examine(open_fakes("gta5"), progress=console)
    assert "examining" in console.file.getvalue()
