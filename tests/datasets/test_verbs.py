"""The command line's verbs on data sets and worlds: which options go together, what tables hold."""

import inspect
import io
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from isthmus.cli.data import doctor
from isthmus.cli.tables import dataset_table
from isthmus.cli.worlds import Layout, World, bench, gallery, render
from isthmus.datasets.catalogue import DATASETS, describe
from isthmus.datasets.worlds import WORLDS
from isthmus.errors import ConfigurationError


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (None, {}, "nothing to examine"),
        (None, {"split": "val"}, "--split alone"),
        (None, {"dataset": "nope", "root": Path("/data"), "split": "val"}, "no data set 'nope'"),
        (None, {"dataset": "gta5"}, "--dataset alone"),
        (None, {"root": Path("/data"), "split": "val"}, "--root and --split alone"),
        (Path("a.yaml"), {"dataset": "gta5", "root": Path("/data")}, "a.yaml: --dataset beside a configuration"),
        (Path("a.yaml"), {"split": "val"}, "a.yaml: --split beside a configuration"),
    ],
)
def test_the_doctor_takes_a_configuration_or_a_data_set(config, options, message):
    with pytest.raises(ConfigurationError, match=message):
        doctor(config, **options)


def test_the_list_names_label_spaces_shortly():
    console = Console(file=io.StringIO(), width=80)
    console.print(dataset_table([describe("camvid")]))
    assert "│ 11 (camvid11) │" in console.file.getvalue()


def test_worlds_can_be_rendered_in_every_layout():
    assert get_args(Layout) == tuple(DATASETS)


def test_every_world_can_be_rendered_and_is_shown_and_measured_unasked():
    assert get_args(World) == tuple(WORLDS)
    for verb in (gallery, bench):
        assert inspect.signature(verb).parameters["worlds"].default == tuple(WORLDS)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_workers_below_one_is_refused(workers, tmp_path):
    with pytest.raises(ConfigurationError, match=f"workers is {workers}"):
        render(
            world="arcade", layout="gta5", num_frames=1, size_hw=(32, 32), seed=0, out=tmp_path / "x", workers=workers
        )
    assert not (tmp_path / "x").exists()
