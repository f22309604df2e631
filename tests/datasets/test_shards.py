"""Shards as a data set: their index, their place in configurations, the doctor's look, the benchmark."""

import json

import numpy as np
import pytest
from PIL import Image

from isthmus.cli.bench import data as bench_data
from isthmus.cli.data import doctor, list_datasets
from isthmus.configuration import parse_config, to_yaml
from isthmus.datasets.catalogue import DatasetConfig, build_dataset, dataset_digest, splits_of
from isthmus.datasets.doctor import examine
from isthmus.datasets.shards import Shards, read_index
from isthmus.datasets.shards.index import index_path
from isthmus.errors import ConfigurationError, DataError, DataMissingError, UnreadableFileError


def config_of(shards: Shards) -> DatasetConfig:
    return DatasetConfig(dataset="shards", root=shards.root, split=shards.split)


def test_build_from_yaml(pack_fakes):
    files, shards = pack_fakes("synthia")
    text = f"dataset: shards\nroot: {shards.root}\nsplit: all\nlimit: 4\nshuffle_frames: 32\n"
    config = parse_config(text, DatasetConfig)
    assert parse_config(to_yaml(config), DatasetConfig) == config
    dataset = build_dataset(config)
    assert isinstance(dataset, Shards)
    assert (len(dataset), dataset.dataset_name, dataset.shuffle_frames) == (4, "synthia", 32)
    assert dataset_digest(build_dataset(config_of(shards))) == dataset_digest(files)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("dataset: shards\npart: fit", "part is chosen when shards are packed"),
        ("dataset: gta5\nshuffle_frames: 8", "shuffle_frames is for `shards`"),
        ("dataset: shards\nshuffle_frames: 0", "shuffle_frames is 0"),
        ("dataset: shards\nid_map: {classes: {1: road}}", "id_map is for `folder`"),
        ("dataset: shard", "choose from gta5, .*, shards"),
    ],
)
def test_wrong_configuration(lines, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_config(f"{lines}\nroot: /data\nsplit: all\n", DatasetConfig)


def test_a_missing_index_names_those_that_are_there(pack_fakes, tmp_path):
    _, shards = pack_fakes()
    with pytest.raises(DataMissingError, match=r"no packed split 'val'\. Choose from train"):
        Shards(shards.root, "val")
    with pytest.raises(DataMissingError, match=r"no packed split 'val'\. `isthmus data pack` makes one"):
        Shards(tmp_path, "val")
    with pytest.raises(DataMissingError, match="no such folder, so shards cannot be read"):
        Shards(tmp_path / "nowhere", "val")
    assert splits_of("shards", shards.root) == ("train",)
    with pytest.raises(DataMissingError, match="no packed split"):
        splits_of("shards", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.update(format_version=2), "this isthmus reads version 1"),
        (lambda tree: tree["shards"].pop(), "do not add up"),
        (lambda tree: tree["shards"][0].update(name="../../etc/passwd.tar"), "is no shard's name"),
        (lambda tree: tree.update(base_url="pipe:id"), "base_url is 'pipe:id'"),
        (lambda tree: tree.update(more=1), "more: unknown key"),
        (lambda tree: tree["source"].update(labelled_train_ids=[19]), "must lie in 0..18"),
        (lambda tree: tree["source"].update(label_space="mars"), "label_space is 'mars'"),
        (lambda tree: tree["source"].update(dataset="../../gta5"), r"dataset is '../../gta5': only letters"),
        (lambda tree: tree["source"].update(split="/all"), "split is '/all': only letters"),
        (lambda tree: tree["shards"][0].update(sha256="abc"), "makes no sense"),
    ],
)
def test_a_damaged_index_is_one_error(change, message, pack_fakes):
    _, shards = pack_fakes()
    path = index_path(shards.root, "train")
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(UnreadableFileError, match=message):
        read_index(shards.root, "train")


def test_any_order_reads_the_same(pack_fakes):
    _, shards = pack_fakes(num_frames=8)
    forward = [shards[i]["name"] for i in range(8)]
    assert [shards[i]["name"] for i in reversed(range(8))] == forward[::-1]
    assert [shards[i]["name"] for i in (7, 0, 3, 3, 1)] == [forward[i] for i in (7, 0, 3, 3, 1)]
    assert np.array_equal(shards.read_mask(5), shards[5]["mask"])
    assert shards.representatives(3) == range(3)
    assert shards.representatives(50) == range(8)


def test_the_doctor_finds_shards_healthy(pack_fakes):
    files, shards = pack_fakes("camvid", num_frames=10)
    of_files, of_shards = examine(files), examine(config_of(shards))
    assert of_shards.ok
    assert (of_shards.num_frames, of_shards.num_examined, of_shards.num_labelled) == (10, 10, 10)
    assert of_shards.classes == of_files.classes
    assert of_shards.image_sizes == of_files.image_sizes
    assert of_shards.dataset == "camvid"
    assert {row.meaning for row in of_shards.raw_ids} == {row.meaning for row in of_files.raw_ids}


def flipped(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)


