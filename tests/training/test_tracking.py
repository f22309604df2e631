"""What happens when MLflow fails while a run goes on, and when runs begin at once."""

import fcntl

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from isthmus.errors import TrainingError
from isthmus.training.mlflow_store import connect
from isthmus.training.reproducibility import Provenance
from isthmus.training.tracking import tracked

PROVENANCE = Provenance(git_commit="0", lock_hash="0", versions={}, device="cpu")


@pytest.fixture
def start(tiny_config, tmp_path, monkeypatch):
    """Starts tracking; what it warns of goes to `start.said`."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    output = tmp_path / "output"
    output.mkdir()

    def starting():
        return tracked("mlflow", output, tiny_config(), PROVENANCE, (), report=starting.said.append)

    starting.said = []
    return starting


def failing(*_arguments, **_options):
    raise MlflowException("API request failed with timeout")


def test_failed_calls_are_said_once_and_the_rest_is_logged(start, monkeypatch):
    from mlflow import MlflowClient

    with start() as tracker:
        tracker.log_metrics(1, {"loss": 1.0})
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_batch", failing)
            tracker.log_metrics(2, {"loss": 2.0})
            tracker.log_metrics(3, {"loss": 3.0})
        tracker.log_metrics(4, {"loss": 4.0})
        run_id = tracker._run_id
    assert len(start.said) == 1
    assert "timeout" in start.said[0]
    assert "history.jsonl has everything" in start.said[0]
    with connect() as connection:
        assert [point.step for point in connection.client.get_metric_history(run_id, "loss")] == [1, 4]
        assert connection.client.get_run(run_id).info.status == "FINISHED"


def test_a_failed_end_never_hides_the_error_of_the_run(start, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setattr(MlflowClient, "set_terminated", failing)
    with pytest.raises(TrainingError, match="the real one"), start():
        raise TrainingError("the real one")
    assert len(start.said) == 1


def test_names_by_source_are_kept(start):
    with start() as tracker:
        tracker.log_metrics(1, {"loss.cycle": 0.5, "cycle.0": 0.25, "cycle.1": 0.75})
    assert not start.said
    with connect() as connection:
        found = connection.client.get_run(tracker._run_id).data.metrics
    assert found == {"loss.cycle": 0.5, "cycle.0": 0.25, "cycle.1": 0.75}


def test_a_resumed_run_logs_no_point_twice(start):
    with start() as tracker:
        tracker.log_metrics(2, {"loss": 1.0})
        run_id = tracker._run_id
    with start() as tracker:
        assert tracker._run_id == run_id
        tracker.log_metrics(2, {"loss": 1.0, "other": 0.5})
        tracker.log_metrics(4, {"loss": 2.0})
    with connect() as connection:
        assert [point.step for point in connection.client.get_metric_history(run_id, "loss")] == [2, 4]
        assert [point.step for point in connection.client.get_metric_history(run_id, "other")] == [2]


def test_one_process_at_a_time_makes_the_tables(tmp_path, monkeypatch):
    """Two first runs at once would both migrate the empty database, and one would break."""
    lock, made = tmp_path / "store" / "isthmus-tables.lock", []

    def client(**_options):
        with lock.open("w") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.append(True)

    monkeypatch.setattr(mlflow, "MlflowClient", client)
    with connect(f"sqlite:///{tmp_path}/store/mlflow.db"), lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert made
