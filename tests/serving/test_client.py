"""The client, and pictures on disk through it."""

import re
import socket

import cv2
import numpy as np
import pytest

from isthmus import cli
from isthmus.errors import (
    ConfigurationError,
    FrameDroppedError,
    FrameExpiredError,
    InvalidFrameError,
    OverloadedError,
    ServingError,
)
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import AsyncSegmentationClient, SegmentationClient, overlay
from isthmus.serving.codec import MaskFormat
from isthmus.serving.segment_files import find_images, left_out, segment_paths


@pytest.fixture
def client(address):
    with SegmentationClient(address) as client:
        yield client


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("mask_format", list(MaskFormat))
def test_array_in_mask_out(client, tiny, mask_format):
    image = tiny.street()
    result = client.segment(image, mask_format=mask_format)
    np.testing.assert_array_equal(result.mask, tiny.expected_labels(image))
    np.testing.assert_array_equal(result.confidence, np.full((24, 32), 200))
    assert (result.model_version, result.label_space_id) == ("file", "0123456789ab")
    assert sum(result.class_fractions) == pytest.approx(1 - np.mean(result.mask == 255))
    assert result.timings.infer_us > 0


def test_file_bytes_in(client, tiny):
    image = tiny.street()
    np.testing.assert_array_equal(client.segment(tiny.png(image)).mask, tiny.expected_labels(image))


def test_model_info(client):
    info = client.model_info()
    assert [(item.name, item.color) for item in info.classes] == [("red", (255, 0, 0)), ("other", (0, 128, 255))]
    assert info.palette[[0, 1, 2, 255]].tolist() == [[255, 0, 0], [0, 128, 255], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), b"GIF89a"])
def test_other_images_are_refused_here(client, image):
    with pytest.raises(InvalidFrameError, match="image"):
        client.segment(image)


def test_server_errors_keep_their_class(client, tiny):
    with pytest.raises(InvalidFrameError, match="truncated"):
        client.segment(tiny.png(tiny.street())[:-1])


def test_expired_frame(client, tiny):
    with pytest.raises(FrameExpiredError, match="frame 9 expired"):
        client.segment(tiny.street(), sequence_number=9, max_age_s=1e-9)


def test_verdict_of_a_newer_server(client, tiny, monkeypatch):
    answer = pb.SegmentResponse(result=pb.FrameResult(verdict=7, reason="a newer frame came"))
    monkeypatch.setattr(client._stub, "Segment", lambda request, timeout: answer)
    with pytest.raises(FrameDroppedError, match="frame 9 has verdict 7: a newer frame came"):
        client.segment(tiny.street(), sequence_number=9)


def test_nobody_listens(nobody, tiny):
    with SegmentationClient(nobody) as client, pytest.raises(ServingError, match=r"no server answers.*isthmus serve"):
        client.segment(tiny.street())


