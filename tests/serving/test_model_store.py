"""From the registry's champion to a checked model, and every way in which it is refused."""

import json
import logging
import stat

import pytest

from isthmus.errors import ContractError, NoModelError, ProviderError, RegistryError
from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
from isthmus.serving.model_store import ModelStore


@pytest.fixture
def export(tmp_path, tiny):
    """A folder with the tiny model and its manifest."""
    folder = tmp_path / "export"
    folder.mkdir()
    card = tiny.make_card()
    tiny.write_manifest(tiny.write_onnx(folder / "model.onnx", card), card)
    return folder


@pytest.fixture
def config(registry, tmp_path, request):
    def make(**fields):
        name = request.node.name.replace("[", "-").replace("]", "")
        return ServerConfig(
            **{
                "model_name": name,
                "tracking_uri": registry.uri,
                "cache_dir": tmp_path / "cache",
                "num_threads": 1,
                **fields,
            }
        )

    return make


def load(config):
    model = ModelStore(config).load()
    model.engine.close()
    return model


def test_champion_is_fetched_checked_and_cached(config, registry, export, tmp_path):
    (export / "weights.safetensors").write_bytes(b"not for serving")
    version = registry.register(export, config().model_name)
    model = load(config())
    assert (model.name, model.version, model.from_cache) == (config().model_name, version, False)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    cached = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path / "cache").as_posix() for path in cached) == [
        f"champions/{config().model_name}.json",
        f"objects/{model.sha256}/model.onnx",
    ]


def test_alias_decides_not_the_newest_version(config, registry, export):
    first = registry.register(export, config().model_name)
    registry.register(export, config().model_name, promote=False)
    assert load(config()).version == first


def test_no_champion(config, registry, export):
    with pytest.raises(NoModelError, match="champion"):
        load(config())
    registry.register(export, config().model_name, promote=False)
    with pytest.raises(NoModelError, match="isthmus promote"):
        load(config())


def test_registry_down_without_cache(config, tmp_path):
    with pytest.raises(RegistryError, match="no such registry"):
        load(config(tracking_uri=f"sqlite:///{tmp_path / 'gone.db'}"))
    assert not (tmp_path / "gone.db").exists()


def test_registry_that_is_no_database(config, tmp_path):
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    with pytest.raises(RegistryError, match="does not answer"):
        load(config(tracking_uri=f"sqlite:///{tmp_path / 'broken.db'}"))


def test_registry_down_serves_the_last_good_model(config, registry, export, tmp_path, caplog, monkeypatch):
    version = registry.register(export, config().model_name)
    load(config())
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
        model = load(config())
    assert (model.version, model.from_cache) == (version, True)
    assert "SERVING FROM THE CACHE" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_cache_of_another_registry_is_not_used(config, registry, export, tmp_path):
    registry.register(export, config().model_name)
    load(config())
    with pytest.raises(RegistryError):
        load(config(tracking_uri=f"sqlite:///{tmp_path / 'other.db'}"))


def test_bad_new_champion_leaves_the_last_good_one(config, registry, export, caplog):
    good = registry.register(export, config().model_name)
    load(config())
    manifest = json.loads((export / "manifest.json").read_text())
    (export / "manifest.json").write_text(json.dumps({**manifest, "sha256": "f" * 64}))
    registry.register(export, config().model_name)
    model = load(config())
    assert (model.version, model.from_cache) == (good, True)
    assert f"is not the manifest's {'f' * 64}" in caplog.text


@pytest.mark.parametrize("damage", ["bit", "length", "no manifest", "bad manifest", "label space", "digest"])
def test_damaged_download_is_refused(config, registry, export, tmp_path, damage):
    model, manifest = export / "model.onnx", export / "manifest.json"
    data = bytearray(model.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
        model.write_bytes(data)
    elif damage == "length":
        model.write_bytes(data[:-1])
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "bad manifest":
        manifest.write_text("{}")
    elif damage == "label space":
        manifest.write_text(manifest.read_text().replace("0123456789ab", "ba9876543210"))
    else:
        manifest.write_text('{"sha256": "../../etc", "size_bytes": 1, "label_space_hash": ""}')
    registry.register(export, config().model_name)
    with pytest.raises(ContractError):
        load(config())
    assert not list((tmp_path / "cache" / "champions").iterdir())


def test_object_that_changed_on_disk_is_refused(config, registry, export, tmp_path):
    registry.register(export, config().model_name)
    cached = tmp_path / "cache" / "objects" / load(config()).sha256 / "model.onnx"
    data = bytearray(cached.read_bytes())
    data[-1] ^= 1
    cached.write_bytes(data)
    with pytest.raises(ContractError, match="SHA-256"):
        load(config())


def test_model_above_the_size_cap_is_not_downloaded(config, registry, export, tmp_path):
    registry.register(export, config().model_name)
    with pytest.raises(ContractError, match="more than the limit of 100"):
        load(config(limits=LimitsConfig(max_model_bytes=100)))
    assert not list((tmp_path / "cache" / "objects").iterdir())


def file_config(path, **fields):
    return ServerConfig(model_file=path, num_threads=1, **fields)


def test_plain_file(model_file):
    model = load(file_config(model_file))
    assert (model.name, model.version) == ("tiny", "file")


def test_missing_file(tmp_path):
    with pytest.raises(ContractError, match="no such model file"):
        load(file_config(tmp_path / "model.onnx"))


def test_file_that_is_no_onnx(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"hello")
    with pytest.raises(ContractError, match="onnxruntime cannot open"):
        load(file_config(path))


def test_onnx_without_card(tmp_path, tiny):
    with pytest.raises(ContractError, match="no model card"):
        load(file_config(tiny.write_onnx(tmp_path / "model.onnx")))


def test_onnx_with_other_outputs(tmp_path, tiny):
    path = tiny.write_onnx(tmp_path / "model.onnx", tiny.make_card(), rename_output="classes")
    with pytest.raises(ContractError, match="outputs are"):
        load(file_config(path))


def test_golden_frame_decides_at_one_in_a_thousand(tmp_path, tiny):
    image = tiny.street(100, 100)
    labels = tiny.expected_labels(image)
    for wrong, serves in ((10, True), (11, False)):  # of 10,000 pixels
        changed = labels.copy()
        changed.flat[:wrong] = 7
        path = tiny.write_onnx(tmp_path / f"{wrong}.onnx", tiny.make_card(image, changed))
        if serves:
            load(file_config(path))
        else:
            with pytest.raises(ContractError, match=r"99\.89%"):
                load(file_config(path))


def test_golden_labels_of_another_size(tmp_path, tiny):
    card = tiny.make_card(tiny.street(), tiny.expected_labels(tiny.street(8, 8)))
    with pytest.raises(ContractError, match="shape"):
        load(file_config(tiny.write_onnx(tmp_path / "model.onnx", card)))


def test_preferred_gpu_falls_back_loudly(model_file, caplog, without_cuda):
    model = load(file_config(model_file, provider_policy=ProviderPolicy.PREFER_CUDA))
    assert (model.provider, model.provider_fallback) == ("CPUExecutionProvider", True)
    assert "RUNS ON THE CPU" in caplog.text


def test_required_gpu_is_required_of_the_session_too(model_file, without_cuda):
    with pytest.raises(ProviderError, match="would run on the CPU"):
        load(file_config(model_file, provider_policy=ProviderPolicy.REQUIRE_CUDA))


@pytest.fixture
def without_cuda():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a CUDA provider; the test is about one without")


def _no_answer(*_):
    from mlflow.exceptions import MlflowException

    raise MlflowException("connection refused")
