"""Where the served model comes from: the registry's champion, this machine's cache, or a plain file.

The registry is only read, and only `model.onnx` and `manifest.json` of a version are fetched (their addresses stand
at the top of `training/registry.py`). MLflow never opens a model here: nothing is unpickled. A model serves only after
its size and SHA-256, its contract and label space, and its labels on the golden frame have been checked. If the
registry does not answer, or its champion is refused, the last good model serves, and says so.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from isthmus.artifact import Manifest, sha256_of
from isthmus.errors import ContractError, NoModelError, RegistryError
from isthmus.serving.config import ServerConfig
from isthmus.serving.model import FILE_VERSION, LoadedModel, load_model
from isthmus.serving.model_cache import Champion, ModelCache

logger = logging.getLogger(__name__)

ALIAS: Final = "champion"
_ONNX: Final = "model.onnx"
_MANIFEST: Final = "manifest.json"
_MAX_MANIFEST_BYTES: Final = 64 * 1024
_SQLITE: Final = "sqlite:///"
_ENFORCED: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickled model can run code when it is loaded
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_DEFAULTS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 retries would hold up the cached model for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class ModelStore:
    """Finds, checks and opens the model to serve. All methods block: call them off the event loop.

    Args:
        config: The server's configuration.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._cache = ModelCache(config.cache_dir)

    def prepare(self) -> None:
        """Make the cache, where one is needed.

        Raises:
            ConfigurationError: See `ModelCache.prepare`.
        """
        if self._config.model_file is None:
            self._cache.prepare()

    def load(self) -> LoadedModel:
        """The model that this server shall serve.

        Raises:
            NoModelError: The registry has no champion of that name.
            RegistryError: The registry does not answer and the cache holds no good model.
            ContractError: The model is not what its manifest or the contract says, and neither is a cached one there.
            ProviderError: The provider policy cannot be satisfied.
        """
        if self._config.model_file is not None:
            return self._load_file(self._config.model_file)
        try:
            return self._load_champion()
        except (RegistryError, ContractError) as error:
            cause = error
        return self._load_last_good(cause)

    def _load_file(self, path: Path) -> LoadedModel:
        if not path.is_file():
            raise ContractError("no such model file", where=path, remedy="Make one with `isthmus export`.")
        _check_size(path.stat().st_size, self._config.limits.max_model_bytes, path)
        return load_model(path, self._config, name=None, version=FILE_VERSION, sha256=sha256_of(path))

    def _load_champion(self) -> LoadedModel:
        name, uri = self._registered()
        registry = _Registry(uri)
        with self._cache.scratch() as scratch:
            champion = registry.champion(name, Path(scratch))
            path = self._cache.find(champion.manifest) or self._download(registry, name, champion, Path(scratch))
        model = self._open(path, name, champion)
        self._cache.remember(name, uri, champion)
        return model

    def _load_last_good(self, cause: RegistryError | ContractError) -> LoadedModel:
        name, uri = self._registered()
        champion = self._cache.recall(name, uri)
        path = None if champion is None else self._cache.find(champion.manifest)
        if champion is None or path is None:
            raise cause
        try:
            model = self._open(path, name, champion, from_cache=True)
        except ContractError as error:
            raise error from cause
        logger.error(
            "SERVING FROM THE CACHE: version %s of %s, the last that was good, because of: %s",
            champion.version,
            name,
            cause,
        )
        return model

    def _registered(self) -> tuple[str, str]:
        name, uri = self._config.model_name, self._config.tracking_uri
        assert name is not None
        assert uri is not None
        return name, uri

    def _open(self, path: Path, name: str, champion: Champion, *, from_cache: bool = False) -> LoadedModel:
        manifest = champion.manifest
        model = load_model(
            path, self._config, name=name, version=champion.version, sha256=manifest.sha256, from_cache=from_cache
        )
        if model.card.label_space.id_hash != manifest.label_space_hash:
            model.engine.close()
            raise ContractError(
                f"label space {model.card.label_space.id_hash} is not the manifest's {manifest.label_space_hash}",
                where=path,
                remedy="Register the model again.",
            )
        return model

    def _download(self, registry: "_Registry", name: str, champion: Champion, scratch: Path) -> Path:
        manifest = champion.manifest
        _check_size(manifest.size_bytes, self._config.limits.max_model_bytes, f"{name} {champion.version}")
        return self._cache.put(registry.download(name, champion.version, _ONNX, scratch, manifest.size_bytes), manifest)


class _Registry:
    """Read access to MLflow's registry; each of its errors becomes one of ours."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def champion(self, name: str, scratch: Path) -> Champion:
        """Version and manifest behind the alias."""
        version = self._version(name)
        path = self.download(name, version, _MANIFEST, scratch, _MAX_MANIFEST_BYTES)
        try:
            manifest = Manifest.model_validate_json(path.read_bytes(), strict=True)
        except ValidationError as error:
            raise ContractError(
                "the manifest is not valid", where=f"models:/{name}/{version}", remedy="Register the model again."
            ) from error
        if not set(manifest.sha256) <= set("0123456789abcdef") or len(manifest.sha256) != 64:
            raise ContractError("the manifest's sha256 is no digest", where=f"models:/{name}/{version}")
        return Champion(version, manifest)

    def download(self, name: str, version: str, file: str, into: Path, max_bytes: int) -> Path:
        """Fetch one file of a version, unless the registry says that it is too large, or does not say."""
        uri = f"models:/{name}/{version}"
        with self._reached() as mlflow:
            listed = {item.path: item.file_size for item in mlflow.artifacts.list_artifacts(artifact_uri=uri)}
            if file not in listed:
                raise ContractError(f"has no {file}", where=uri, remedy="Register it with `isthmus register`.")
            size = listed[file]
            if size is None:
                raise ContractError("the registry does not say how large it is", where=f"{uri}/{file}")
            _check_size(size, max_bytes, f"{uri}/{file}")
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/{file}", dst_path=str(into)))

    def _version(self, name: str) -> str:
        with self._reached() as mlflow:
            try:
                aliases = mlflow.MlflowClient().get_registered_model(name).aliases
            except mlflow.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                aliases = {}
        if ALIAS not in aliases:
            raise NoModelError(
                f"no version of {name!r} has the alias {ALIAS!r}",
                remedy="Promote one with `isthmus promote`; this server will see it.",
            )
        return str(aliases[ALIAS])

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """The mlflow module, set to this registry; whatever fails inside is a `RegistryError`."""
        if self._uri.startswith(_SQLITE) and not Path(self._uri.removeprefix(_SQLITE)).is_file():
            # MLflow would make an empty registry here, and a typing error would look like an empty one.
            raise RegistryError(
                "there is no such registry", where=redacted(self._uri), remedy="Check MLFLOW_TRACKING_URI."
            )
        os.environ.update(_ENFORCED)
        for key, value in _DEFAULTS.items():
            os.environ.setdefault(key, value)
        import mlflow
        import mlflow.artifacts
        from sqlalchemy.exc import SQLAlchemyError

        try:
            # MLflow looks `models:/…` up through its process-wide addresses, whatever a call names.
            mlflow.set_tracking_uri(self._uri)
            mlflow.set_registry_uri(self._uri)
            yield mlflow
        except (mlflow.MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryError(
                f"the registry does not answer: {redacted(str(error))}", where=redacted(self._uri)
            ) from None  # the cause may hold the password too


def _check_size(size: int, limit: int, where: str | Path) -> None:
    if size > limit:
        raise ContractError(f"{size} bytes are more than the limit of {limit}", where=where)


def redacted(text: str) -> str:
    """A text without the user names and passwords of the addresses in it."""
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)