def test_nobody_listens_and_nothing_is_made(nobody, tiny, tmp_path):
    (tmp_path / "a.png").write_bytes(tiny.png(tiny.street()))
    with pytest.raises(ServingError, match="no server answers"):
        segment_paths([tmp_path], nobody, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_overlay_keeps_unlabelled_pixels():
    image = np.full((1, 2, 3), 100, np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = (200, 0, 50)
    assert overlay(image, np.array([[1, 255]], np.uint8), palette).tolist() == [[[150, 50, 75], [100, 100, 100]]]


def test_folder_to_masks_and_overlays(address, tiny, tmp_path):
    source = tmp_path / "frames"
    source.mkdir()
    images = {name: tiny.street(seed=seed) for seed, name in enumerate("ab")}
    for name, image in images.items():
        (source / f"{name}.png").write_bytes(tiny.png(image))
    (source / "notes.txt").write_text("not a picture")
    results = segment_paths([source], address, tmp_path / "out", show_progress=False)
    assert results.failures == ()
    assert [item.image.name for item in results.made] == ["a.png", "b.png"]
    for result in results.made:
        image = images[result.image.stem]
        expected = tiny.expected_labels(image)
        mask = cv2.imread(str(result.mask), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, expected)
        drawn = cv2.imread(str(result.overlay), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(drawn[expected == 255], image[expected == 255])
        red = expected == 0
        np.testing.assert_allclose(drawn[red].mean(0), (image[red].mean(0) + np.array([255, 0, 0])) / 2, atol=1)


def test_unreadable_pictures_are_named_and_the_others_done(address, tmp_path, tiny):
    source = tmp_path / "frames"
    source.mkdir()
    whole = tiny.png(tiny.street())
    for name, data in {"a": whole, "cut": whole[:-1], "text": b"no picture", "z": whole}.items():
        (source / f"{name}.png").write_bytes(data)
    done = segment_paths([source], address, tmp_path / "out", show_progress=False)
    assert [item.image.stem for item in done.made] == ["a", "z"]
    cut, text = done.failures
    assert isinstance(cut, InvalidFrameError)
    assert re.search(r"cut\.png: .*truncated", str(cut))
    assert "text.png: " in str(text)


def test_the_verb_goes_on_and_fails_in_the_end(address, tmp_path, tiny, capsys):
    source = tmp_path / "frames"
    (source / "inner").mkdir(parents=True)
    (source / "a.png").write_bytes(tiny.png(tiny.street()))
    verb = ["segment", str(source), "--server", address, "--out", str(tmp_path / "out")]
    cli.main(verb)
    told = capsys.readouterr()
    assert told.out.endswith(f"1 mask in {tmp_path / 'out' / 'masks'}, overlay in {tmp_path / 'out' / 'overlays'}\n")
    assert "left out in folders: 1 folder." in told.err
    for name in "bc":
        (source / f"{name}.jpg").write_text("no picture")
    with pytest.raises(SystemExit) as caught:
        cli.main(verb)
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert "1 mask in" in told.out
    assert "error: 2 inputs got no mask:\n" in told.err
    assert all(f"  {source / name}.jpg: " in told.err for name in "bc")


def test_every_error_names_its_picture(address, tmp_path, tiny, monkeypatch):
    def full(self, data):
        raise OverloadedError("8 requests are in flight already")

    monkeypatch.setattr(SegmentationClient, "segment", full)
    (tmp_path / "a.png").write_bytes(tiny.png(tiny.street()))
    with pytest.raises(OverloadedError, match=r"a\.png: 8 requests"):
        segment_paths([tmp_path], address, tmp_path / "out", show_progress=False)


def test_find_images_refuses(tmp_path):
    with pytest.raises(InvalidFrameError, match=r"holds no JPEG or PNG file$"):
        find_images([tmp_path])
    (tmp_path / "val").mkdir()
    for name in ("a.mp4", "b.MKV", "x.txt", ".hidden"):
        (tmp_path / name).touch()
    assert left_out([tmp_path, tmp_path / "x.txt"]) == "2 videos, 1 other file and 1 folder"
    with pytest.raises(InvalidFrameError, match=r"PNG file, but 2 videos, 1 other file and 1 folder\. Name videos"):
        find_images([tmp_path])
    with pytest.raises(InvalidFrameError, match=r"missing\.png: no such file"):
        find_images([tmp_path / "missing.png"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidFrameError, match="is no folder"):
        find_images([tmp_path / "notes.txt"])
    (tmp_path / "a.png").touch()
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InvalidFrameError, match="same mask"):
        find_images([tmp_path])


@pytest.mark.parametrize("image", ["frame.jpg", None])
def test_a_path_or_nothing_is_no_picture(image):
    with (
        SegmentationClient("127.0.0.1:1") as client,
        pytest.raises(InvalidFrameError, match=r"is no picture.*a file's bytes"),
    ):
        client.segment(image)


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan")])
async def test_a_timeout_is_positive(timeout_s):
    for kind in (SegmentationClient, AsyncSegmentationClient):
        with pytest.raises(ConfigurationError, match=r"timeout_s: .* is no positive number of seconds"):
            kind("127.0.0.1:1", timeout_s=timeout_s)
