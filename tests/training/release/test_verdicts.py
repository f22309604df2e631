"""Verdicts as they lie in the registry: what is stored, which of them count, and for what."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import ConfigurationError, ContractError, GateRefusedError, NotRegisteredError
from isthmus.gate_report import GateReport
from isthmus.signing import PublicKey, key_path, make_key, signing_key
from isthmus.training.export import ExportResult
from isthmus.training.gate import GateConfig
from isthmus.training.mlflow_store import connect
from isthmus.training.moves import moves_of, who
from isthmus.training.promotion import promote, rollback
from isthmus.training.registry import register
from isthmus.training.registry_details import describe
from isthmus.training.registry_versions import aliases_of, find_version, list_versions
from isthmus.training.verdicts import accepted_report, read_verdict, verdict_folder

OVERRULED = "Closed track without people"


@pytest.fixture
def trusted() -> PublicKey:
    return signing_key().public


@pytest.fixture
def strict(gate: GateConfig) -> GateConfig:
    """A gate that nobody passes."""
    (target,) = gate.targets
    return replace(gate, title="strict", targets=(replace(target, min_miou=1.0),))


@pytest.fixture
def accepted(store_uri: str, name: str, trusted: PublicKey, tmp_path: Path):
    """Ask for the verdict that lets a version hold an alias."""

    def ask(version: int, alias: str = "champion", key: PublicKey | None = trusted) -> GateReport:
        with connect(store_uri) as store:
            into = tmp_path / f"verdict-{len(list(tmp_path.iterdir()))}"
            return accepted_report(store, find_version(store, name, version), alias, key, into)

    return ask


def set_alias(name: str, alias: str, version: int, store_uri: str) -> None:
    """As a person does in MLflow's page."""
    with connect(store_uri) as store:
        store.client.set_registered_model_alias(name, alias, str(version))


def set_tag(name: str, version: int, key: str, value: str, store_uri: str) -> None:
    with connect(store_uri) as store:
        store.client.set_model_version_tag(name, str(version), key, value)


def tag(name: str, version: int, fact: str, store_uri: str) -> dict:
    with connect(store_uri) as store:
        return json.loads(find_version(store, name, version).facts[fact])


def test_the_verdict_is_signed_and_stored_with_its_page(name, exported: ExportResult, gate, store_uri, tmp_path):
    made = register(exported.export.directory, name, tracking_uri=store_uri)
    outcome = promote(name, gate=gate, tracking_uri=store_uri)
    with connect(store_uri) as store:
        signed = read_verdict(store, find_version(store, name, 1), "champion", tmp_path / "verdict")
        folder = store.download(name, 1, "", tmp_path / "all")
    signed.check(signing_key().public)
    assert signed.report == outcome.report
    assert (signed.report.challenger_sha256, signed.report.alias) == (made.sha256, "champion")
    own = folder / verdict_folder(outcome.report)
    assert {path.name for path in own.iterdir()} == {
        *("gate_report.json", "gate_report.sig", "evidence.json", "gate.yaml", "report.html"),
    }
    assert own.name == hashlib.sha256(signed.content).hexdigest()[:16]
    for file, digest in {
        "evidence.json": signed.report.evidence_sha256,
        "gate.yaml": signed.report.gate_sha256,
    }.items():
        assert hashlib.sha256((own / file).read_bytes()).hexdigest() == digest
    assert "road" in (folder / "report.html").read_text()
    assert (folder / "MODEL_CARD.md").read_text().startswith("---")
    tampered = replace(signed, content=signed.content.replace(b'"passed":true', b'"passed":maybe'))
    with pytest.raises(ContractError, match="not one of key"):
        tampered.check(signing_key().public)


def test_without_a_key_nothing_is_judged(name, exported: ExportResult, gate, store_uri, tmp_path):
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.raises(ConfigurationError, match="no signing key here"):
        promote(name, gate=gate, key=tmp_path / "none.key", tracking_uri=store_uri)
    assert "gate.champion" not in list_versions(name, tracking_uri=store_uri)[0].facts
    assert key_path().parent.parent.name.startswith("config")  # the tests' own


def test_a_verdict_counts_for_its_own_alias_only(name, exported: ExportResult, gate, store_uri, accepted):
    register(exported.export.directory, name, tracking_uri=store_uri)
    report = promote(name, gate=gate, to="mine", tracking_uri=store_uri).report
    assert accepted(1, "mine") == report
    assert "version 1 for mine against no mine yet" in report.to_text()
    with pytest.raises(NotRegisteredError, match="no gate has judged this version for champion"):
        accepted(1)
    set_tag(name, 1, "isthmus.gate.champion", json.dumps(tag(name, 1, "gate.mine", store_uri)), store_uri)
    with pytest.raises(ContractError, match="it was given for mine"):
        accepted(1)


def test_a_verdict_of_another_version_file_or_key_does_not_count(
    name, exported: ExportResult, variant, gate, store_uri, accepted, trusted, tmp_path
):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    report = accepted(1)
    make_key(tmp_path / "other.key")
    other = signing_key(tmp_path / "other.key").public
    with pytest.raises(ContractError, match=f"the one to check with is {other.fingerprint}"):
        accepted(1, key=other)
    with connect(store_uri) as store:
        version = find_version(store, name, 1)
        for changes, problem in {
            ("version", 2): "it is about .* version 1",
            ("name", "lane"): f"it is about {name} version 1",
            ("sha256", "0" * 64): "it is about another model.onnx",
        }.items():
            wrong = replace(version, **dict([changes]))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(store), "download", _downloading(store, name))
                with pytest.raises(ContractError, match=problem):
                    accepted_report(store, wrong, "champion", trusted, tmp_path / "wrong")
    assert accepted(1, key=None) == report