def test_the_doctor_finds_every_damaged_shard(pack_fakes):
    _, shards = pack_fakes(num_frames=15, frames_per_shard=3)
    paths = [shards.root / record.name for record in shards.index.shards]
    flipped(paths[0], -1)  # behind the last frame: only the digest tells
    flipped(paths[1], paths[1].read_bytes().index(b"IDAT") + 40)
    paths[2].write_bytes(paths[2].read_bytes()[:-512])
    paths[3].unlink()
    report = examine(config_of(shards))
    assert report.num_examined == 9
    found = sorted((problem.where.partition(": ")[0], problem.problem.split()[0]) for problem in report.problems)
    assert found == [
        (str(paths[0]), "SHA-256"),
        (str(paths[1]), "SHA-256"),
        (str(paths[1]), "truncated"),
        (str(paths[2]), "has"),
        (str(paths[3]), "no"),
    ]


def test_the_doctor_reads_on_behind_the_end_of_the_tar_file(pack_fakes):
    _, shards = pack_fakes(num_frames=3)
    (record,) = shards.index.shards
    with (shards.root / record.name).open("ab") as shard:
        shard.write(b"more" * 10_000)  # tar readers stop long before, so what they saw has the right digest
    path = index_path(shards.root, "train")
    tree = json.loads(path.read_text())
    tree["shards"][0]["num_bytes"] += 40_000
    path.write_text(json.dumps(tree))
    report = examine(config_of(shards))
    assert [problem.problem for problem in report.problems] == ["SHA-256 is not the index's: bytes have changed"]


def test_the_doctor_finds_ids_and_sizes_that_nobody_packs(pack_fakes, monkeypatch):
    monkeypatch.setattr("isthmus.datasets.shards.packing.encode_png", broken_mask)
    _, shards = pack_fakes("synthia", num_frames=2)
    kinds = [(problem.kind, problem.problem) for problem in examine(shards).problems]
    assert (
        kinds
        == [
            ("PairMismatchError", "mask is 7x5 but the image is 32x24"),
            ("UnknownLabelIdError", "train id 9 is none that synthia labels"),
        ]
        * 2
    )


def broken_mask(pixels):
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.full((5, 7), 9, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_doctor_counts_frames(pack_fakes):
    _, shards = pack_fakes(num_frames=6, frames_per_shard=3)
    path = index_path(shards.root, "train")
    tree = json.loads(path.read_text())
    for record, number in zip(tree["shards"], (2, 4), strict=True):
        record["num_frames"] = number
    path.write_text(json.dumps(tree))
    report = examine(config_of(shards))
    assert [problem.problem for problem in report.problems] == [
        "holds 3 frames, 2 according to the index",
        "holds 3 frames, 4 according to the index",
    ]


def test_the_doctor_reads_shards_of_wanted_frames_alone(pack_fakes):
    _, shards = pack_fakes(num_frames=12, frames_per_shard=3)
    (shards.root / shards.index.shards[1].name).unlink()
    report = examine(shards, max_frames=2)  # frames 0 and 6
    assert (report.num_examined, report.ok) == (2, True)
    assert examine(Shards(shards.root, "train", limit=3)).ok


def test_the_verbs_know_shards(pack_fakes, capsys):
    _, shards = pack_fakes(num_frames=4)
    doctor(dataset="shards", root=shards.root)
    assert "camvid train at" in capsys.readouterr().out
    (shards.root / shards.index.shards[1].name).unlink()
    with pytest.raises(DataError, match="1 problems in camvid train"):
        doctor(dataset="shards", root=shards.root)
    capsys.readouterr()
    list_datasets()
    assert "isthmus data pack" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [True, False])
def test_the_benchmark_measures_both_forms(packed, pack_fakes, capsys):
    files, shards = pack_fakes(num_frames=6)
    options = {"workers": (0, 1), "seconds": 0.01, "crop_size_hw": (16, 24), "batch_size": 2}
    place = shards.root if packed else None
    bench_data(dataset="camvid", root=files.root, shards=place, as_json=True, **options)
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["num_frames"]) == ("camvid/train", 6)
    assert report["num_shards"] == (2 if packed else 6)
    assert [speed["workers"] for speed in report["speeds"]] == [0, 1]
    for speed in report["speeds"]:
        assert speed["ratio"] == pytest.approx(speed["shards"] / speed["files"])
    bench_data(dataset="camvid", root=files.root, shards=place, **{**options, "workers": (0,)})
    printed = capsys.readouterr().out
    assert "shards / files" in printed
    assert "page cache" in " ".join(printed.split())


def test_the_benchmark_compares_the_same_frames(pack_fakes, open_fakes):
    _, shards = pack_fakes(num_frames=6)
    files = open_fakes("camvid", num_frames=7)
    with pytest.raises(ConfigurationError, match="the files are 7 frames of camvid but the shards 6 frames of camvid"):
        bench_data(dataset="camvid", root=files.root, shards=shards.root)
    (shards.root / "all.json").write_bytes((shards.root / "train.json").read_bytes())
    other = open_fakes("gta5", num_frames=6)
    with pytest.raises(ConfigurationError, match="are 6 frames of gta5 but the shards 6 frames of camvid"):
        bench_data(dataset="gta5", root=other.root, shards=shards.root)
    with pytest.raises(ConfigurationError, match=r"3 workers cannot read shards\. Measure 0, 1, 2, 4 or 8"):
        bench_data(dataset="camvid", root=files.root, shards=shards.root, workers=(0, 3))
    with pytest.raises(ConfigurationError, match="must be above 0"):
        bench_data(dataset="camvid", root=files.root, shards=shards.root, seconds=0)
