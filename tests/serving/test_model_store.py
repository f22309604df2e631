"""From the registry's champion to a checked model, and every way in which it is refused."""

import json
import logging
import os
import stat
import time
import traceback
from pathlib import Path

import pytest

from isthmus.errors import ConfigurationError, ContractError, NoModelError, ProviderError, RegistryError
from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
from isthmus.serving.model_store import ModelStore
from isthmus.serving.registry import redacted


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
    store = ModelStore(config)
    store.prepare()
    model = store.load()
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
    with pytest.raises(NoModelError, match=r"there is no model '.*'; there (is|are): "):
        load(config())
    registry.register(export, "another")
    with pytest.raises(NoModelError, match=r"there are: .*another"):
        load(config())
    version = registry.register(export, config().model_name, promote=False)
    with pytest.raises(NoModelError, match=r"has the alias 'champion'; there is none.*isthmus promote"):
        load(config())
    registry.promote(config().model_name, version, "challenger")
    with pytest.raises(NoModelError, match=rf"has the alias 'champion'; there is: challenger \({version}\)"):
        load(config())


def test_registry_down_without_cache(config, tmp_path):
    with pytest.raises(RegistryError, match="no such registry"):
        load(config(tracking_uri=f"sqlite:///{tmp_path / 'gone.db'}"))
    assert not (tmp_path / "gone.db").exists()


def test_registry_that_is_no_database(config, tmp_path):
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    with pytest.raises(RegistryError, match="does not answer"):
        load(config(tracking_uri=f"sqlite:///{tmp_path / 'broken.db'}"))


def test_champion_that_fails_its_trial_is_not_remembered_as_good(config, registry, export, monkeypatch):
    first = registry.register(export, config().model_name)
    load(config())
    second = registry.register(export, config().model_name)

    def prove(model):
        if model.version == second:
            raise ContractError("a batch of 8 does not fit")
        return model

    store = ModelStore(config())
    store.prepare()
    model = store.load(prove)
    model.engine.close()
    assert (model.version, model.from_cache) == (first, True)
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
    assert load(config()).version == first


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


@pytest.mark.parametrize("registry_up", [True, False])
def test_torn_object_is_never_served_and_fetched_again(config, registry, export, tmp_path, monkeypatch, registry_up):
    version = registry.register(export, config().model_name)
    cached = tmp_path / "cache" / "objects" / load(config()).sha256 / "model.onnx"
    whole = cached.read_bytes()
    cached.write_bytes(bytes(len(whole)))  # what a power cut may leave of a renamed file
    if registry_up:
        assert (load(config()).version, cached.read_bytes()) == (version, whole)
    else:
        monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
        with pytest.raises(RegistryError, match="connection refused"):
            load(config())


def test_files_are_on_the_disk_before_they_get_their_names(config, registry, export, monkeypatch):
    steps = []
    replace = Path.replace
    monkeypatch.setattr("os.fsync", lambda _: steps.append("sync"))
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append(target.name), replace(self, target))[1])
    registry.register(export, config().model_name)
    load(config())
    assert steps == ["sync", "model.onnx", "sync", f"{config().model_name}.json"]


def test_cache_that_does_not_open_says_why_it_was_asked(config, registry, export, monkeypatch, caplog):
    registry.register(export, config().model_name)
    load(config())
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
    monkeypatch.setattr("isthmus.serving.model.MIN_GOLDEN_AGREEMENT", 1.1)
    with pytest.raises(ContractError, match="golden frame") as caught:
        load(config())
    assert "connection refused" in str(caught.value.__cause__)
    assert "SERVING FROM THE CACHE" not in caplog.text


def test_size_that_the_registry_does_not_say(config, registry, export, monkeypatch):
    registry.register(export, config().model_name)
    monkeypatch.setattr("mlflow.entities.FileInfo.file_size", None)
    with pytest.raises(ContractError, match="does not say how large"):
        load(config())


def test_abandoned_downloads_are_swept(config, tmp_path):
    abandoned, running = tmp_path / "cache" / "download-a", tmp_path / "cache" / "download-b"
    for folder in (tmp_path / "cache", abandoned, running):
        folder.mkdir(mode=0o700)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(abandoned, (two_days_ago, two_days_ago))
    ModelStore(config()).prepare()
    assert [path.name for path in (tmp_path / "cache").glob("download-*")] == ["download-b"]


def test_cache_that_others_may_touch_is_refused_and_left_alone(config, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o750)
    with pytest.raises(ConfigurationError, match="mode 750"):
        ModelStore(config()).prepare()
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o750


def test_cache_of_another_user_is_refused(config, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir(mode=0o700)
    monkeypatch.setattr("os.geteuid", lambda: (tmp_path / "cache").stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to user"):
        ModelStore(config()).prepare()


def test_cache_below_a_file_is_refused(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--cache-dir"):
        ModelStore(config(cache_dir=tmp_path / "file" / "cache")).prepare()


def test_password_of_the_registry_stays_secret(config, registry, export, tmp_path, monkeypatch):
    uri = "http://user:pass@w0rd@127.0.0.1:9/mlflow"
    assert redacted(f"GET {uri} failed") == "GET http://***@127.0.0.1:9/mlflow failed"
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer_from(uri))
    with pytest.raises(RegistryError, match="connection refused") as caught:
        load(config(tracking_uri=uri))
    assert "w0rd" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.undo()
    registry.register(export, config().model_name)
    load(config())
    assert registry.uri not in (tmp_path / "cache" / "champions" / f"{config().model_name}.json").read_text()


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


def test_a_folder_is_no_model_file(model_file):
    with pytest.raises(ContractError, match=r"is a folder.*Name the file in it"):
        load(file_config(model_file.parent))


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


def _no_answer_from(uri):
    def no_answer(*_):
        from mlflow.exceptions import MlflowException

        raise MlflowException(f"{uri}: connection refused")

    return no_answer


_no_answer = _no_answer_from("http://registry")
