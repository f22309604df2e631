import json
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.artifact import CardDataset, sha256_of
from isthmus.cli.demonstration.spoiled import SPOILED_NAME, shuffle_labels
from isthmus.datasets.catalogue import build_dataset, dataset_digest
from isthmus.errors import ConfigurationError, ContractError, GateRefusedError, NotRegisteredError
from isthmus.signing import signing_key
from isthmus.training.export import ExportResult, load_export
from isthmus.training.gate import GateConfig
from isthmus.training.mlflow_store import connect
from isthmus.training.moves import moves_of
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.promotion import promote, rollback
from isthmus.training.registry import register
from isthmus.training.registry_versions import aliases_of, list_versions


def aliases(name: str, store_uri: str) -> dict[str, int]:
    with connect(store_uri) as store:
        return aliases_of(store, name)


def test_first_promotion_meets_the_floors_alone(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (1, None, None)
    rules = {result.rule for result in outcome.report.results}
    assert rules >= {"label space", "evaluation", "unseen frames", "golden frame", "mIoU floor"}
    assert not any("champion" in rule for rule in rules)
    assert "no champion yet: the floors alone decide; 2 frames of cityscapes/val" in outcome.report.to_text()
    assert aliases(name, store_uri) == {"champion": 1}  # no longer the challenger
    (version,) = list_versions(name, tracking_uri=store_uri)
    summary = json.loads(version.facts["gate.champion"])
    assert (summary["outcome"], summary["champion"], summary["gate"]) == ("passed", None, "tests")
    assert summary["key"] == signing_key().public.fingerprint
    assert summary["forced"] is None


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
    assert "version 3 for champion against version 2; 2 frames of cityscapes/val" in message
    assert "FAILED  mIoU against the champion" in message
    assert "points)" in message
    assert message.endswith("\nNo alias has moved.")
    assert aliases(name, store_uri) == {"challenger": 3, "champion": 2, "previous": 1}
    newest = list_versions(name, tracking_uri=store_uri)[0]
    assert json.loads(newest.facts["gate.champion"])["outcome"] == "refused"
    with connect(store_uri) as store:
        log = [(move.action, move.version, move.before) for move in moves_of(store, name)]
    assert log == [("promote", 2, 1), ("promote", 1, None)]  # the refused one moved nothing


def test_a_small_drop_passes_where_the_gate_allows_it(name, exported: ExportResult, variant, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(variant(blind_to=("road",)).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError):
        promote(name, 2, gate=gate, tracking_uri=store_uri)
    allowed = _with(gate, max_miou_drop=0.3, max_class_iou_drop=None)
    assert promote(name, 2, gate=allowed, tracking_uri=store_uri).version == 2


def test_promoting_the_champion_changes_nothing(name, exported: ExportResult, variant, gate, store_uri):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    again = promote(name, "champion", gate=gate, tracking_uri=store_uri)
    assert (again.version, again.previous) == (2, None)
    assert again.report is None
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


def test_shuffled_labels_are_refused(name, exported: ExportResult, gate, store_uri, tmp_path):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    shuffle_labels(exported.export.directory, tmp_path / "shuffled")
    assert load_export(tmp_path / "shuffled").card.name == SPOILED_NAME
    register(tmp_path / "shuffled", name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +mIoU floor +0\.\d\d % +at least 20\.00 %") as caught:
        promote(name, gate=gate, tracking_uri=store_uri)
    assert "passed  golden frame" in str(caught.value)  # it is in order, but for what it says
    assert aliases(name, store_uri) == {"challenger": 2, "champion": 1}


def test_a_model_that_is_worse_on_people_alone_is_refused(name, variant, gate, store_uri):
    register(variant(blind_to=("sky", "building", "fence")).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(variant(blind_to=("person",)).directory, name, tracking_uri=store_uri)  # two classes better, one worse
    with pytest.raises(GateRefusedError) as caught:
        promote(name, gate=gate, tracking_uri=store_uri)
    refused = [line for line in str(caught.value).splitlines() if "FAILED" in line or "MISSING" in line]
    assert len(refused) == 1
    assert "IoU of person against the champion" in refused[0]


def test_a_model_that_nobody_evaluated_is_refused(name, variant, gate, store_uri):
    register(variant(evaluations=()).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"(FAILED|MISSING) +evaluation"):
        promote(name, gate=gate, tracking_uri=store_uri)


def test_a_refusal_can_be_overruled_for_a_reason_that_is_kept(name, exported: ExportResult, variant, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(variant(blind_to=("person",)).directory, name, tracking_uri=store_uri)
    for reason in ("", "because   ", "x" * 1001):
        with pytest.raises(ConfigurationError, match="it needs 10 to 1000"):
            promote(name, gate=gate, force=reason, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, force="No people on this   closed track", tracking_uri=store_uri)
    assert not outcome.report.passed
    assert outcome.report.forced.reason == "No people on this closed track"
    assert outcome.report.to_text().endswith(f"forced by {outcome.report.forced.by}: No people on this closed track")
    summary = json.loads(list_versions(name, tracking_uri=store_uri)[0].facts["gate.champion"])
    assert summary["outcome"] == "forced"
    assert summary["forced"]["reason"] == "No people on this closed track"
    with connect(store_uri) as store:
        newest = moves_of(store, name)[0]
    assert (newest.action, newest.version, newest.before) == ("force", 2, 1)
    assert newest.reason == "No people on this closed track"
    assert aliases(name, store_uri) == {"champion": 2, "previous": 1}


def test_a_reason_that_was_not_needed_is_not_kept(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, force="just to be on the safe side", tracking_uri=store_uri)
    assert outcome.report.forced is None
    with connect(store_uri) as store:
        assert [(move.action, move.reason) for move in moves_of(store, name)] == [("promote", "")]


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
    export = variant(step=4711)
    made = register(export.directory, name, tracking_uri=store_uri)
    file = stored(made.sha256, store_uri)
    content = bytearray(file.read_bytes())
    position = content.index(b"source_only")
    content[position : position + 11] = b"source_0nly"
    file.write_bytes(content)
    for force in (None, "it is only one byte"):  # what cannot be trusted cannot be forced
        with pytest.raises(
            GateRefusedError, match=r"FAILED +contract +model\.onnx is not the file that manifest\.json"
        ):
            promote(name, gate=gate, force=force, tracking_uri=store_uri)


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(file.read_bytes()[:100]), Path.unlink])
def test_a_damaged_champion_refuses_until_somebody_says_why_not(name, variant, gate, store_uri, damage):
    champion = register(variant(step=400 + len(name)).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    damage(stored(champion.sha256, store_uri))
    register(variant(step=5).directory, name, tracking_uri=store_uri)
    with pytest.raises(
        GateRefusedError, match=r"MISSING +comparison with the champion +version 1 cannot be op"
    ) as caught:
        promote(name, gate=gate, tracking_uri=store_uri)
    assert "version 2 for champion against version 1, which cannot be opened; 2 frames" in str(caught.value)
    assert "passed   mIoU floor" in str(caught.value)
    outcome = promote(name, gate=gate, force="Version 1 was lost with its disk", tracking_uri=store_uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (2, 1, 1)
    assert outcome.report.champion_sha256 is None


def stored(sha256: str, store_uri: str) -> Path:
    """Where a version's `model.onnx` lies."""
    artifacts = Path(store_uri.removeprefix("sqlite:///")).parent / "artifacts"
    (file,) = (path for path in artifacts.rglob("model.onnx") if sha256_of(path) == sha256)
    return file


def test_a_gate_on_the_frames_that_trained_the_challenger_fails(name, variant, gate, store_uri):
    digest = dataset_digest(build_dataset(gate.targets[0].data))
    source = CardDataset(role="source", dataset="cityscapes", split="val", num_frames=3, digest=digest)
    register(variant(datasets=(source,)).directory, name, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError, match=r"FAILED +unseen frames +trained on cityscapes/val"):
        promote(name, gate=gate, tracking_uri=store_uri)


def test_missing_versions_and_wrong_targets_are_named(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, f"{name}-of-another-name", tracking_uri=store_uri)
    with pytest.raises(NotRegisteredError, match=f"no model is called '{name}' here.*Its models: .*{name}-of-another"):
        promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.raises(NotRegisteredError, match=rf"'{name}' has no version 5\. Its versions: 1\."):
        promote(name, 5, gate=gate, tracking_uri=store_uri)
    with pytest.raises(ConfigurationError, match="'previous' cannot be promoted to"):
        promote(name, 1, gate=gate, to="previous", tracking_uri=store_uri)
    for wrong in ("", "two words", "a.b", "ü", "Latest", "v1", "7", "x" * 101):  # before anything is judged
        with pytest.raises(ConfigurationError, match="is no alias"):
            promote(name, 1, gate=gate, to=wrong, tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 1}


def test_own_alias_moves_without_touching_the_others(name, exported: ExportResult, variant, gate, store_uri):
    for export in (variant(step=1), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
        promote(name, gate=gate, to="staging", tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 2, "staging": 2}
    said = promote(name, 1, gate=gate, to="staging", force="Only to hear what it says", tracking_uri=store_uri)
    text = said.report.to_text()
    assert "mIoU against the staging" in text
    assert "IoU of person against the staging" in text
    assert "champion" not in text


def test_broken_golden_frame_is_a_contract_error(exported: ExportResult, variant):
    golden = exported.export.card.golden.model_copy(update={"labels_png": "bm8gcG5n"})
    model = OnnxModel(variant(golden=golden, honest=False).onnx_file)
    with pytest.raises(ContractError, match="golden frame"):
        model.golden_agreement()


def _with(gate: GateConfig, **changes: object) -> GateConfig:
    """The same gate with other rules about its one target."""
    (target,) = gate.targets
    return replace(gate, targets=(replace(target, **changes),))
