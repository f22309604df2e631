"""What can go wrong on the way: one clear error each, nothing lost, and the same command works when run again."""

import errno
import os

import mlflow
import mlflow.artifacts
import pytest

from isthmus.errors import NotRegisteredError, RegistryError
from isthmus.training.export import ExportResult
from isthmus.training.mlflow_store import connect
from isthmus.training.moves import moves_of
from isthmus.training.promotion import promote, rollback
from isthmus.training.registry import register
from isthmus.training.registry_versions import aliases_of, list_versions


def aliases(name: str, store_uri: str) -> dict[str, int]:
    with connect(store_uri) as store:
        return aliases_of(store, name)


def uploads(name: str, store_uri: str) -> list[str]:
    """Status of each upload of a model's files, oldest first."""
    with connect(store_uri) as store:
        experiment = store.experiment_id("isthmus")
        found = store.client.search_logged_models([experiment], filter_string=f"name = '{name}'")
        return [str(one.status.value) for one in sorted(found, key=lambda one: one.creation_timestamp)]


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/artifacts/model.onnx")


def lost_connection(*_: object, **__: object) -> None:
    raise mlflow.MlflowException("API request failed: connection reset by peer")


def test_a_failure_between_upload_and_version_leaves_no_version(name, exported: ExportResult, store_uri):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "create_model_version", lost_connection)
        with pytest.raises(RegistryError, match=r"connection reset by peer.*run the same command again"):
            register(exported.export.directory, name, tracking_uri=store_uri)
    assert list_versions(name, tracking_uri=store_uri) == ()
    made = register(exported.export.directory, name, tracking_uri=store_uri)
    assert (made.version, made.aliases) == (1, ("challenger",))


def test_a_half_written_upload_is_marked_and_makes_no_version(name, exported: ExportResult, store_uri):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_model_artifacts", full_disk)
        with pytest.raises(RegistryError, match=r"No space left on device.*Make room.*nothing was half done") as caught:
            register(exported.export.directory, name, tracking_uri=store_uri)
    assert caught.value.where == "/srv/artifacts/model.onnx"
    assert uploads(name, store_uri) == ["FAILED"]
    with pytest.raises(NotRegisteredError):
        aliases(name, store_uri)
    assert register(exported.export.directory, name, tracking_uri=store_uri).version == 1
    assert uploads(name, store_uri) == ["FAILED", "READY"]


def test_a_full_disk_before_the_gate_changes_nothing(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.artifacts, "download_artifacts", full_disk)
        with pytest.raises(RegistryError, match=r"version 1 did not get through: No space left"):
            promote(name, gate=gate, tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 1}
    assert promote(name, gate=gate, tracking_uri=store_uri).version == 1


@pytest.mark.parametrize("failure", [full_disk, lost_connection])
def test_a_verdict_that_cannot_be_stored_moves_no_alias(name, exported: ExportResult, gate, store_uri, failure):
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_model_artifacts", failure)
        with pytest.raises(RegistryError, match=r"run the same command again"):
            promote(name, gate=gate, tracking_uri=store_uri)
    assert aliases(name, store_uri) == {"challenger": 1}
    assert "gate.champion" not in list_versions(name, tracking_uri=store_uri)[0].facts
    assert promote(name, gate=gate, tracking_uri=store_uri).version == 1


def test_an_alias_that_is_missing_is_named_with_those_that_are_there(name, exported: ExportResult, gate, store_uri):
    register(exported.export.directory, name, tracking_uri=store_uri)
    with pytest.raises(NotRegisteredError, match=r"has no alias 'staging'.*Its aliases: challenger"):
        promote(name, "staging", gate=gate, tracking_uri=store_uri)


def test_a_challenger_that_was_deleted_meanwhile_moves_no_alias(name, exported, variant, gate, store_uri):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)

    def delete(done: int, total: int) -> None:
        if done == total:
            with connect(store_uri) as store:
                store.client.delete_model_version(name, "2")

    with pytest.raises(NotRegisteredError, match="version=2"):
        promote(name, 2, gate=gate, tracking_uri=store_uri, on_progress=delete)
    assert aliases(name, store_uri) == {"champion": 1}  # and no `previous` that never was
    assert [version.version for version in list_versions(name, tracking_uri=store_uri)] == [1]


