from dataclasses import replace

import pytest

from isthmus.errors import ContractError
from isthmus.gate_report import Forced, GateReport, Outcome, canonical_json


def test_canonical_json_depends_on_the_values_alone():
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == canonical_json({"a": "ü", "b": [1, 2.5]})
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


@pytest.mark.parametrize("passed", [True, False])
def test_report_comes_back_as_it_was(gate_examples, passed: bool):
    report = gate_examples.example_report(passed=passed)
    assert report.passed is passed
    assert report.to_tree()["passed"] is passed
    assert GateReport.from_bytes(report.to_bytes()) == report
    assert GateReport.from_tree(report.to_tree()).to_bytes() == report.to_bytes()


def test_missing_refuses_and_no_rule_at_all_does_too(gate_examples):
    report = gate_examples.example_report()
    missing = replace(report.results[0], outcome=Outcome.MISSING)
    assert not replace(report, results=(missing,)).passed
    assert not replace(report, results=()).passed
    forced = replace(report, results=(missing,), forced=Forced(by="Ada", reason="only a demonstration"))
    assert not forced.passed
    assert "forced by Ada: only a demonstration" in forced.to_text()


def test_refusals_come_first_and_say_what_to_do(gate_examples):
    report = gate_examples.example_report(passed=False)
    assert [result.outcome for result in report.refusals] == [Outcome.FAILED, Outcome.MISSING]
    lines = report.to_text().splitlines()
    assert lines[0] == "version 3 against version 2; 2 frames of camvid/val, 2 frames of street"
    assert [line.split()[0] for line in lines[2:]] == ["FAILED", "MISSING", "passed", "→", "→"]
    assert "50.00 %" in lines[2]
    assert "at least 60.00 %" in lines[2]
    assert lines[-1].endswith("Name source frames to fit on.")


def test_what_it_was_compared_with_is_said(gate_examples):
    report = gate_examples.example_report(with_champion=False)
    assert report.to_text().startswith("version 3 against no champion yet: the floors alone decide; 2 frames")
    assert (
        replace(report, note="version 1, which is damaged").to_text().startswith("version 3 against version 1, which")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passed": False}, "says passed: false, its results true"),
        ({"passed": None}, "says passed: null"),
        ({"schema": 2}, "has schema 2, this version reads 1"),
        ({"verdict": "good"}, "verdict: unknown key"),
        ({"challenger": "3"}, "challenger: "),
    ],
)
def test_anything_else_is_refused(gate_examples, change: dict, message: str):
    tree = gate_examples.example_report().to_tree()
    with pytest.raises(ContractError, match=message):
        GateReport.from_tree({**tree, **change}, where="models:/street/3")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{}"])
def test_no_report_at_all_is_refused(content: bytes):
    with pytest.raises(ContractError, match=r"report\.json: no gate report"):
        GateReport.from_bytes(content, where="report.json")