def _downloading(store, name: str):
    """Downloads of version 1, whatever version is asked for."""
    whole = type(store).download
    return lambda self, _name, _version, file, into: whole(self, name, 1, file, into)


def test_damaged_files_and_tags_are_contract_errors(name, exported: ExportResult, gate, store_uri, accepted, trusted):
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    text = json.dumps(tag(name, 1, "gate.champion", store_uri))
    for damaged in ("no JSON", "{}", text.replace('"gate/', '"../').replace(accepted(1).challenger_sha256, "")[:-9]):
        set_tag(name, 1, "isthmus.gate.champion", damaged, store_uri)
        with pytest.raises(ContractError, match="the tag of the verdict is damaged"):
            accepted(1)
    set_tag(name, 1, "isthmus.gate.champion", text, store_uri)
    (signature,) = _stored(name, store_uri, "gate_report.sig")
    whole = signature.read_bytes()
    signature.write_bytes(b"\xff\xfe" + whole)
    with pytest.raises(ContractError, match="the signature is not base64"):
        accepted(1)
    (verdict,) = describe(name, 1, key=trusted, tracking_uri=store_uri)[0].verdicts
    assert verdict.standing == "NOT GOOD: the signature is not base64"
    signature.unlink()
    with pytest.raises(ContractError, match=r"gate_report\.sig is missing"):
        accepted(1)
    signature.write_bytes(whole)
    (report,) = _stored(name, store_uri, "gate_report.json")
    report.write_bytes(report.read_bytes() + b" ")
    with pytest.raises(ContractError, match="the report is not the one that the version's tag names"):
        accepted(1)


def _stored(name: str, store_uri: str, file: str) -> list[Path]:
    """A file of version 1's verdicts where the store keeps it."""
    with connect(store_uri) as store:
        location = store.client.get_model_version_download_uri(name, "1")
    return list((Path(location.removeprefix("file://")) / "gate").rglob(file))


def test_a_refusal_for_another_alias_changes_nothing_for_the_champion(
    name, exported: ExportResult, gate, strict, store_uri, accepted
):
    register(exported.export.directory, name, tracking_uri=store_uri)
    report = promote(name, gate=gate, tracking_uri=store_uri).report
    with pytest.raises(GateRefusedError):
        promote(name, 1, gate=strict, to="staging", tracking_uri=store_uri)
    assert accepted(1) == report
    with pytest.raises(ContractError, match="the gate refused this version"):
        accepted(1, "staging")


def test_a_refusal_does_not_take_the_verdict_that_a_rollback_needs(
    name, exported: ExportResult, variant, gate, strict, store_uri, accepted
):
    for export in (variant(step=1), exported.export, variant(step=2)):
        register(export.directory, name, tracking_uri=store_uri)
    first = promote(name, 1, gate=gate, tracking_uri=store_uri).report
    promote(name, 2, gate=gate, tracking_uri=store_uri)
    with pytest.raises(GateRefusedError):
        promote(name, "previous", gate=strict, tracking_uri=store_uri)
    assert accepted(1) == first
    assert tag(name, 1, "gate.champion.refused", store_uri)["gate"] == "strict"
    assert rollback(name, tracking_uri=store_uri).warning == ""

    promote(name, 3, gate=gate, to="champion", tracking_uri=store_uri)  # now 2 is nothing any more
    with pytest.raises(GateRefusedError):
        promote(name, 2, gate=strict, tracking_uri=store_uri)
    with pytest.raises(ContractError, match="the gate refused this version"):
        accepted(2)


def test_a_champion_that_no_gate_saw_is_judged(
    name, exported: ExportResult, variant, gate, strict, store_uri, accepted, trusted
):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    set_alias(name, "champion", 2, store_uri)
    with pytest.raises(GateRefusedError):
        promote(name, "champion", gate=strict, tracking_uri=store_uri)
    with pytest.raises(ContractError, match="the gate refused this version"):
        accepted(2)
    outcome = promote(name, "champion", gate=gate, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous, outcome.report.champion) == (2, None, 1)  # the log names 1 before it
    assert accepted(2) == outcome.report
    assert promote(name, "champion", gate=strict, tracking_uri=store_uri).report is None  # it counts
    with connect(store_uri) as store:
        assert aliases_of(store, name)["champion"] == 2
        assert [(move.version, move.before) for move in moves_of(store, name)] == [(2, 1), (1, None)]


def test_a_rollback_says_that_the_gate_refused_what_serves_then(
    name, exported: ExportResult, variant, gate, strict, store_uri, trusted
):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    set_alias(name, "champion", 1, store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    promote(name, 2, gate=gate, tracking_uri=store_uri)
    back = rollback(name, key=trusted, tracking_uri=store_uri)
    assert (back.version, back.warning) == (1, "no gate has judged this version for champion")
    promote(name, 1, gate=strict, force=OVERRULED, tracking_uri=store_uri)
    rollback(name, tracking_uri=store_uri)
    warning = rollback(name, key=trusted, tracking_uri=store_uri).warning  # forced, and so accepted, but not silently
    assert warning == f"refused, and promoted by force by {who()}: {OVERRULED}"
