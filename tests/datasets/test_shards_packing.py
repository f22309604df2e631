"""Packing: what goes into shards, that it is the same each time, and that an interruption costs one shard."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.cli.data import pack
from isthmus.datasets.catalogue import DATASETS, DatasetConfig, dataset_digest
from isthmus.datasets.doctor import examine
from isthmus.datasets.fakes import write_fakes
from isthmus.datasets.shards import Shards, journal, packing, read_index
from isthmus.datasets.shards.journal import claimed
from isthmus.datasets.shards.packing import pack_dataset
from isthmus.datasets.shards.reading import key_and_suffix, name_of
from isthmus.errors import ConfigurationError, DataError, DataMissingError, UnknownLabelIdError, UnreadableFileError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def camvid(open_fakes) -> DatasetConfig:
    files = open_fakes("camvid", num_frames=8)
    return DatasetConfig(dataset="camvid", root=files.root, split=files.split)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_reads_the_same_from_shards(name, pack_fakes):
    files, shards = pack_fakes(name, num_frames=4)
    assert len(shards) == len(files) == 4
    packed = {sample["name"]: sample for sample in (shards[i] for i in range(4))}
    for sample in (files[i] for i in range(4)):
        assert np.array_equal(packed[sample["name"]]["image"], sample["image"])
        assert np.array_equal(packed[sample["name"]]["mask"], sample["mask"])
    assert shards.labelled_train_ids == files.labelled_train_ids
    assert shards.label_space == files.label_space
    assert shards.dataset_name == name
    assert dataset_digest(shards) == dataset_digest(files)


def test_images_keep_their_bytes_and_masks_are_grey_train_ids(pack_fakes):
    files, shards = pack_fakes("bdd100k", num_frames=2)
    with tarfile.open(shards.root / "train-000000.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, 0, "", "", 0o444)}
    images = {frame.name: frame for frame in files.frames}
    assert len(members) == 4
    for name, frame in images.items():
        assert members[name] == frame.image.read_bytes()
        (mask,) = (content for key, content in members.items() if key == name.replace(".jpg", ".mask.png"))
        (shards.root / "mask.png").write_bytes(mask)
        with Image.open(shards.root / "mask.png") as picture:
            assert picture.mode == "L"


def test_shards_hold_equal_numbers_in_random_order(pack_fakes):
    files, shards = pack_fakes(num_frames=10, frames_per_shard=3)
    assert [shard.num_frames for shard in shards.index.shards] == [3, 3, 3, 1]
    names = [shards.read_unlabelled(i)["name"] for i in range(10)]
    assert names != sorted(names)
    assert sorted(names) == [frame.name for frame in files.frames]


def test_by_default_there_are_sixteen_shards_at_least(camvid, tmp_path):
    write_fakes("camvid", camvid.root, "train", num_frames=40, size_hw=(8, 8), seed=0)
    index = pack_dataset(camvid, tmp_path / "out")
    assert [shard.num_frames for shard in index.shards] == [3] * 13 + [1]  # 40 / 16 rounded up


def test_large_images_make_small_shards(camvid, tmp_path, monkeypatch):
    write_fakes("camvid", camvid.root, "train", num_frames=64, size_hw=(24, 32), seed=0)
    sizes = [path.stat().st_size for path in (camvid.root / "train").iterdir()]
    monkeypatch.setattr(packing, "_SHARD_BYTES", 2.5 * sum(sizes) / 64)
    assert pack_dataset(camvid, tmp_path / "out").source.frames_per_shard == 2  # not 64 / 16


def test_packing_again_gives_the_same_bytes(camvid, tmp_path):
    first = pack_dataset(camvid, tmp_path / "a", frames_per_shard=3)
    second = pack_dataset(camvid, tmp_path / "b", frames_per_shard=3, workers=3)
    assert first == second
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert {path for path in contents(tmp_path / "a") if not path.endswith(".tar")} == {"train.json"}


PACK_AND_WAIT = """
import sys
import time
from pathlib import Path
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.shards import packing
sample, done = packing._sample, []
def waiting(*arguments):
    if len(done) == 5:  # in the middle of the second shard
        journal = Path(sys.argv[2]) / ".train.packing.jsonl"
        while "train-000000" not in journal.read_text():  # another thread notes the first one
            time.sleep(0.01)
        print("waiting", flush=True)
        sys.stdin.read()
    done.append(arguments)
    return sample(*arguments)