def test_a_champion_that_was_deleted_meanwhile_is_no_longer_compared_with(name, exported, variant, gate, store_uri):
    register(variant(step=1).directory, name, tracking_uri=store_uri)
    promote(name, gate=gate, tracking_uri=store_uri)
    register(exported.export.directory, name, tracking_uri=store_uri)
    seen = []

    def delete(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 1:
            with connect(store_uri) as store:
                store.client.delete_model_version(name, "1")

    outcome = promote(name, 2, gate=gate, tracking_uri=store_uri, on_progress=delete)
    assert (outcome.previous, outcome.report.champion) == (None, None)
    assert aliases(name, store_uri) == {"champion": 2}


def breaks_at(alias: str):
    """Stands in for MLflow's call that moves an alias; the connection is lost where `alias` should move."""
    whole = mlflow.MlflowClient.set_registered_model_alias

    def move(self: mlflow.MlflowClient, name: str, moved: str, version: str) -> None:
        if moved == alias:
            lost_connection()
        whole(self, name, moved, version)

    return move


@pytest.fixture
def two_champions(name, exported, variant, gate, store_uri) -> str:
    """A model whose version 2 is the champion and version 1 the previous one; gives its name."""
    for export in (variant(step=1), exported.export):
        register(export.directory, name, tracking_uri=store_uri)
        promote(name, gate=gate, tracking_uri=store_uri)
    return name


@pytest.mark.parametrize("alias", ["champion", "previous"])
def test_a_rollback_that_broke_off_is_ended_by_the_next_one(two_champions: str, store_uri, alias):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", breaks_at(alias))
        with pytest.raises(RegistryError, match="connection reset"):
            rollback(two_champions, tracking_uri=store_uri)
    assert aliases(two_champions, store_uri)["champion"] == (2 if alias == "champion" else 1)
    outcome = rollback(two_champions, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous) == (1, 2)
    assert aliases(two_champions, store_uri) == {"champion": 1, "previous": 2}


@pytest.fixture
def broken_off(two_champions: str, variant, gate, store_uri) -> str:
    """The same, where the promotion of version 3 broke off between its two aliases."""
    register(variant(step=3).directory, two_champions, tracking_uri=store_uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", breaks_at("champion"))
        with pytest.raises(RegistryError, match="connection reset"):
            promote(two_champions, gate=gate, tracking_uri=store_uri)
    assert aliases(two_champions, store_uri) == {"champion": 2, "previous": 2, "challenger": 3}
    return two_champions


def test_a_promotion_that_broke_off_leaves_the_old_champion_and_can_be_run_again(broken_off: str, gate, store_uri):
    assert promote(broken_off, gate=gate, tracking_uri=store_uri).previous == 2
    assert aliases(broken_off, store_uri) == {"champion": 3, "previous": 2}
    with connect(store_uri) as store:
        log = [(move.version, move.before, move.state) for move in moves_of(store, broken_off)]
    assert log[:2] == [(3, 2, "done"), (3, 2, "broken off")]
    assert log[2:] == [(2, 1, "done"), (1, None, "done")]


def test_a_promotion_that_broke_off_keeps_the_way_back(broken_off: str, store_uri):
    outcome = rollback(broken_off, tracking_uri=store_uri)
    assert (outcome.version, outcome.previous) == (1, 2)
    assert aliases(broken_off, store_uri) == {"champion": 1, "previous": 2, "challenger": 3}


def test_a_rollback_that_is_done_is_news_even_if_no_verdict_can_be_read(two_champions: str, store_uri):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.artifacts, "download_artifacts", lost_connection)
        outcome = rollback(two_champions, tracking_uri=store_uri)
    assert outcome.version == 1
    assert "its verdict cannot be read (API request failed: connection reset by peer)" in outcome.warning
