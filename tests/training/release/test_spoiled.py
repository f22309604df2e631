"""The model that is bad on purpose: in order but for what it says; and the demo, which must see it refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from isthmus.artifact import sha256_of
from isthmus.cli import demonstration
from isthmus.cli.demonstration.page import _refusals
from isthmus.cli.demonstration.plan import Places
from isthmus.cli.demonstration.spoiled import SPOILED_NAME, shuffle_labels
from isthmus.cli.demonstration.steps import Journal
from isthmus.errors import ContractError, GateRefusedError
from isthmus.training.export import ExportResult, load_export
from isthmus.training.onnx_model import OnnxModel


def test_every_class_becomes_another_one_and_all_else_is_in_order(
    exported: ExportResult, real_frame: np.ndarray, tmp_path
):
    before = sha256_of(exported.export.onnx_file)
    for _ in range(2):  # the second time over the first
        shuffle_labels(exported.export.directory, tmp_path / "bad")
    assert sha256_of(exported.export.onnx_file) == before
    bad = OnnxModel(load_export(tmp_path / "bad").onnx_file)
    assert bad.card.name == SPOILED_NAME
    assert bad.golden_agreement() == 1.0

    honest, confidence = OnnxModel(exported.export.onnx_file).predict(real_frame[None])
    labels, same_confidence = bad.predict(real_frame[None])
    table = {int(old): int(new) for old, new in zip(honest.ravel(), labels.ravel(), strict=True)}
    assert len(table) >= 10
    assert len(set(table.values())) == len(table)  # one for one
    assert all(old != new for old, new in table.items())
    assert all(labels[honest == old].min() == labels[honest == old].max() for old in table)
    assert (confidence == same_confidence).all()


@pytest.fixture
def places(exported: ExportResult, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A demo's folders in which the first model is exported."""
    monkeypatch.chdir(repository)
    places = Places(tmp_path)
    shutil.copytree(exported.export.directory, places.export("source_only"))
    return places


def test_the_demo_shows_the_refusal(places: Places):
    ran: list[str] = []

    def run(arguments):
        ran.append(arguments[0])
        if arguments[0] == "promote":
            assert arguments[-2:] == ["--key", str(places.key)]
            raise GateRefusedError("FAILED  mIoU floor")

    journal = Journal(places.output, run, Console(quiet=True))
    demonstration.show_refusal(journal, places)
    assert ran == ["register", "promote"]
    assert load_export(places.export("shuffled")).card.name == SPOILED_NAME
    assert _refusals(journal.finished) == [{"on_purpose": True, "text": "FAILED  mIoU floor"}]


@pytest.mark.parametrize("answer", [None, GateRefusedError("FAILED  latency against the champion")])
def test_the_demo_fails_where_the_gate_does_not_see_it(places: Places, answer: GateRefusedError | None):
    def run(arguments):
        if answer is not None and arguments[0] == "promote":
            raise answer

    with pytest.raises(ContractError, match="did not refuse a model with shuffled labels for its mIoU"):
        demonstration.show_refusal(Journal(places.output, run, Console(quiet=True)), places)
