"""Experiment tracking in MLflow: params, metrics, pictures, configuration, commit and data sets' digests."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

from isthmus.artifact import CardDataset
from isthmus.configuration import flatten
from isthmus.errors import NotRegisteredError, RegistryError
from isthmus.registry_address import place_of
from isthmus.training.config import TrainingConfig
from isthmus.training.mlflow_datasets import dataset_input
from isthmus.training.mlflow_store import Connection, connect, resolve_tracking_uri
from isthmus.training.reproducibility import Provenance

Tracking = Literal["none", "mlflow"]
EXPERIMENT: Final = "isthmus"
RUN_FILE: Final = "mlflow_run.json"
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


class MlflowTracker:
    """One MLflow run. What goes wrong with it is said once and ends nothing: the run's own folder has it all.

    Args:
        connection: Open for as long as the tracker lives.
        run_id: Where to log.
        logged: Last step that each curve already has; a resumed run logs nothing twice.
        report: Takes the warning.
    """

    def __init__(
        self, connection: Connection, run_id: str, logged: Mapping[str, int], report: Callable[[str], None]
    ) -> None:
        self._client = connection.client
        self._run_id = run_id
        self._logged = logged
        self._report = report
        self._warned = False

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(key, value, now, step) for key, value in values.items() if step > self._logged.get(key, -1)]
        with self._guarded():
            self._client.log_batch(self._run_id, metrics=metrics)

    def log_file(self, path: Path, folder: str) -> None:
        """Keep a copy of a file."""
        with self._guarded():
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        with self._guarded():
            self._client.set_terminated(self._run_id, status)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # servers, databases and stores of files each fail in their own way
            if not self._warned:
                self._warned = True
                self._report(
                    f"warning: MLflow misses a part of this run ({type(error).__name__}: {error}); "
                    "history.jsonl has everything"
                )


@contextmanager
def tracked(
    tracking: Tracking,
    output: Path,
    config: TrainingConfig,
    provenance: Provenance,
    datasets: Sequence[CardDataset],
    *,
    report: Callable[[str], None],
) -> Iterator[Tracker]:
    """Start the run's MLflow run, or go on with the one that `output` remembers.

    Args:
        tracking: `mlflow` (the store of `mlflow_store.resolve_tracking_uri`) or `none`.
        output: The run's folder, which remembers the MLflow run's id.
        config: Logged flattened.
        provenance: Logged as tags.
        datasets: Logged as inputs and, with their whole digests, as tags.
        report: Takes a warning where MLflow fails after a successful start.

    Raises:
        RegistryError: The store cannot be reached at the start, or is not the one that `output` remembers.
    """
    if tracking == "none":
        yield NoTracker()
        return
    with connect() as connection:
        resumed = (output / RUN_FILE).is_file()
        if resumed:
            run_id = tracked_run_id(output, connection.uri)
            connection.client.update_run(run_id, status="RUNNING")
        else:
            run_id = _started(connection, output, config, provenance, datasets)
        logged = _last_steps(connection, run_id) if resumed else {}
        tracker = MlflowTracker(connection, run_id, logged, report)
        status = "FAILED"
        try:
            yield tracker
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            tracker.end(status)


def tracked_run_id(output: Path, tracking_uri: str | None = None) -> str:
    """Id of the MLflow run that the run in `output` reports to.

    Args:
        output: The run's folder.
        tracking_uri: The store that is meant now; see `mlflow_store.resolve_tracking_uri`.

    Raises:
        NotRegisteredError: The run was not tracked.
        RegistryError: It was tracked in another store.
    """
    file = output / RUN_FILE
    if not file.is_file():
        raise NotRegisteredError(
            "this run was not tracked", where=output, remedy="Train with tracking, or register without naming a run."
        )
    noted = json.loads(file.read_text(encoding="utf-8"))
    place = place_of(resolve_tracking_uri(tracking_uri))
    if noted["uri"] != place:
        raise RegistryError(
            f"this run was tracked in {noted['uri']}, and the store is now {place}",
            where=file,
            remedy="Set MLFLOW_TRACKING_URI to the first, or delete this file to start a new MLflow run.",
        )
    return str(noted["run_id"])


def _last_steps(connection: Connection, run_id: str) -> dict[str, int]:
    """The last step of each curve of an MLflow run."""
    client = connection.client
    keys = client.get_run(run_id).data.metrics
    return {key: max(point.step for point in client.get_metric_history(run_id, key)) for key in keys}


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
    client.log_inputs(run_id, datasets=[dataset_input(dataset) for dataset in datasets])
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"uri": connection.place, "experiment": EXPERIMENT, "run_id": run_id})
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
