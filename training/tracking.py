"""Experiment tracking in MLflow: params, metrics, pictures, configuration, commit and data sets' digests."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from isthmus.artifact import CardDataset
from isthmus.configuration import flatten
from isthmus.errors import NotRegisteredError
from isthmus.training.config import TrainingConfig
from isthmus.training.mlflow_store import Connection, connect
from isthmus.training.reproducibility import Provenance

Tracking = Literal["none", "mlflow"]
EXPERIMENT: Final = "isthmus"
RUN_FILE: Final = "mlflow_run.json"
_DIGEST_LENGTH: Final = 36  # what MLflow keeps of a data set's digest
_PARAMS_PER_CALL: Final = 100  # MLflow's limit


class Tracker(Protocol):
    """Where a run's numbers and files go beside its own folder."""

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve."""

    def log_file(self, path: Path, folder: str) -> None:
        """Keep a copy of a file."""


class NoTracker:
    """Keeps nothing: the run's own folder has it all."""

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def log_file(self, path: Path, folder: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class MlflowTracker:
    """One MLflow run."""

    connection: Connection
    run_id: str

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(key, value, now, step) for key, value in values.items()]
        self.connection.client.log_batch(self.run_id, metrics=metrics)

    def log_file(self, path: Path, folder: str) -> None:
        """Keep a copy of a file."""
        self.connection.client.log_artifact(self.run_id, str(path), folder or None)


@contextmanager
def tracked(
    tracking: Tracking,
    output: Path,
    config: TrainingConfig,
    provenance: Provenance,
    datasets: Sequence[CardDataset],
) -> Iterator[Tracker]:
    """Start the run's MLflow run, or go on with the one that `output` remembers.

    Args:
        tracking: `mlflow` (the store of `mlflow_store.resolve_tracking_uri`) or `none`.
        output: The run's folder, which remembers the MLflow run's id.
        config: Logged flattened.
        provenance: Logged as tags.
        datasets: Logged as inputs and, with their whole digests, as tags.

    Raises:
        RegistryError: The store cannot be reached.
    """
    if tracking == "none":
        yield NoTracker()
        return
    with connect() as connection:
        run_id = _resumed(connection, output) or _started(connection, output, config, provenance, datasets)
        status = "FAILED"
        try:
            yield MlflowTracker(connection, run_id)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            connection.client.set_terminated(run_id, status)


def tracked_run_id(output: Path) -> str:
    """Id of the MLflow run that the run in `output` reports to.

    Raises:
        NotRegisteredError: The run was not tracked.
    """
    file = output / RUN_FILE
    if not file.is_file():
        raise NotRegisteredError(
            "this run was not tracked", where=output, remedy="Train with tracking, or register without naming a run."
        )
    return str(json.loads(file.read_text(encoding="utf-8"))["run_id"])


def _resumed(connection: Connection, output: Path) -> str | None:
    if not (output / RUN_FILE).is_file():
        return None
    run_id = tracked_run_id(output)
    connection.client.update_run(run_id, status="RUNNING")
    return run_id


def _started(
    connection: Connection,
    output: Path,
    config: TrainingConfig,
    provenance: Provenance,
    datasets: Sequence[CardDataset],
) -> str:
    from mlflow.entities import Param

    client = connection.client
    run = client.create_run(
        connection.experiment_id(EXPERIMENT), run_name=config.name, tags=_tags(config, provenance, datasets)
    )
    run_id = str(run.info.run_id)
    params = [Param(key, str(value)) for key, value in flatten(config).items()]
    for first in range(0, len(params), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[first : first + _PARAMS_PER_CALL])
    client.log_inputs(run_id, datasets=[_input(dataset) for dataset in datasets])
    text = json.dumps({"uri": connection.uri, "experiment": EXPERIMENT, "run_id": run_id})
    (output / RUN_FILE).write_text(text, encoding="utf-8")
    return run_id


def _tags(config: TrainingConfig, provenance: Provenance, datasets: Sequence[CardDataset]) -> dict[str, str]:
    tags = {
        "isthmus.method": config.method.name,
        "isthmus.lock_hash": provenance.lock_hash,
        "isthmus.device": provenance.device,
        "mlflow.source.git.commit": provenance.git_commit,
    }
    tags |= {f"isthmus.version.{name}": version for name, version in provenance.versions.items()}
    for number, dataset in enumerate(datasets):
        tags[f"isthmus.digest.{number}.{dataset.role}.{dataset.dataset}.{dataset.split}"] = dataset.digest
    return tags


def _input(dataset: CardDataset) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    entity = Dataset(
        name=f"{dataset.dataset}-{dataset.split}",
        digest=dataset.digest[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"dataset": dataset.dataset, "split": dataset.split}),
        profile=json.dumps({"num_frames": dataset.num_frames}),
    )
    return DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", dataset.role)])
