import fcntl
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from isthmus.artifact import CardDataset, sha256_of
from isthmus.configuration import load_config
from isthmus.datasets.catalogue import DatasetConfig, build_dataset, dataset_digest
from isthmus.errors import ConfigurationError, ContractError, GateRefusedError, NotRegisteredError
from isthmus.training.export import ExportResult
from isthmus.training.gate import GateConfig, judge, spread
from isthmus.training.mlflow_store import connect, store_lock
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.promotion import promote, rollback
from isthmus.training.registry import aliases_of, list_versions, register


@pytest.fixture
def gate(data_root: Path) -> GateConfig:
    return GateConfig(
        dataset=DatasetConfig(dataset="cityscapes", root=data_root, split="val"),
        max_frames=2,
        min_miou=0.2,
        max_miou_drop=0.0,
        min_golden_agreement=0.999,
    )


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own in the shared store."""
    return request.node.name.replace("[", "-").replace("]", "")


def aliases(name: str, store_uri: str) -> dict[str, int]:
    with connect(store_uri) as store:
        return aliases_of(store, name)


def test_first_promotion_meets_the_floors_alone(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (1, None, None)
    assert [check.rule for check in outcome.report.checks] == [
        *("label space", "unseen frames", "golden frame", "mIoU floor"),
    ]
    assert "no champion yet: the floors alone decide; 2 frames of cityscapes/val" in outcome.report.to_text()
    assert aliases(name, store_uri) == {"champion": 1}  # no longer the challenger
    (version,) = list_versions(name, tracking_uri=store_uri)
    assert json.loads(version.facts["gate"])["passed"] is True


def test_first_promotion_below_the_floor_is_refused(name, variant, gate, store_uri):
    blind = variant(blind_to=("road", "sky", "building", "person", "car", "bus", "rider", "fence", "wall", "terrain"))
    register(blind.directory, name, tracking_uri=store_uri)
    strict = _with(gate, min_miou=0.6)
    with pytest.raises(GateRefusedError, match=r"FAILED +mIoU floor +\d+\.\d\d % +at least 60\.00 %"):
        promote(name, gate=strict, tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 1}


def test_better_one_passes_and_a_worse_one_does_not(name, exported: ExportResult, variant, gate, store_uri):
    worse, worst = variant(blind_to=("road",)), variant(blind_to=("road", "sky"))
    register(worse.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)

    register(exported.export.directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (2, 1, 1)
    assert aliases(name, store_uri) == {"champion": 2, "previous": 1}

    register(worst.directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError) as caught:
        promote(name, gate=gate, tracking_uri=store_uri)
    message = str(caught.value)
    assert "version 3 against version 2; 2 frames of cityscapes/val" in message
    assert "FAILED  mIoU against the champion" in message
    assert "points)" in message
    assert "No alias has moved." in message
    assert aliases(name, store_uri) == {"challenger": 3, "champion": 2, "previous": 1}
    newest = list_versions(name, tracking_uri=store_uri)[0]
    assert json.loads(newest.facts["gate"])["passed"] is False


def test_a_small_drop_passes_where_the_gate_allows_it(name, exported: ExportResult, variant, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(variant(blind_to=("road",)).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError):
        promote(name, 2, gate=gate, tracking_uri=store_uri)
    assert promote(name, 2, gate=_with(gate, max_miou_drop=0.2), tracking_uri=store_uri).version == 2


def test_promoting_the_champion_changes_nothing(name, exported: ExportResult, variant, gate, store_uri):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    again = promote(name, "champion", gate=gate, tracking_uri=store_uri)
    assert (again.version, again.previous) == (2, None)
    assert "version 2 is already champion" in again.report.to_text()
    assert aliases(name, store_uri) == {"champion": 2, "previous": 1}


def test_rollback_exchanges_champion_and_previous(name, exported: ExportResult, variant, gate, store_uri):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    with pytest.raises(NotRegisteredError, match="no previous champion"):
        rollback(name, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    outcome = rollback(name, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous) == (1, 2)
    assert aliases(name, store_uri) == {"champion": 1, "previous": 2}
    rollback(name, tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"champion": 2, "previous": 1}


def test_other_label_space_is_refused_without_a_look_at_scores(name, exported: ExportResult, variant, gate, store_uri):
    space = exported.export.card.label_space.model_copy(update={"id_hash": "0123456789ab"})
    register(variant(label_space=space).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +label space +0123456789ab +ours edce178bdb84") as caught:
        promote(name, gate=gate, tracking_uri=store_uri)
    assert "mIoU" not in str(caught.value)


def test_model_that_fails_its_golden_frame_is_refused(name, variant, gate, store_uri):
    lying = variant(blind_to=("sky",), honest=False)
    register(lying.directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +golden frame +\d+\.\d{3} % +at least 99\.900 %"):
        promote(name, gate=gate, tracking_uri=store_uri)


def test_tampered_file_is_refused(name, variant, gate, store_uri):
    export = variant(step=3)
    made = register(export.directory, name, tracking_uri=store_uri)
    artifacts = Path(store_uri.removeprefix("sqlite:///")).parent / "artifacts"
    (stored,) = (path for path in artifacts.rglob("model.onnx") if sha256_of(path) == made.sha256)
    content = bytearray(stored.read_bytes())
    position = content.index(b"source_only")
    content[position : position + 11] = b"source_0nly"
    stored.write_bytes(content)
    with pytest.raises(GateRefusedError, match=r"FAILED +contract +model\.onnx is not the file that manifest\.json"):
        promote(name, gate=gate, tracking_uri=store_uri)


def test_a_damaged_champion_does_not_stand_in_the_way_for_ever(name, variant, gate, store_uri):
    champion = register(variant(step=4).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    artifacts = Path(store_uri.removeprefix("sqlite:///")).parent / "artifacts"
    (stored,) = (path for path in artifacts.rglob("model.onnx") if sha256_of(path) == champion.sha256)
    stored.write_bytes(stored.read_bytes()[:100])
    register(variant(step=5).directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, tracking_uri=store_uri)
    assert (outcome.version, outcome.report.champion) == (2, None)
    assert "against version 1, which cannot be opened" in outcome.report.to_text()
    assert "the floors alone decide" in outcome.report.to_text()


def test_a_gate_on_the_frames_that_trained_the_challenger_fails(name, variant, gate, store_uri):
    digest = dataset_digest(build_dataset(gate.dataset))
    source = CardDataset(role="source", dataset="cityscapes", split="val", num_frames=3, digest=digest)
    register(variant(datasets=(source,)).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +unseen frames +trained on cityscapes/val"):
        promote(name, gate=gate, tracking_uri=store_uri)


def test_missing_versions_and_wrong_targets_are_named(name, exported: ExportResult, gate, store_uri):
    with pytest.raises(NotRegisteredError, match="not found"):
        promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.raises(NotRegisteredError, match="version=5"):
        promote(name, 5, gate=gate, tracking_uri=store_uri)
    with pytest.raises(ConfigurationError, match="'previous' cannot be promoted to"):
        promote(name, 1, gate=gate, to="previous", tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 1}


def test_own_alias_moves_without_touching_the_others(name, exported: ExportResult, variant, gate, store_uri):
    for export in (variant(step=1), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
        promote(name, gate=gate, to="staging", tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 2, "staging": 2}


def test_verdict_against_a_champion_that_was_replaced_does_not_count(name, exported, variant, gate, store_uri):
    for export in (variant(step=1), variant(step=2), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
    judged = []

    def interfere(done: int, total: int) -> None:
        judged.append(done)
        if len(judged) == 1:  # another promoter is faster
            with connect(store_uri) as store:
                store.client.set_registered_model_alias(name, "champion", "2")

    outcome = promote(name, 3, gate=gate, tracking_uri=store_uri, on_frame=interfere)
    assert judged == [1, 2, 1, 2]
    assert (outcome.previous, outcome.report.champion) == (2, 2)
    assert aliases(name, store_uri) == {"champion": 3, "previous": 2}


@pytest.mark.slow  # two processes that import everything; the interleaving itself is tested above
def test_two_processes_promoting_at_once_lose_no_champion(name, exported, variant, gate, store_uri):
    for export in (variant(step=1), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [pool.submit(promote, name, version, gate=gate, tracking_uri=store_uri) for version in (1, 2)]
        outcomes = [task.result(timeout=300) for task in tasks]
    first, second = sorted(outcomes, key=lambda outcome: outcome.previous or 0)
    assert first.previous is None
    assert second.previous == first.version == second.report.champion
    assert aliases(name, store_uri) == {"champion": second.version, "previous": first.version}


def test_lock_is_held_while_aliases_move(store_uri):
    path = Path(store_uri.removeprefix("sqlite:///")).parent / "isthmus.lock"
    with store_lock(store_uri), path.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_scores_are_those_of_the_gates_frames(exported: ExportResult, variant, gate):
    # Blind to a class means IoU 0 for it instead of nearly 1: with 19 classes that costs about 1/19 of the mIoU,
    # and a little more for the pixels that go to a neighbour.
    whole = OnnxModel(exported.export.onnx_file)
    report = judge(OnnxModel(variant(blind_to=("train",)).onnx_file), whole, gate, versions=(2, 1))
    (check,) = (check for check in report.checks if check.rule == "mIoU against the champion")
    points = float(check.measured.partition("(")[2].partition(" ")[0])
    assert -15 < points < -3
    assert not report.passed
    assert report.num_frames == 2
    assert len(report.dataset_digest) == 64


def test_frames_are_spread_over_the_data_set():
    assert spread(10, 4) == (0, 3, 6, 9)
    assert spread(3, 200) == (0, 1, 2)
    assert spread(5, 1) == (0,)


def test_every_shipped_gate_loads(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATA", "/data/camvid")
    monkeypatch.setenv("DEMO", "/demo")
    gates = {
        path.stem: load_config(path, GateConfig) for path in sorted((repository / "configs" / "gate").glob("*.yaml"))
    }
    assert list(gates) == ["default", "demo"]
    assert gates["default"].dataset.root == Path("/data/camvid")


@pytest.mark.parametrize(
    ("key", "value"), [("max_frames", 0), ("min_miou", 25.0), ("max_miou_drop", -0.1), ("min_golden_agreement", 99.9)]
)
def test_impossible_rules_are_refused(repository: Path, key: str, value: float):
    with pytest.raises(ConfigurationError, match=key):
        load_config(repository / "configs" / "gate" / "default.yaml", GateConfig, [f"{key}={value}"])


def test_broken_golden_frame_is_a_contract_error(exported: ExportResult, variant):
    golden = exported.export.card.golden.model_copy(update={"labels_png": "bm8gcG5n"})
    model = OnnxModel(variant(golden=golden, honest=False).onnx_file)
    with pytest.raises(ContractError, match="golden frame"):
        model.golden_agreement()


def _with(gate: GateConfig, **changes: float) -> GateConfig:
    from dataclasses import replace

    return replace(gate, **changes)
