"""What `isthmus evaluate` refuses, each as one clear error."""

import json
import shutil
from pathlib import Path

import pytest

from isthmus.cli.runs import evaluate, train
from isthmus.errors import CheckpointError, ConfigurationError, DataError
from isthmus.training.checkpoint import read_info
from isthmus.training.trained import run_config

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_variable_behind_a_key_is_named_unless_the_key_is_overridden(tmp_path, monkeypatch):
    monkeypatch.setenv("TINY", str(tmp_path / "gone"))
    tiny = REPOSITORY / "configs" / "source_only" / "tiny.yaml"
    root = "sources.0.root is ${TINY:-data/tiny}/gta5"
    with pytest.raises(DataError, match=r"^sources\.0: ") as caught:
        train(tiny, output=tmp_path / "run", tracking="none", device="cpu")
    assert f"{root} in {tiny}: TINY may be set." in str(caught.value)
    for override in ("sources.0.root=/nowhere", "sources.0={dataset: gta5, root: /nowhere, split: all}"):
        with pytest.raises(DataError, match=r"^sources\.0: /nowhere") as caught:
            train(tiny, output=tmp_path / "run", set_=(override,), tracking="none", device="cpu")
        assert "TINY" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "--split with them"),
        ({"dataset": "camvid"}, "--dataset and --root go together"),
        ({"window_hw": (32, 32)}, "needs window_hw and stride_hw"),
        ({"resolution_hw": (0, 0)}, "resolution_hw is"),
    ],
)
def test_wrong_options_are_one_error(tiny_run, options, message):
    with pytest.raises(ConfigurationError, match=message):
        evaluate(tiny_run.output, **options)


def test_sizes_change_how_a_run_is_judged(tiny_run, capsys):
    evaluate(tiny_run.output, window_hw=(32, 32), stride_hw=(32, 16), as_json=True, device="cpu")
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["mode"], result["window_hw"], result["stride_hw"]) == ("sliding", [32, 32], [32, 16])
    assert result["resolution_hw"] == [32, 64]


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("loop", "gone", 1, r"loop\.gone: unknown key\."),
        (
            "augmentation",
            "scale_range",
            [2.0, 1.0],
            r"augmentation: scale_range is [^(]*\(2\.0, 1\.0\): write[^()]*above 0\.",
        ),
    ],
)
def test_a_checkpoint_of_another_version_is_one_error(tiny_run, tmp_path, part, key, value, message):
    folder = Path(shutil.copytree(tiny_run.output / "checkpoints" / "step-00000008", tmp_path / "step-00000008"))
    tree = json.loads((folder / "info.json").read_text())
    tree["config"][part][key] = value
    (folder / "info.json").write_text(json.dumps(tree))
    with pytest.raises(CheckpointError, match=f"none of this version: {message}"):
        run_config(read_info(folder))