packing._sample = waiting
config = DatasetConfig(dataset="camvid", root=Path(sys.argv[1]), split="train")
packing.pack_dataset(config, Path(sys.argv[2]), frames_per_shard=3)
"""


def test_a_killed_packing_goes_on_and_ends_the_same(camvid, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PACK_AND_WAIT, str(camvid.root), str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"waiting\n"
        os.kill(process.pid, signal.SIGKILL)
    kept = (out / "train-000000.tar").stat()
    assert not (out / "train-000001.tar").exists()
    assert not (out / "train.json").exists()
    with (out / ".train.packing.jsonl").open("ab") as journal:
        journal.write(b'\n{"name": "train-0000')  # a line that the kill cut short

    read = []
    monkeypatch.setattr(packing, "_sample", counted(packing._sample, read))
    pack_dataset(camvid, out, frames_per_shard=3)
    assert len(read) == 5  # of 8: the finished shard was kept
    assert (out / "train-000000.tar").stat().st_ino == kept.st_ino
    pack_dataset(camvid, tmp_path / "whole", frames_per_shard=3)
    assert contents(out) == contents(tmp_path / "whole")


def counted(function, calls):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


@pytest.mark.parametrize("damage", ["bytes", "missing"])
def test_a_damaged_shard_is_packed_again(damage, camvid, tmp_path):
    out = tmp_path / "out"
    pack_dataset(camvid, out, frames_per_shard=3)
    before = contents(out)
    path = out / "train-000001.tar"
    if damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[700] ^= 1
        path.write_bytes(content)
    pack_dataset(camvid, out, frames_per_shard=3)
    assert contents(out) == before


def test_an_address_changes_the_index_alone(camvid, tmp_path):
    before = pack_dataset(camvid, tmp_path / "out")
    after = pack_dataset(camvid, tmp_path / "out", base_url="https://bucket.example/sets/camvid")
    assert after.base_url == "https://bucket.example/sets/camvid"
    assert after.shards == before.shards
    assert read_index(tmp_path / "out", "train") == after


@pytest.mark.parametrize(
    "url",
    [
        "pipe:cat /etc/passwd",
        "s3://bucket/x",
        "ftp://host/x",
        "http://host/a;b",
        "http://host/$(id)",
        "http://host/a b",
        "http://host/a|b",
        "http://user:secret@host/x",
        "http://host/x?signature=1",
        "-http://host",
        "file://relative",
        "http://",
        "http://a..b/x",
        "http://host:65536/x",
    ],
)
def test_addresses_that_could_run_or_leak_anything_are_refused(url, camvid, tmp_path):
    with pytest.raises(ConfigurationError, match="base_url is"):
        pack_dataset(camvid, tmp_path / "out", base_url=url)
    assert not (tmp_path / "out").exists()


def test_another_request_is_refused_by_name(camvid, tmp_path):
    pack_dataset(camvid, tmp_path / "out", frames_per_shard=3)
    with pytest.raises(ConfigurationError, match="frames_per_shard is 3 there and 4 now"):
        pack_dataset(camvid, tmp_path / "out", frames_per_shard=4)
    label = sorted((camvid.root / "trainannot").iterdir())[0]
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(label)
    with pytest.raises(ConfigurationError, match="digest is"):
        pack_dataset(camvid, tmp_path / "out", frames_per_shard=3)


def test_an_interrupted_packing_of_another_request_is_refused(camvid, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_write_shard", broken(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        pack_dataset(camvid, tmp_path / "out", frames_per_shard=3)
    with pytest.raises(ConfigurationError, match="frames_per_shard is 3 there and 4 now") as caught:
        pack_dataset(camvid, tmp_path / "out", frames_per_shard=4)
    assert caught.value.where == str(tmp_path / "out" / ".train.packing.jsonl")


def test_one_process_at_a_time_packs_a_split_into_a_folder(camvid, tmp_path):
    out = tmp_path / "out"
    with claimed(out, "train"):
        with pytest.raises(ConfigurationError, match="another process packs split 'train' into this folder"):
            pack_dataset(camvid, out)
        with claimed(out, "val"):
            pass
    pack_dataset(camvid, out)
    assert {path.suffix for path in out.iterdir()} == {".tar", ".json"}


def test_a_claim_that_its_owner_has_just_given_up_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(journal.fcntl, "flock", lambda *_: (tmp_path / ".train.packing.lock").unlink())
    with pytest.raises(ConfigurationError, match="another process packs"), claimed(tmp_path, "train"):
        pass


def broken(error):
    def call(*_):
        raise error

    return call


def test_shards_of_somebody_else_are_left_alone(camvid, tmp_path):
    (tmp_path / "train-000000.tar").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="shards that no index and no journal tell of"):
        pack_dataset(camvid, tmp_path)
    assert (tmp_path / "train-000000.tar").read_bytes() == b"mine"


def test_a_full_disk_is_one_error_and_leaves_no_half_shard(camvid, tmp_path, monkeypatch):
    monkeypatch.setattr(packing._Digesting, "write", broken(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)\. Make room and pack again"):
        pack_dataset(camvid, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".train.packing.jsonl"}


def test_a_missing_source_and_wrong_numbers(tmp_path, camvid):
    with pytest.raises(DataMissingError, match="no such folder"):
        pack_dataset(DatasetConfig(dataset="gta5", root=tmp_path / "none", split="all"), tmp_path / "out")
    with pytest.raises(ConfigurationError, match="workers is 0"):
        pack_dataset(camvid, tmp_path / "out", workers=0)
    with pytest.raises(ConfigurationError, match="frames_per_shard is 0"):
        pack_dataset(camvid, tmp_path / "out", frames_per_shard=0)
    with pytest.raises(ConfigurationError, match="packed already"):
        pack_dataset(DatasetConfig(dataset="shards", root=tmp_path, split="all"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_hold_shards(camvid, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot hold shards"):
        pack_dataset(camvid, tmp_path / "file" / "out")


def test_broken_frames_are_found_when_they_are_packed(camvid, tmp_path):
    path = sorted((camvid.root / "train").iterdir())[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(UnreadableFileError, match="truncated or damaged") as caught:
        pack_dataset(camvid, tmp_path / "out")
    assert caught.value.where == str(path)
    path.write_bytes(whole)
    label = sorted((camvid.root / "trainannot").iterdir())[2]
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(label)
    with pytest.raises(UnknownLabelIdError, match="unknown label id 77"):
        pack_dataset(camvid, tmp_path / "other")


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_target_is_packed_without_labels(split, open_fakes, tmp_path):
    files = open_fakes("cityscapes", split=split, num_frames=3)
    shutil.rmtree(files.root / "gtFine", ignore_errors=split == "test")
    config = DatasetConfig(dataset="cityscapes", root=files.root, split=split)
    index = pack_dataset(config, tmp_path / "out", labelled=split == "test")  # `test` has none anyway
    assert index.source.labelled is False
    shards = Shards(tmp_path / "out", split, labelled=False)
    assert shards.read_unlabelled(0)["image"].shape == (24, 32, 3)
    with pytest.raises(DataMissingError, match="no labels in this packed split"):
        shards[0]
    report = examine(shards)
    assert (report.ok, report.num_examined, report.num_labelled) == (True, 3, 0)


def test_the_verb_packs_a_part(open_fakes, tmp_path, capsys):
    files = open_fakes("gta5", num_frames=20)
    pack(dataset="gta5", root=files.root, out=tmp_path / "out", part="holdout", workers=2)
    assert "2 frames in 2 shards" in capsys.readouterr().out
    shards = Shards(tmp_path / "out", "all-holdout")
    assert {shards[i]["name"] for i in range(2)} == {"images/00010.png", "images/00020.png"}


def test_long_names_with_dots_and_umlauts_are_packed(open_fakes, tmp_path):
    files = open_fakes("folder", num_frames=2)
    stem = "köln.2.tour " + "x" * 150
    for folder in ("images", "labels"):
        (files.root / folder / "frame000000.png").rename(files.root / folder / f"{stem}.png")
    config = DatasetConfig(dataset="folder", root=files.root, split="all")
    first, second = (pack_dataset(config, tmp_path / out) for out in "ab")
    assert first == second
    shards = Shards(tmp_path / "a", "all")
    assert {shards[i]["name"] for i in range(2)} == {f"images/{stem}.png", "images/frame000001.png"}


@pytest.mark.parametrize("name", ["images/00001.png", "a.b/tour.2.x.JPG", "städte/köln 1%2E.jpeg"])
def test_names_survive_the_way_through_keys(name):
    key, suffix = key_and_suffix(name)
    assert "." not in key
    assert name_of(key, suffix) == name
