import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from isthmus.artifact import Manifest, sha256_of
from isthmus.errors import ConfigurationError, ContractError, NotRegisteredError, RegistryError
from isthmus.training.export import ExportResult
from isthmus.training.mlflow_store import connect, resolve_tracking_uri, tracking_store
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.registry import register
from isthmus.training.registry_versions import RegisteredVersion, find_version, list_versions


@pytest.fixture(scope="module")
def registered(exported: ExportResult, store_uri: str) -> RegisteredVersion:
    return register(exported.export.directory, "street", tracking_uri=store_uri)


def test_version_is_the_challenger_and_carries_its_facts(registered: RegisteredVersion, exported: ExportResult):
    assert registered.version == 1
    assert registered.uri == "models:/street/1"
    assert registered.aliases == ("challenger",)
    assert registered.sha256 == sha256_of(exported.export.onnx_file)
    assert registered.facts == {
        "sha256": registered.sha256,
        "label_space": exported.export.card.label_space.id_hash,
        "method": "source_only",
        "decoder": "fpn",
        "encoder": "none",
        "step": "7",
        "git_commit": "abc123",
        "config_hash": "1" * 64,
        "lock_hash": "2" * 64,
        "miou.cityscapes/val": "0.500000",
    }


@pytest.fixture
def process_wide(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow as users of plain MLflow have it: its process-wide addresses name our store."""
    import mlflow

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, store_uri)  # MLflow changes both; monkeypatch puts them back
    mlflow.set_tracking_uri(store_uri)
    mlflow.set_registry_uri(store_uri)
    yield
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri("")


@pytest.mark.usefixtures("process_wide")
def test_two_files_are_all_that_serving_downloads(registered: RegisteredVersion, tmp_path: Path):
    # The addresses that registry.py promises to the serving side, by MLflow's own calls.
    import mlflow.artifacts

    version = mlflow.MlflowClient().get_registered_model("street").aliases["challenger"]
    for file in ("manifest.json", "model.onnx"):
        mlflow.artifacts.download_artifacts(artifact_uri=f"models:/street/{version}/{file}", dst_path=str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "model.onnx"]
    manifest = Manifest.model_validate_json((tmp_path / "manifest.json").read_text(), strict=True)
    assert manifest.sha256 == sha256_of(tmp_path / "model.onnx") == registered.sha256
    assert manifest.size_bytes == (tmp_path / "model.onnx").stat().st_size


def test_version_holds_no_pickle_and_no_external_data(registered: RegisteredVersion, store_uri: str, tmp_path: Path):
    with connect(store_uri) as store:
        folder = store.download("street", registered.version, "", tmp_path)
    downloaded = {path.name for path in folder.iterdir()} - {"registered_model_meta"}  # which the download adds
    assert sorted(downloaded) == [
        "MLmodel",
        "MODEL_CARD.md",
        "conda.yaml",
        "input_example.json",
        "manifest.json",
        "model.onnx",
        "model_card.json",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
        "weights.safetensors",
    ]


@pytest.mark.usefixtures("process_wide")
def test_pyfunc_loads_the_version(registered: RegisteredVersion, exported: ExportResult):
    import mlflow.pyfunc

    images = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    model = mlflow.pyfunc.load_model(registered.uri)
    answer = model.predict({"image": images})
    labels, confidence = OnnxModel(exported.export.onnx_file).predict(images)
    assert (answer["labels"] == labels).all()
    assert (answer["confidence"] == confidence).all()
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, -1, -1, 3)
    assert model.input_example["image"].shape == (1, 32, 32, 3)


def test_same_file_is_registered_once(registered: RegisteredVersion, exported: ExportResult, store_uri: str):
    assert register(exported.export.directory, "street", tracking_uri=store_uri) == registered
    assert len(list_versions("street", tracking_uri=store_uri)) == 1


def test_registering_the_champion_again_makes_it_no_challenger(exported: ExportResult, variant, store_uri: str):
    first = register(exported.export.directory, "reigning", tracking_uri=store_uri)
    with connect(store_uri) as store:
        store.client.set_registered_model_alias("reigning", "champion", str(first.version))
    second = register(variant(step=8).directory, "reigning", tracking_uri=store_uri)
    assert register(exported.export.directory, "reigning", tracking_uri=store_uri).aliases == ("champion",)
    versions = list_versions("reigning", tracking_uri=store_uri)
    assert [item.version for item in versions] == [second.version, first.version]
    assert versions[0].aliases == ("challenger",)
    assert versions[0].facts["step"] == "8"


def test_version_belongs_to_the_run_that_made_it(variant, store_uri: str):
    with connect(store_uri) as store:
        run = store.client.create_run(store.experiment_id("trial"))
    made = register(variant(step=9).directory, "tracked", run_id=run.info.run_id, tracking_uri=store_uri)
    assert made.run_id == run.info.run_id
    with pytest.raises(NotRegisteredError, match="not found"):
        register(variant(step=10).directory, "tracked", run_id="0" * 32, tracking_uri=store_uri)


def test_everything_lies_in_one_folder(registered: RegisteredVersion, store_uri: str):
    home = Path(store_uri.removeprefix("sqlite:///")).parent
    assert {path.name for path in home.iterdir()} == {"mlflow.db", "artifacts", "isthmus.lock", "isthmus-tables.lock"}
    assert any(path.name == "model.onnx" for path in (home / "artifacts").rglob("*"))


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("street", "champion", "no alias 'champion'"),
        ("street", 99, r"'street' has no version 99\. Its versions: .*1\."),
        ("no-such-street", 1, "no model is called 'no-such-street' here. Its models: .*street"),
    ],
)
def test_what_is_missing_is_named(registered: RegisteredVersion, store_uri: str, name: str, version, message: str):
    with pytest.raises(NotRegisteredError, match=message), connect(store_uri) as store:
        find_version(store, name, version)


def test_alias_cannot_point_to_a_missing_version(registered: RegisteredVersion, store_uri: str):
    with pytest.raises(NotRegisteredError, match="version=99"), connect(store_uri) as store:
        store.client.set_registered_model_alias("street", "champion", "99")


def test_folder_that_is_no_export_is_refused(store_uri: str, tmp_path: Path):
    with pytest.raises(ContractError, match=r"no model\.onnx"):
        register(tmp_path, "street", tracking_uri=store_uri)


def test_registry_that_is_down_is_one_error(exported: ExportResult, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RegistryError, match="that this is its address") as caught:
            register(exported.export.directory, "street", tracking_uri=uri)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(RegistryError, match="that MLFLOW_TRACKING_URI names it"):
            list_versions("street")
    assert caught.value.where == uri
    assert not isinstance(caught.value, NotRegisteredError)


@pytest.mark.parametrize("wrong", ["sqlite:mlflow.db", "mlruns", "/srv/mlruns", "file:///srv/mlruns"])
def test_what_is_no_address_of_a_registry_is_told_how_to_write_one(wrong: str):
    with pytest.raises(ConfigurationError, match=r"no address of a registry\. Write https://HOST .*sqlite:///FOLDER"):
        list_versions("street", tracking_uri=wrong)


def test_home_that_is_a_file_is_one_error(tmp_path: Path):
    (tmp_path / "home").write_text("")
    with pytest.raises(RegistryError, match="no folder for the model store"):
        tracking_store(tmp_path / "home")


def test_damaged_database_is_one_error(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(RegistryError, match="not a database"):
        list_versions("street", tracking_uri=tracking_store(tmp_path))


def test_environment_names_the_server_and_the_argument_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri() == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://registry:5000")
    assert resolve_tracking_uri() == "http://registry:5000"
    assert resolve_tracking_uri("http://other:5000") == "http://other:5000"


def test_connecting_is_safe_and_leaves_no_trace(store_uri: str):
    with connect(store_uri) as store:
        assert os.environ["MLFLOW_TRACKING_URI"] == store.uri
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
        with connect(store_uri):
            pass
        assert os.environ["MLFLOW_TRACKING_URI"] == store.uri
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_no_message_tells_a_password(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(RegistryError) as caught:
            list_versions("street", tracking_uri=f"http://me:secret@{place}/")
    assert caught.value.where == f"http://{place}/"
    assert "secret" not in str(caught.value)
