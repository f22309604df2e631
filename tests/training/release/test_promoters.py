"""Several promoters at once: none of them loses a champion, and none counts on a verdict that is out of date."""

import fcntl
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import GateRefusedError
from isthmus.training import moves
from isthmus.training.mlflow_store import connect, store_lock
from isthmus.training.moves import claim, end, moves_of, new_move
from isthmus.training.promotion import promote
from isthmus.training.registry import register
from isthmus.training.registry_versions import aliases_of, find_version
from isthmus.training.verdicts import accepted_report


def aliases(name: str, store_uri: str) -> dict[str, int]:
    with connect(store_uri) as store:
        return aliases_of(store, name)


def test_verdict_against_a_champion_that_was_replaced_does_not_count(name, exported, variant, gate, store_uri):
    for export in (variant(step=1), variant(step=2), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
    judged = []

    def interfere(done: int, total: int) -> None:
        judged.append(done)
        if len(judged) == 1:  # another promoter is faster
            with connect(store_uri) as store:
                store.client.set_registered_model_alias(name, "champion", "2")

    outcome = promote(name, 3, gate=gate, tracking_uri=store_uri, on_progress=interfere)
    assert judged.count(1) == 2  # judged again, against version 2
    assert (outcome.previous, outcome.report.champion) == (2, 2)
    assert aliases(name, store_uri) == {"champion": 3, "previous": 2}


def test_whoever_sees_another_about_to_move_waits_and_is_judged_again_if_they_did(
    name, exported, variant, gate, store_uri, monkeypatch
):
    for export in (variant(step=1), variant(step=2), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
    promote(name, 1, gate=gate, tracking_uri=store_uri)
    with connect(store_uri) as store:
        theirs = claim(store, name, new_move("promote", "champion", 2, 1))  # of the same user and machine, even

    def they_finish() -> None:
        with connect(store_uri) as store:
            store.client.set_registered_model_alias(name, "champion", "2")
            end(store, name, theirs)

    monkeypatch.setattr(moves, "_pause", they_finish)
    outcome = promote(name, 3, gate=gate, tracking_uri=store_uri)
    assert (outcome.previous, outcome.report.champion) == (2, 2)
    assert aliases(name, store_uri) == {"champion": 3, "previous": 2}
    with connect(store_uri) as store:
        log = [(move.version, move.before, move.state) for move in moves_of(store, name)]
    assert log == [(3, 2, "done"), (2, 1, "done"), (1, None, "done")]  # what gave way is not in it


def test_whoever_waits_for_a_move_that_comes_to_nothing_is_not_judged_again(
    name, exported, variant, gate, store_uri, monkeypatch
):
    for export in (variant(step=1), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
    with connect(store_uri) as store:
        theirs = claim(store, name, new_move("promote", "champion", 1, None))

    def they_give_up() -> None:
        with connect(store_uri) as store:
            end(store, name, theirs, "broken off")

    monkeypatch.setattr(moves, "_pause", they_give_up)
    judged = []
    promote(name, 2, gate=gate, tracking_uri=store_uri, on_progress=lambda done, total: judged.append(done))
    assert judged.count(1) == 1
    assert aliases(name, store_uri) == {"champion": 2}


def test_a_refusal_of_the_same_version_meanwhile_does_not_take_its_verdict(
    name, exported, gate, store_uri, monkeypatch, tmp_path
):
    register(exported.export.directory, name, tracking_uri=store_uri)
    (target,) = gate.targets
    strict = replace(gate, targets=(replace(target, min_miou=1.0),))
    with connect(store_uri) as store:
        theirs = claim(store, name, new_move("promote", "champion", 1, None))

    def they_refuse() -> None:
        with connect(store_uri) as store:
            end(store, name, theirs, "broken off")
        with pytest.raises(GateRefusedError):
            promote(name, 1, gate=strict, tracking_uri=store_uri)

    monkeypatch.setattr(moves, "_pause", they_refuse)
    report = promote(name, 1, gate=gate, tracking_uri=store_uri).report
    with connect(store_uri) as store:
        assert accepted_report(store, find_version(store, name, 1), "champion", None, tmp_path / "verdict") == report


def test_a_refusal_waits_for_a_promotion_of_the_same_version_to_end(
    name, exported, gate, store_uri, monkeypatch, tmp_path
):
    register(exported.export.directory, name, tracking_uri=store_uri)
    report = promote(name, 1, gate=gate, tracking_uri=store_uri).report
    (target,) = gate.targets
    strict = replace(gate, targets=(replace(target, min_miou=1.0),))
    with connect(store_uri) as store:  # as it is between a promoter's two calls: accepted, and not yet the champion
        store.client.delete_registered_model_alias(name, "champion")
        theirs = claim(store, name, new_move("promote", "champion", 1, None))

    def they_finish() -> None:
        with connect(store_uri) as store:
            store.client.set_registered_model_alias(name, "champion", "1")
            end(store, name, theirs)

    monkeypatch.setattr(moves, "_pause", they_finish)
    with pytest.raises(GateRefusedError):
        promote(name, 1, gate=strict, tracking_uri=store_uri)
    with connect(store_uri) as store:
        version = find_version(store, name, 1)
        assert accepted_report(store, version, "champion", None, tmp_path / "verdict") == report
        assert [(move.action, move.state) for move in moves_of(store, name)] == [("promote", "done")] * 2
    assert "gate.champion.refused" in version.facts


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
