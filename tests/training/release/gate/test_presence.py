"""Data that is not on this machine is told from evidence that is missing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.configuration import values_with_variables
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import DataMissingError
from isthmus.training.gate.config import FramesConfig, GateConfig, UnlabelledConfig
from isthmus.training.gate.presence import check_data_is_here


def set_at(root: Path, **changes: object) -> DatasetConfig:
    return DatasetConfig(dataset="cityscapes", root=root, split="val", **changes)


def test_all_that_is_not_here_is_said_at_once(gate: GateConfig, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("SOURCE", raising=False)
    monkeypatch.setenv("STREET", str(tmp_path))
    gate = replace(
        gate,
        source=FramesConfig(data=set_at(Path("nowhere"), part="fit"), max_frames=2),
        unlabelled=(UnlabelledConfig(data=set_at(tmp_path, name="street"), max_frames=2, min_class_entropy=1.0),),
    )
    written = {"source.data.root": "${SOURCE:-nowhere}", "unlabelled.0.data.root": "${STREET}/${SOURCE:-}"}
    with pytest.raises(DataMissingError) as caught:
        check_data_is_here(gate, written)
    first, *lines = str(caught.value).splitlines()
    assert first == "gate 'tests': the gate's data is not all on this machine, so nothing was judged:"
    assert [line.strip().rstrip(". ") for line in lines] == [
        "cityscapes/val:fit: nowhere: no such folder, so cityscapes cannot be read; "
        "root is written ${SOURCE:-nowhere}, and SOURCE is not set",
        f"street: {tmp_path / 'leftImg8bit' / 'val'}: no such folder; "
        "root is written ${STREET}/${SOURCE:-}, and SOURCE is not set",
        "Set SOURCE and STREET. No verdict was written, no alias has moved",
    ]


def test_without_variables_the_file_is_what_to_change(gate: GateConfig, tmp_path: Path):
    (target,) = gate.targets
    gone = replace(gate, targets=(replace(target, data=set_at(tmp_path / "gone")),))
    with pytest.raises(DataMissingError, match="Write where it lies as `root` in the gate's file"):
        check_data_is_here(gone)


def test_a_slice_that_no_frame_belongs_to_is_left_to_its_rules(gate: GateConfig):
    check_data_is_here(gate)
    (target,) = gate.targets
    check_data_is_here(replace(gate, targets=(replace(target, frames="*/night/*"),)))


def test_a_data_set_that_is_here_and_broken_is_left_to_its_rules(gate: GateConfig, tmp_path: Path, data_root: Path):
    shutil.copytree(data_root, tmp_path, dirs_exist_ok=True)
    next((tmp_path / "gtFine" / "val").rglob("*_labelIds.png")).unlink()  # an image without its label
    (target,) = gate.targets
    check_data_is_here(replace(gate, targets=(replace(target, data=set_at(tmp_path)),)))


def test_values_are_known_as_they_were_written(tmp_path: Path):
    file = tmp_path / "gate.yaml"
    file.write_text("title: x\nsource: { data: { root: '${A:-b}/c' } }\ntargets: [{ data: { root: d } }, '${E}']\n")
    assert values_with_variables(file) == {"source.data.root": "${A:-b}/c", "targets.1": "${E}"}
