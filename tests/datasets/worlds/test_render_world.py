"""Whole sets: real layouts, resuming, refusing, and parallel as serial."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.cityscapes import Cityscapes, CityscapesWriter
from isthmus.datasets.gta5 import Gta5
from isthmus.datasets.synthia import Synthia
from isthmus.datasets.worlds import WORLDS, Manifest, Renderer, read_manifest, render_frame, render_world
from isthmus.datasets.worlds import render as rendering
from isthmus.datasets.worlds.manifest import MANIFEST_NAME
from isthmus.errors import ConfigurationError, EnvironmentMissingError, UnreadableFileError

SIZE_HW = (64, 128)


def render(
    out: Path, *, world: str = "street", layout: str = "cityscapes", split: str = "train", **changes: int
) -> Manifest:
    request = {"num_frames": 3, "seed": 5, "workers": 1, **changes}
    return render_world(world=world, layout=layout, split=split, size_hw=SIZE_HW, out=out, progress=False, **request)


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set, made in one process."""
    out = tmp_path_factory.mktemp("serial")
    render(out)
    return out


@pytest.mark.parametrize(
    ("world", "layout", "split", "reader"),
    [
        ("arcade", "gta5", "all", Gta5),
        ("studio", "synthia", "all", Synthia),
        ("street", "cityscapes", "val", Cityscapes),
    ],
)
def test_the_ordinary_reader_gives_back_what_was_rendered(
    tmp_path: Path, renderer: Renderer, world: str, layout: str, split: str, reader: type[SegmentationDataset]
) -> None:
    render(tmp_path, world=world, layout=layout, split=split, num_frames=2)
    dataset = reader(tmp_path, split)
    assert len(dataset) == 2
    frame, sample = render_frame(renderer, WORLDS[world], split=split, seed=5, index=1), dataset[1]
    np.testing.assert_array_equal(sample["image"], frame.image)
    np.testing.assert_array_equal(sample["mask"], frame.train_ids)


def test_the_manifest_tells_the_request(serial: Path) -> None:
    manifest = read_manifest(serial)
    assert manifest is not None
    assert (manifest.world, manifest.layout, manifest.size_hw, manifest.seed) == ("street", "cityscapes", SIZE_HW, 5)
    assert list(manifest.splits) == ["train"]
    assert manifest.num_frames == 3


def test_the_manifest_names_the_driver_and_its_version(serial: Path) -> None:
    manifest = read_manifest(serial)
    assert manifest is not None
    assert re.fullmatch(r".+, OpenGL [3-9]\.\d.*", manifest.driver)


def test_several_workers_write_the_same_bytes(serial: Path, tmp_path: Path) -> None:
    render(tmp_path, workers=2)
    assert files_of(tmp_path) == files_of(serial)


def test_an_interrupted_render_goes_on_where_it_stopped(
    serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = CityscapesWriter.write

    def counted(self: CityscapesWriter, index: int, *frame: np.ndarray) -> str:
        if len(written) == 2 and index == 2:
            raise KeyboardInterrupt
        written.append(index)
        return write(self, index, *frame)

    monkeypatch.setattr(CityscapesWriter, "write", counted)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path)
    with pytest.raises(ConfigurationError, match="3 frames, not 2"):
        render(tmp_path, num_frames=2)
    written.append(-1)
    render(tmp_path)
    assert written == [0, 1, -1, 2]
    assert files_of(tmp_path) == files_of(serial)


def test_a_killed_worker_is_told_and_the_render_goes_on_when_made_again(
    serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "_work", os._exit)  # the process is gone as if the kernel had taken it
        with pytest.raises(EnvironmentMissingError, match=r"ended before its frame .* Use fewer workers") as caught:
            render(tmp_path, workers=2)
    assert caught.value.where == str(tmp_path)
    render(tmp_path)
    assert files_of(tmp_path) == files_of(serial)


def test_a_journal_line_cut_short_is_rendered_again(
    serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CityscapesWriter, "write", refuse)
        with pytest.raises(KeyboardInterrupt):
            render(tmp_path)
    (tmp_path / ".train.frames.jsonl").write_text('{"index": 0, "dig')
    render(tmp_path)
    assert files_of(tmp_path) == files_of(serial)


def test_a_finished_set_is_not_rendered_again(serial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(CityscapesWriter, "write", refuse)
    assert render(serial) == read_manifest(serial)


def test_splits_of_one_set_stand_side_by_side(serial: Path, tmp_path: Path) -> None:
    render(tmp_path, split="val", num_frames=1)
    manifest = render(tmp_path, num_frames=1)
    assert sorted(manifest.splits) == ["train", "val"]
    assert manifest.splits["train"].digest != manifest.splits["val"].digest


@pytest.mark.parametrize("changes", [{"seed": 6}, {"world": "arcade"}, {"num_frames": 4}])
def test_another_request_into_the_same_folder_is_refused(serial: Path, changes: dict[str, int]) -> None:
    before = files_of(serial)
    with pytest.raises(ConfigurationError, match="new folder"):
        render(serial, **changes)
    assert files_of(serial) == before


def test_another_split_with_another_seed_is_told_the_right_one(serial: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"seed is 5 there and 6 now\. Render split val with seed 5 too"):
        render(serial, split="val", seed=6)
    with pytest.raises(ConfigurationError, match=r"seed is 5 there and 6 now\. Render into a new folder"):
        render(serial, seed=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": "moon"}, "Choose from arcade, studio, street"),
        ({"layout": "moon"}, "no layout 'moon'"),
        ({"split": "moon"}, "no split 'moon'"),
        ({"num_frames": 0}, "num_frames is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_wrong_arguments_are_named(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        render(tmp_path / "set", **changes)
    assert not (tmp_path / "set" / MANIFEST_NAME).exists()


@pytest.mark.parametrize("inside", [".", "deeper"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot hold a data set") as caught:
        render(tmp_path / "file" / inside, num_frames=1)
    assert caught.value.where == str(tmp_path / "file" / inside)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text("{}")
    with pytest.raises(UnreadableFileError, match="damaged manifest"):
        render(tmp_path)
