"""Registering an export in MLflow as the next version of a model.

How a consumer addresses a version's files. A version is complete once it exists: it is made only after all its files
are stored. The registry client of mlflow-skinny fetches single files, without the onnx package:

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)     # MLflow looks models:/ up through the process-wide address only
    version = mlflow.MlflowClient().get_registered_model(name).aliases["champion"]      # one cheap call to poll
    for file in ("manifest.json", "model.onnx"):
        mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{version}/{file}", dst_path=folder)

Resolve the alias first and download by number: an alias may move between two downloads. Files at the top of a version,
all in the folder of its logged model, none of them pickled:

    model.onnx           the graph with its weights and its ModelCard; no external data
    manifest.json        `artifact.Manifest`: SHA-256 and size of model.onnx, label space hash
    model_card.json      the card once more, for people
    weights.safetensors  the segmenter's weights
    config.yaml          the resolved configuration of its run, where a run was named
    domain_gap.json, pictures/   likewise, what it shows of its domains, its curves and pictures
    MODEL_CARD.md        for people, in the form that Hugging Face's hub reads
    gate/, report.html   what the gate said, once it was asked: see `verdicts`
    origin/              of a copied version, what the other registry's gate said: see `registry_copy`
    MLmodel, …           MLflow's own: signature and environment, so that pyfunc loads the version too

Each version belongs to an MLflow run: the one that trained it, or one that was made to register it. There lie its
scores (`registered.TITLE.miou`, `registered.TITLE.iou.person`, …), tied to the version and to the data set they were
taken on, and the data sets with their digests.

Tags of a version: `isthmus.sha256`, `isthmus.label_space`, `isthmus.method`, `isthmus.decoder`, `isthmus.encoder`,
`isthmus.step`, `isthmus.git_commit`, `isthmus.config_hash`, `isthmus.lock_hash`, `isthmus.miou.TITLE` for each
evaluation, `isthmus.gate.ALIAS` (see `verdicts`), `isthmus.origin` (see `registry_copy`).
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS, ModelCard
from isthmus.training.export import EXPORT_FILES, Export, load_export
from isthmus.training.golden import decode_golden
from isthmus.training.mlflow_datasets import dataset_identity, dataset_input
from isthmus.training.mlflow_store import Connection, connect, store_lock
from isthmus.training.registry_versions import (
    CHALLENGER,
    CHAMPION,
    RegisteredVersion,
    aliases_of,
    find_version,
    transferring,
)
from isthmus.training.version_files import attach_run, evaluation_metrics, judged_dataset, version_tags
from isthmus.verdict import TAG

DEFAULT_EXPERIMENT: Final = "isthmus"
"""Experiment of models that are registered without a run."""

_METRICS_PER_CALL: Final = 1000  # MLflow's limit


def register(
    export_dir: Path,
    name: str,
    *,
    run_id: str | None = None,
    run: Path | None = None,
    tracking_uri: str | None = None,
    say: Callable[[str], None] = print,
) -> RegisteredVersion:
    """Store an export as the next version of `name` and point `challenger` to it.

    The same `model.onnx` registered again is the version that it already is; `challenger` then moves to it unless it
    is the champion.

    Args:
        export_dir: What `export_onnx` wrote.
        name: The registered model; made if it is missing.
        run_id: The tracked run that trained it; one is made to hold its scores where this is left out.
        run: Output folder of the run, whose configuration and pictures are stored with the version.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.
        say: Takes what a person should know before the version is stored.

    Raises:
        CheckpointError: `run` holds no checkpoint.
        ConfigurationError: `run` was configured otherwise than the export says.
        ContractError: The folder holds no whole export.
        NotRegisteredError: There is no such tracked run.
        RegistryError: The store cannot be reached, or files do not get through; then no version was made.
    """
    export = load_export(export_dir)
    with (
        connect(tracking_uri) as store,
        transferring(store, "the version"),
        tempfile.TemporaryDirectory(prefix="isthmus-attached-") as scratch,
    ):
        if run is not None:
            attach_run(run, export.card, Path(scratch), say)
        version, _ = store_version(store, name, export, attached=Path(scratch), run_id=run_id)
    return version


def store_version(
    store: Connection,
    name: str,
    export: Export,
    *,
    attached: Path,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[RegisteredVersion, bool]:
    """Make a version of an export, or find the one that it already is, and point `challenger` to it.

    Args:
        store: Where.
        name: The registered model; made if it is missing.
        export: A whole export.
        attached: What lies here is stored beside the export's files.
        run_id: The run that trained it.
        tags: Of the version, beside `version_tags`.

    Returns:
        The version, and whether it is new.
    """
    with store_lock(store.uri):
        version = _version_with_digest(store, name, export.manifest.sha256)
        new = version is None
        if version is None:
            all_tags = {**version_tags(export.card, export.manifest), **(tags or {})}
            version = _create_version(store, name, export, attached, run_id=run_id, tags=all_tags)
        if aliases_of(store, name).get(CHAMPION) != version:
            store.client.set_registered_model_alias(name, CHALLENGER, str(version))
        return find_version(store, name, version), new


def _version_with_digest(store: Connection, name: str, sha256: str) -> int | None:
    found = store.client.search_model_versions(f"name='{name}' and tags.`{TAG}sha256`='{sha256}'")
    return max((int(item.version) for item in found), default=None)


def _create_version(
    store: Connection, name: str, export: Export, attached: Path, *, run_id: str | None, tags: Mapping[str, str]
) -> int:
    """Upload all files as a logged model, then make a version of it: nobody sees a half-written one."""
    client = store.client
    own_run = run_id is None
    run_id = run_id or _own_run(store, name, tags)
    logged = client.create_logged_model(
        client.get_run(run_id).info.experiment_id,
        name=name,
        source_run_id=run_id,
        tags=dict(tags),
        model_type="semantic-segmentation",
    )
    try:
        with tempfile.TemporaryDirectory(prefix="isthmus-register-") as scratch:
            package = Path(scratch) / "package"
            _write_package(package, export, logged)
            shutil.copytree(attached, package, dirs_exist_ok=True)
            client.log_model_artifacts(logged.model_id, str(package))
        _log_facts(client, run_id, logged.model_id, export.card)
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            client.finalize_logged_model(logged.model_id, "FAILED")
            if own_run:
                client.set_terminated(run_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    if own_run:
        client.set_terminated(run_id, "FINISHED")
    _ensure_model(client, name)
    created = client.create_model_version(
        name,
        source=f"models:/{logged.model_id}",
        run_id=run_id,
        tags=dict(tags),
        model_id=logged.model_id,
        await_creation_for=None,  # a version is ready as soon as it exists
    )
    return int(created.version)


def _own_run(store: Connection, name: str, tags: Mapping[str, str]) -> str:
    """Id of a new run, for a version that no tracked run trained."""
    experiment = store.experiment_id(DEFAULT_EXPERIMENT)
    return str(store.client.create_run(experiment, run_name=f"register {name}", tags=dict(tags)).info.run_id)


def _log_facts(client: Any, run_id: str, model_id: str, card: ModelCard) -> None:
    """Scores by target and class, tied to the logged model; data sets with their digests; the model as an output."""
    from mlflow.entities import LoggedModelOutput, Metric

    client.log_inputs(run_id, datasets=[dataset_input(one) for one in card.datasets])
    client.log_outputs(run_id, models=[LoggedModelOutput(model_id, card.step)])
    now = round(time.time() * 1000)
    metrics = []
    for item in card.evaluations:
        judged = judged_dataset(card, item)
        on = {} if judged is None else dataset_identity(judged)
        for key, value in evaluation_metrics(item).items():
            metrics.append(Metric(key, value, now, card.step, model_id=model_id, **on))
    for first in range(0, len(metrics), _METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[first : first + _METRICS_PER_CALL])


def _write_package(package: Path, export: Export, logged: Any) -> None:
    """MLflow's own files, then ours beside them, byte for byte."""
    import onnx
    from mlflow.models import Model

    from isthmus.training.report.model_card import MODEL_CARD_FILE, model_card_markdown

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint", category=UserWarning)  # about MLflow's own types
        import mlflow.pyfunc.model  # noqa: F401 - save_model would load it later, outside this block
        from mlflow.onnx import save_model

    save_model(
        onnx.load(export.onnx_file),
        str(package),
        signature=_signature(),
        input_example={INPUT_NAME: _input_example(export.card)},
        pip_requirements=["mlflow", "onnx", "onnxruntime"],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        mlflow_model=Model(
            model_id=logged.model_id, artifact_path=logged.artifact_location, run_id=logged.source_run_id
        ),
    )
    for file in EXPORT_FILES:
        shutil.copyfile(export.directory / file, package / file)
    (package / MODEL_CARD_FILE).write_text(model_card_markdown(export.card, None), encoding="utf-8")


def _signature() -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    uint8 = np.dtype("uint8")
    return ModelSignature(
        inputs=Schema([TensorSpec(uint8, (-1, -1, -1, 3), INPUT_NAME)]),
        outputs=Schema(
            [TensorSpec(uint8, (-1, -1, -1), OUTPUT_LABELS), TensorSpec(uint8, (-1, -1, -1), OUTPUT_CONFIDENCE)]
        ),
    )


def _input_example(card: ModelCard) -> Any:
    """A corner of the golden frame: examples are stored as JSON, where a whole frame would take megabytes."""
    image, _ = decode_golden(card.golden)
    return image[None, :32, :32]


def _ensure_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
