"""Style images on disk: whose they are, how they are kept, and what can be wrong with them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.datasets.layout import write_jpeg, write_png
from isthmus.datasets.worlds.styles import render_styles
from isthmus.errors import DataMissingError, UnreadableFileError
from isthmus.training.randomization.styles.images import MAX_PIXELS, StyleImages, deal_images, dealing_to_know

CPU = torch.device("cpu")


def fill(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_png(folder / name, np.full((4, 6, 3), number, np.uint8))
    return folder


def names(dealt: list[list[Path]], folder: Path) -> list[list[str]]:
    return [[path.relative_to(folder).as_posix() for path in one] for one in dealt]


def test_files_are_dealt_in_turns(tmp_path: Path) -> None:
    fill(tmp_path, "c.png", "a.PNG", "b.png", "e.png", "d.png")
    assert names(deal_images(tmp_path, 2, 16), tmp_path) == [["a.PNG", "c.png", "e.png"], ["b.png", "d.png"]]


def test_each_domain_owns_a_subfolder_where_there_are_enough(tmp_path: Path) -> None:
    fill(tmp_path, "loose.png", "x/1.png", "y/1.png", "y/deep/2.png", "z/1.png")
    (tmp_path / "empty").mkdir()
    assert names(deal_images(tmp_path, 2, 16), tmp_path) == [["x/1.png"], ["y/1.png", "y/deep/2.png"]]


def test_too_few_subfolders_are_one_stock(tmp_path: Path) -> None:
    fill(tmp_path, "x/1.png", "x/2.png", "y/1.png", "y/2.png")
    assert names(deal_images(tmp_path, 3, 16), tmp_path) == [["x/1.png", "y/2.png"], ["x/2.png"], ["y/1.png"]]


def test_more_domains_own_more_images(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{number:02d}.png" for number in range(20)))
    assert [sum(map(len, deal_images(tmp_path, owners, 4))) for owners in (1, 3, 5)] == [4, 12, 20]
    assert names(deal_images(tmp_path, 1, 4), tmp_path) == [["00.png", "05.png", "10.png", "15.png"]]


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", ".b.png")
    (tmp_path / "notes.txt").touch()
    assert names(deal_images(tmp_path, 1, 16), tmp_path) == [["a.png"]]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"nowhere: no such folder of style images.*isthmus worlds styles"):
        deal_images(tmp_path / "nowhere", 1, 16)


def test_too_few_images_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    with pytest.raises(
        DataMissingError, match=r"method\.styles\.images: .*: 1 style images for 2 domains.*fewer domains"
    ):
        deal_images(tmp_path, 2, 16)


def test_a_folder_without_images_asks_for_no_fewer_domains(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataMissingError) as caught:
        deal_images(tmp_path, 2, 16)
    assert str(caught.value) == (
        f"method.styles.images: {tmp_path}: no style images here. Put PNG or JPEG files there, at least 2, or name "
        "another folder in method.styles.images."
    )


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (1, "3 subfolders for 1 domains that need images: y and all after it not used"),
        (2, "3 subfolders for 2 domains that need images: z not used"),
        (4, "3 subfolders for 4 domains that need images: each domain mixes them all"),
    ],
)
def test_subfolders_that_are_not_one_a_domain_are_said(tmp_path: Path, owners: int, said: str) -> None:
    fill(tmp_path, "loose.png", "x/1.png", "y/1.png", "y/2.png", "z/1.png")
    (tmp_path / "empty").mkdir()
    assert dealing_to_know(tmp_path, owners) == f"method.styles.images: {said}"


def test_subfolders_of_one_each_or_none_are_nothing_to_say(tmp_path: Path) -> None:
    assert dealing_to_know(fill(tmp_path / "flat", "a.png", "b.png"), 2) is None
    assert dealing_to_know(fill(tmp_path / "looks", "x/1.png", "y/1.png"), 2) is None
    assert dealing_to_know(tmp_path / "nowhere", 2) is None


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableFileError, match=r"a\.png: no readable image"):
        StyleImages(tmp_path, [tmp_path / "a.png"], CPU)


def test_large_images_are_kept_small(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", np.full((400, 1600, 3), 128, np.uint8))
    images = StyleImages(tmp_path, [tmp_path / "a.jpg"], CPU)
    (kept,) = images._pixels
    assert kept.dtype == torch.uint8
    assert kept.shape == (3, 128, 512)
    assert kept.shape[1] * kept.shape[2] <= MAX_PIXELS


@pytest.mark.parametrize("size_hw", [(8, 8), (5, 40), (40, 5), (100, 120)])
def test_draws_cover_the_frame_with_a_part_of_one_image(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    write_png(tmp_path / "a.png", np.full((20, 30, 3), 51, np.uint8))
    write_png(tmp_path / "b.png", np.full((31, 17, 3), 204, np.uint8))
    images = StyleImages(tmp_path, [tmp_path / "a.png", tmp_path / "b.png"], CPU)
    drawn = images.draw(16, size_hw, np.random.default_rng(0))
    assert drawn.shape == (16, 3, *size_hw)
    levels = {round(float(one.mean()), 3) for one in drawn}
    assert levels == {0.2, 0.8}
    assert (drawn.amax((1, 2, 3)) - drawn.amin((1, 2, 3))).max() < 1e-4


def test_the_place_of_the_cut_is_drawn(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (16, 64, 3))
    write_png(tmp_path / "a.png", np.ascontiguousarray(ramp))
    drawn = StyleImages(tmp_path, [tmp_path / "a.png"], CPU).draw(8, (16, 16), np.random.default_rng(0))
    assert len({float(one[0, 0, 0]) for one in drawn}) > 4
    # A cut at column c begins at 4 c / 255: cut, not squeezed.
    starts = drawn[:, 0, 0, 0] * 255 / 4
    torch.testing.assert_close(starts, starts.round(), atol=1e-3, rtol=0)
    torch.testing.assert_close(drawn[:, 0, 0, 15] - drawn[:, 0, 0, 0], torch.full((8,), 15 * 4 / 255))


def test_what_the_worlds_make_can_be_used(tmp_path: Path) -> None:
    render_styles(out=tmp_path, num_images=4, size_hw=(32, 48), seed=1)
    (owned, _) = deal_images(tmp_path, 2, 16)
    described = StyleImages(tmp_path, owned, CPU).describe()
    assert [one["path"] for one in described] == ["00000-clouds.jpg", "00002-mosaic.jpg"]
    assert described[0]["sha256"] == hashlib.sha256((tmp_path / "00000-clouds.jpg").read_bytes()).hexdigest()
