"""The log of a model's aliases, and how promoters keep out of each other's way."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from isthmus.training import moves
from isthmus.training.mlflow_store import Connection
from isthmus.training.moves import claim, end, ending, moves_of, new_move, unmoved

MINE = replace(new_move("promote", "champion", 3, 1), by="me@here")
THEIRS = replace(MINE, version=2)


class Client:
    """As much of MLflow's client as a log needs: tags and aliases of one registered model."""

    def __init__(self) -> None:
        self.tags = {"owner": "somebody"}
        self.aliases = {"champion": "1"}

    def set_registered_model_tag(self, _: str, key: str, value: str) -> None:
        self.tags[key] = value

    def delete_registered_model_tag(self, _: str, key: str) -> None:
        del self.tags[key]

    def get_registered_model(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(tags=self.tags, aliases=self.aliases)


@pytest.fixture
def store() -> Connection:
    return Connection("sqlite:///none", Client())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list:
    """What happens in each pause, in turn; one pause more than there is something to do is an error."""
    actions: list = []

    def pause() -> None:
        actions.pop(0)()

    monkeypatch.setattr(moves, "_pause", pause)
    return actions


@pytest.mark.parametrize(
    "rival",
    [
        THEIRS,
        replace(THEIRS, by="you@there"),
        replace(THEIRS, action="rollback"),
        replace(THEIRS, version=3),  # the very same move, by somebody else
    ],
)
def test_whoever_sees_another_about_to_move_the_alias_waits_for_its_end(store: Connection, pauses: list, rival):
    theirs = claim(store, "street", rival)
    pauses.append(lambda: end(store, "street", theirs, "broken off"))
    mine = claim(store, "street", MINE)
    assert mine is not None
    assert pauses == []
    assert [move.state for move in moves_of(store, "street")] == ["begun", "broken off"]


def test_an_alias_that_has_moved_meanwhile_is_not_moved_again(store: Connection, pauses: list):
    theirs = claim(store, "street", THEIRS)

    def finish() -> None:
        store.client.aliases["champion"] = "2"
        end(store, "street", theirs)

    pauses.append(finish)
    assert claim(store, "street", MINE) is None
    assert moves_of(store, "street") == (replace(theirs, state="done"),)  # mine is not in the log


def test_moves_of_another_alias_and_ended_ones_are_no_rivals(store: Connection, pauses: list):
    staging = claim(store, "street", replace(THEIRS, alias="staging", before=None))
    ended = claim(store, "street", THEIRS)
    end(store, "street", ended)
    mine = claim(store, "street", MINE)
    assert {move.id for move in moves_of(store, "street")} == {staging.id, ended.id, mine.id}


def test_a_move_that_never_ends_was_broken_off(store: Connection, pauses: list, monkeypatch: pytest.MonkeyPatch):
    theirs = claim(store, "street", THEIRS)
    clock = iter([1000.0, 1119.0, 1120.0])
    monkeypatch.setattr(moves, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    pauses += [lambda: None] * 3
    mine = claim(store, "street", MINE)
    assert pauses == []  # seen for two minutes of one's own clock, whatever theirs says
    assert set(moves_of(store, "street")) == {mine, replace(theirs, state="broken off")}


def test_how_a_move_went_is_written_down(store: Connection):
    move = claim(store, "street", MINE)
    with ending(store, "street", move):
        assert moves_of(store, "street") == (move,)
    assert moves_of(store, "street") == (replace(move, state="done"),)
    with pytest.raises(ZeroDivisionError), ending(store, "street", move):
        raise ZeroDivisionError
    assert moves_of(store, "street") == (replace(move, state="broken off"),)


def test_the_log_is_newest_first_and_passes_over_what_is_not_ours(store: Connection):
    store.client.tags["isthmus.move.by-hand"] = "no move"
    late = replace(MINE, at="2026-01-01T00:00:30.000000+00:00", id="ab" * 16)
    early = replace(MINE, at="2026-01-01T00:00:00.000001+00:00", id="cd" * 16)
    for move in (late, early):
        end(store, "street", move)
    assert [move.id for move in moves_of(store, "street")] == [late.id, early.id]
    assert sorted(store.client.tags)[:2] == [
        "isthmus.move.2026-01-01T000000.000001Z-cdcdcdcd",
        "isthmus.move.2026-01-01T000030.000000Z-abababab",
    ]


def test_a_new_move_says_who_and_why():
    move = new_move("force", "champion", 2, 1, reason="Closed track, no people")
    assert move.state == "begun"
    assert "@" in move.by
    assert move.reason == "Closed track, no people"


def test_an_alias_can_be_kept_where_it_is_and_the_log_says_nothing(store: Connection, pauses: list):
    def they_try() -> None:
        assert [move.action for move in moves_of(store, "street")] == ["refuse"]

    with unmoved(store, "street", "champion", 3):
        they_try()
        with pytest.raises(IndexError):  # whoever would move it waits
            claim(store, "street", MINE)
    assert moves_of(store, "street") == ()
    with pytest.raises(ZeroDivisionError), unmoved(store, "street", "staging", 3):
        raise ZeroDivisionError
    assert moves_of(store, "street") == ()


def test_whoever_keeps_an_alias_where_it_is_waits_for_a_move_that_was_begun(store: Connection, pauses: list):
    theirs = claim(store, "street", THEIRS)

    def finish() -> None:
        store.client.aliases["champion"] = "2"
        end(store, "street", theirs)

    pauses.append(finish)
    with unmoved(store, "street", "champion", 3):
        assert pauses == []
        assert store.client.aliases["champion"] == "2"
    assert moves_of(store, "street") == (replace(theirs, state="done"),)
