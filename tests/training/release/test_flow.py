"""The whole way against real MLflow servers, whose files go over the network as in production."""

import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from isthmus.cli.demonstration.spoiled import shuffle_labels
from isthmus.errors import ContractError, GateRefusedError, RegistryError
from isthmus.signing import signing_key
from isthmus.training.export import ExportResult
from isthmus.training.mlflow_store import connect
from isthmus.training.promotion import promote, rollback
from isthmus.training.registry import register
from isthmus.training.registry_copy import copy_version
from isthmus.training.registry_details import describe
from isthmus.training.registry_diff import diff
from isthmus.training.registry_versions import aliases_of, list_versions


def aliases(name: str, uri: str) -> dict[str, int]:
    with connect(uri) as store:
        return aliases_of(store, name)


@pytest.fixture(params=["server_uri", "postgres_uri"])
def uri(request: pytest.FixtureRequest) -> str:
    """A server on sqlite, and one on PostgreSQL where it is installed."""
    return request.getfixturevalue(request.param)


def test_from_an_export_to_a_champion_and_back(uri: str, exported: ExportResult, variant, gate, tmp_path: Path):
    register(variant(blind_to=("road",)).directory, "flow", tracking_uri=uri)
    promote("flow", gate=gate, tracking_uri=uri)
    register(exported.export.directory, "flow", tracking_uri=uri)
    outcome = promote("flow", gate=gate, tracking_uri=uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (2, 1, 1)

    shuffle_labels(exported.export.directory, tmp_path / "shuffled")
    register(tmp_path / "shuffled", "flow", tracking_uri=uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +mIoU against the champion"):
        promote("flow", gate=gate, tracking_uri=uri)
    assert aliases("flow", uri) == {"challenger": 3, "champion": 2, "previous": 1}

    assert rollback("flow", tracking_uri=uri).version == 1
    assert aliases("flow", uri) == {"challenger": 3, "champion": 1, "previous": 2}

    details, moves = describe("flow", "previous", key=signing_key().public, tracking_uri=uri)
    (verdict,) = details.verdicts
    assert verdict.report == outcome.report
    assert verdict.standing == f"passed; signed by key {signing_key().public.fingerprint}"
    assert [(move.action, move.version) for move in moves] == [("rollback", 1), ("promote", 2), ("promote", 1)]
    differences = {(row.group, row.what): (row.first, row.second) for row in diff("flow", 2, 3, tracking_uri=uri)}
    assert differences["version", "name"] == ("nearest-colour", "labels shuffled on purpose")
    assert differences["judged by the gate for champion", "verdict"][1].startswith("refused (mIoU floor")
    assert ("version", "step") not in differences


def test_scores_are_tied_to_the_version_and_to_the_data_set(uri: str, exported: ExportResult):
    made = register(exported.export.directory, "scored", tracking_uri=uri)
    with connect(uri) as store:
        run = store.client.get_run(made.run_id)
        (dataset,) = run.inputs.dataset_inputs
        source = store.client.get_model_version("scored", "1").source
        logged = store.client.get_logged_model(source.removeprefix("models:/"))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["registered.cityscapes/val.miou"] == 0.5
    assert run.data.metrics["registered.cityscapes/val.iou.person"] == 0.5
    assert "registered.cityscapes/val.iou.train" not in run.data.metrics  # None: it never occurs
    assert dataset.dataset.name == "gta5-train"
    assert json.loads(dataset.dataset.source)["tags"]["sha256"] == "0" * 64
    assert {metric.key for metric in logged.metrics} == set(run.data.metrics)
    assert len(logged.metrics) == 3 + 18
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]


def test_a_file_that_a_version_lacks_is_told_from_a_store_that_is_down(uri: str, exported, tmp_path: Path):
    register(exported.export.directory, "lacking", tracking_uri=uri)
    with connect(uri) as store:
        for file in ("none.json", "gate/0123456789abcdef/gate_report.json"):
            with pytest.raises(ContractError, match=f"models:/lacking/1: {file} is missing"):
                store.download("lacking", 1, file, tmp_path)


def test_a_copy_to_another_server_is_whole_and_a_challenger_there(
    uri: str, store_uri: str, exported: ExportResult, gate, tmp_path: Path
):
    register(exported.export.directory, "shipped", tracking_uri=store_uri)
    promote("shipped", 1, gate=gate, tracking_uri=store_uri)
    outcome = copy_version("shipped", "champion", from_uri=store_uri, to_uri=uri, to_name="arrived")
    assert outcome.new
    assert (outcome.version.version, outcome.version.aliases) == (1, ("challenger",))
    assert outcome.version.sha256 == outcome.origin.sha256
    assert json.loads(outcome.version.facts["origin"]) == {
        "registry": store_uri,
        "model": "shipped",
        "version": "1",
        "sha256": outcome.origin.sha256,
    }
    with connect(uri) as store:
        folder = store.download("arrived", 1, "", tmp_path / "all")
    (verdict,) = (folder / "origin").iterdir()
    assert {path.name for path in verdict.iterdir()} >= {"gate_report.json", "gate_report.sig"}
    assert not (folder / "gate").exists()  # nobody has judged it here
    assert not copy_version("shipped", "champion", from_uri=store_uri, to_uri=uri, to_name="arrived").new
    assert promote("arrived", gate=gate, tracking_uri=uri).version == 1
    with pytest.raises(RegistryError, match=r"does not|not found|refused|failed"):
        copy_version("shipped", "champion", from_uri=store_uri, to_uri="http://127.0.0.1:9", to_name="arrived")


def test_a_version_whose_file_changed_is_not_copied(name: str, uri: str, store_uri: str, variant):
    made = register(variant(step=len(name)).directory, name, tracking_uri=store_uri)  # a file of its own each time
    artifacts = Path(store_uri.removeprefix("sqlite:///")).parent / "artifacts"
    (stored,) = (path for path in artifacts.rglob("weights.safetensors") if made.sha256 in _manifest_beside(path))
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    there = f"{store_uri} models:/{name}/1/weights.safetensors: are not the weights that the model card names"
    with pytest.raises(ContractError, match=re.escape(there)):
        copy_version(name, 1, from_uri=store_uri, to_uri=uri)
    with pytest.raises(RegistryError, match=f"no model is called '{name}' here"):
        list_versions(name, tracking_uri=uri)


@pytest.mark.slow  # two processes that import everything
def test_two_processes_promoting_at_once_lose_no_champion(uri: str, exported: ExportResult, variant, gate):
    for export in (variant(step=1), exported.export):
        register(export.directory, "raced", tracking_uri=uri)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [pool.submit(promote, "raced", version, gate=gate, tracking_uri=uri) for version in (1, 2)]
        outcomes = [task.result(timeout=600) for task in tasks]
    first, second = sorted(outcomes, key=lambda outcome: outcome.previous or 0)
    assert first.previous is None
    assert second.previous == first.version == second.report.champion
    assert aliases("raced", uri) == {"champion": second.version, "previous": first.version}


def _manifest_beside(path: Path) -> str:
    return (path.parent / "manifest.json").read_text()
