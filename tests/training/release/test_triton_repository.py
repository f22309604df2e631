"""A model repository as Triton's own message reads it, and as our gateway does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.artifact import METADATA_KEY, SHA256_KEY, ModelCard, sha256_of
from isthmus.cli.models import triton
from isthmus.errors import ConfigurationError, ContractError
from isthmus.training.triton_repository import write_triton_repository

READ = """
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(open(sys.argv[1], encoding="utf-8").read(), model_config_pb2.ModelConfig())
print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))
"""


def read(folder: Path) -> dict:
    # In a process of its own: its generated code and ours claim the same protobuf names.
    run = subprocess.run(
        [sys.executable, "-c", READ, str(folder / "config.pbtxt")], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_tritons_own_message_reads_it(exported, tmp_path):
    onnx_file = exported.export.onnx_file
    folder = write_triton_repository(onnx_file, tmp_path / "models", name="street", version=3, max_batch_size=4)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "models/street/3/model.onnx",
        "models/street/config.pbtxt",
    ]
    assert sha256_of(folder / "3" / "model.onnx") == sha256_of(onnx_file)
    config = read(folder)
    parameters = {key: value["string_value"] for key, value in config.pop("parameters").items()}
    assert ModelCard.from_json(parameters.pop(METADATA_KEY), where="config.pbtxt") == exported.export.card
    assert parameters.pop(SHA256_KEY) == sha256_of(onnx_file)
    assert parameters == {"cudnn_conv_algo_search": "1", "arena_extend_strategy": "1"}
    assert config == {
        "name": "street",
        "backend": "onnxruntime",
        "max_batch_size": 4,
        "input": [{"name": "image", "data_type": "TYPE_UINT8", "dims": ["-1", "-1", "3"]}],
        "output": [
            {"name": "labels", "data_type": "TYPE_UINT8", "dims": ["-1", "-1"]},
            {"name": "confidence", "data_type": "TYPE_UINT8", "dims": ["-1", "-1"]},
        ],
        "instance_group": [{"count": 1, "kind": "KIND_GPU"}],
        "dynamic_batching": {
            "preferred_batch_size": [1, 2, 4],
            "max_queue_delay_microseconds": "2000",
            "default_queue_policy": {
                "default_timeout_microseconds": "1000000",
                "allow_timeout_override": True,
                "max_queue_size": 64,
            },
        },
    }


def test_a_second_version_stands_beside_the_first(exported, tmp_path, capsys):
    triton(exported.export.directory, out=tmp_path, device="cpu")
    triton(exported.export.onnx_file, out=tmp_path, version=2, device="cpu")
    folder = tmp_path / "nearest-colour"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "config.pbtxt"]
    config = read(folder)
    assert config["instance_group"] == [{"count": 1, "kind": "KIND_CPU"}]
    assert set(config["parameters"]) == {METADATA_KEY, SHA256_KEY}
    assert "nearest-colour/2" in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(ConfigurationError, match="there already"):
        triton(exported.export.directory, out=tmp_path, version=2)


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "two words"])
def test_names_that_triton_cannot_serve_are_refused(exported, tmp_path, name):
    with pytest.raises(ConfigurationError, match="is no name that Triton can serve"):
        write_triton_repository(exported.export.onnx_file, tmp_path / "models", name=name)
    assert not (tmp_path / "models").exists()


def test_an_exports_precision_cannot_be_changed_here(exported, tmp_path):
    with pytest.raises(ConfigurationError, match="this export has its own"):
        triton(exported.export.onnx_file, out=tmp_path / "models", precision="fp16")
    with pytest.raises(ConfigurationError, match="is not there"):
        triton(tmp_path / "nothing", out=tmp_path / "models")


def test_what_is_no_model_of_ours_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 10)
    with pytest.raises(ContractError):
        write_triton_repository(tmp_path / "model.onnx", tmp_path / "models")
    assert not (tmp_path / "models").exists()
    with pytest.raises(ConfigurationError, match="must be 1 or more"):
        write_triton_repository(tmp_path / "model.onnx", tmp_path / "models", version=0)
