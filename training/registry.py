"""Model versions in MLflow: registering an export, finding versions, moving aliases.

How a consumer addresses a version's files. A version is complete once it exists: it is made only after all its files
are stored. The registry client of mlflow-skinny fetches single files, without the onnx package:

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)     # MLflow looks models:/ up through the process-wide address only
    version = mlflow.MlflowClient().get_registered_model(name).aliases["champion"]      # one cheap call to poll
    for file in ("manifest.json", "model.onnx"):
        mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{version}/{file}", dst_path=folder)

Resolve the alias first and download by number: an alias may move between two downloads. Files at the top of a version:

    model.onnx           the graph with its weights and its ModelCard; no external data
    manifest.json        `artifact.Manifest`: SHA-256 and size of model.onnx, label space hash
    model_card.json      the card once more, for people
    weights.safetensors  the segmenter's weights
    MLmodel, …           MLflow's own: signature and environment, so that pyfunc loads the version too

Tags of a version: `isthmus.sha256`, `isthmus.label_space`, `isthmus.method`, `isthmus.decoder`, `isthmus.encoder`,
`isthmus.step`, `isthmus.git_commit`, and `isthmus.miou.TITLE` for each evaluation.
"""

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS, Manifest, ModelCard
from isthmus.errors import NotRegisteredError
from isthmus.training.export import EXPORT_FILES, Export, load_export
from isthmus.training.golden import decode_golden
from isthmus.training.mlflow_store import Connection, connect, store_lock

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
PREVIOUS: Final = "previous"

DEFAULT_EXPERIMENT: Final = "isthmus"
"""Experiment of models that are registered without a run."""

_TAG: Final = "isthmus."


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a registered model."""

    name: str
    version: int
    sha256: str
    """Digest of its `model.onnx`."""
    aliases: tuple[str, ...]
    """Aliases that point to it, sorted."""
    facts: Mapping[str, str]
    """Tags without their `isthmus.` prefix: method, decoder, step, `miou.camvid/val`, …"""
    created_at: datetime
    """UTC."""
    run_id: str | None
    """The tracked run that made it, if one was named."""

    @property
    def uri(self) -> str:
        """`models:/NAME/VERSION`, as MLflow writes it."""
        return f"models:/{self.name}/{self.version}"


def register(
    export_dir: Path, name: str, *, run_id: str | None = None, tracking_uri: str | None = None
) -> RegisteredVersion:
    """Store an export as the next version of `name` and point `challenger` to it.

    The same `model.onnx` registered again is the version that it already is; `challenger` then moves to it unless it
    is the champion.

    Args:
        export_dir: What `export_onnx` wrote.
        name: The registered model; made if it is missing.
        run_id: The tracked run that trained it.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.

    Raises:
        ContractError: The folder holds no whole export.
        NotRegisteredError: There is no such run.
        RegistryError: The store cannot be reached.
    """
    export = load_export(export_dir)
    with connect(tracking_uri) as store, store_lock(store.uri):
        version = _version_with_digest(store, name, export.manifest.sha256)
        if version is None:
            version = _create_version(store, name, export, run_id)
        if aliases_of(store, name).get(CHAMPION) != version:
            store.client.set_registered_model_alias(name, CHALLENGER, str(version))
        return find_version(store, name, version)


def list_versions(name: str, *, tracking_uri: str | None = None) -> tuple[RegisteredVersion, ...]:
    """All versions of `name`, newest first.

    Raises:
        NotRegisteredError: No model of this name.
        RegistryError: The store cannot be reached.
    """
    with connect(tracking_uri) as store:
        aliases = aliases_of(store, name)
        found = [_summary(item, aliases) for item in store.client.search_model_versions(f"name='{name}'")]
        return tuple(sorted(found, key=lambda item: item.version, reverse=True))


def find_version(store: Connection, name: str, version: int | str) -> RegisteredVersion:
    """One version by number or alias.

    Raises:
        NotRegisteredError: No such model, version or alias.
    """
    aliases = aliases_of(store, name)
    if isinstance(version, str) and not version.isdecimal():
        if version not in aliases:
            known = ", ".join(sorted(aliases)) or "none yet"
            raise NotRegisteredError(
                f"{name!r} has no alias {version!r}", where=store.uri, remedy=f"Its aliases: {known}."
            )
        version = aliases[version]
    return _summary(store.client.get_model_version(name, str(version)), aliases)


def aliases_of(store: Connection, name: str) -> dict[str, int]:
    """Version by alias.

    Raises:
        NotRegisteredError: No model of this name.
    """
    return {alias: int(version) for alias, version in store.client.get_registered_model(name).aliases.items()}


def _summary(item: Any, aliases: Mapping[str, int]) -> RegisteredVersion:
    version = int(item.version)
    facts = {key.removeprefix(_TAG): value for key, value in item.tags.items() if key.startswith(_TAG)}
    return RegisteredVersion(
        name=item.name,
        version=version,
        sha256=facts.get("sha256", ""),
        aliases=tuple(sorted(alias for alias, target in aliases.items() if target == version)),
        facts=facts,
        created_at=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC),
        run_id=item.run_id or None,
    )


def _version_with_digest(store: Connection, name: str, sha256: str) -> int | None:
    found = store.client.search_model_versions(f"name='{name}' and tags.`{_TAG}sha256`='{sha256}'")
    return max((int(item.version) for item in found), default=None)


def _create_version(store: Connection, name: str, export: Export, run_id: str | None) -> int:
    """Upload all files as a logged model, then make a version of it: nobody sees a half-written one."""
    client = store.client
    experiment = client.get_run(run_id).info.experiment_id if run_id else store.experiment_id(DEFAULT_EXPERIMENT)
    tags = version_tags(export.card, export.manifest)
    logged = client.create_logged_model(
        experiment, name=name, source_run_id=run_id, tags=tags, model_type="semantic-segmentation"
    )
    with tempfile.TemporaryDirectory(prefix="isthmus-register-") as scratch:
        package = Path(scratch) / "package"
        _write_package(package, export, logged)
        client.log_model_artifacts(logged.model_id, str(package))
    client.finalize_logged_model(logged.model_id, "READY")
    _ensure_model(client, name)
    created = client.create_model_version(
        name, source=f"models:/{logged.model_id}", run_id=run_id, tags=tags, model_id=logged.model_id
    )
    return int(created.version)


def version_tags(card: ModelCard, manifest: Manifest) -> dict[str, str]:
    """The tags that a version carries, so that lists and searches need no download."""
    facts = {
        "sha256": manifest.sha256,
        "label_space": manifest.label_space_hash,
        "method": card.method,
        "decoder": card.decoder,
        "encoder": card.encoder,
        "step": str(card.step),
        "git_commit": card.git_commit,
    }
    for item in card.evaluations:
        if item.miou is not None:
            facts[f"miou.{item.title or f'{item.target}/{item.split}'}"] = f"{item.miou:.6f}"
    return {f"{_TAG}{key}": value for key, value in facts.items()}


def _write_package(package: Path, export: Export, logged: Any) -> None:
    """MLflow's own files, then ours beside them, byte for byte."""
    import onnx
    from mlflow.models import Model

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
