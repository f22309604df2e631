"""Read access to MLflow's registry: aliases, tags and single files; each of its errors becomes one of ours.

MLflow never opens a model here: nothing is unpickled. The one thing that is written is `STATE_TAG`, for people.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from isthmus.artifact import Manifest
from isthmus.errors import ContractError, RegistryError
from isthmus.registry_address import SQLITE, no_address
from isthmus.verdict import TAG

STATE_TAG: Final = f"{TAG}serving_state"
"""Tag of a version: `serving`, or `rejected: ` and why."""
MANIFEST: Final = "manifest.json"
_MAX_MANIFEST_BYTES: Final = 64 * 1024
_MAX_TAG_LENGTH: Final = 400  # MLflow takes 5000 in most stores; a list in its page shows less
_ENFORCED: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickled model can run code when it is loaded
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_DEFAULTS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 retries would hold up the cached model for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class Registry:
    """One registered model in one registry.

    Args:
        uri: The registry's address.
        name: The registered model.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.uri = uri
        self.name = name

    def where(self, version: str) -> str:
        """A version's address, for errors."""
        return f"models:/{self.name}/{version}"

    def aliases(self) -> dict[str, str]:
        """Version by alias; empty where there is no such model."""
        with self._reached() as mlflow:
            try:
                found = mlflow.MlflowClient().get_registered_model(self.name).aliases
            except mlflow.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return {}
        return {alias: str(version) for alias, version in found.items()}

    def models(self) -> list[str]:
        """Names of all registered models, sorted."""
        with self._reached() as mlflow:
            client = mlflow.MlflowClient()
            page = client.search_registered_models()
            names = [model.name for model in page]
            while page.token:
                page = client.search_registered_models(page_token=page.token)
                names += [model.name for model in page]
        return sorted(names)

    def tags(self, version: str) -> Mapping[str, str]:
        """The tags of a version."""
        with self._reached() as mlflow:
            return dict(mlflow.MlflowClient().get_model_version(self.name, version).tags)

    def set_state(self, version: str, text: str) -> None:
        """Write `STATE_TAG`."""
        with self._reached() as mlflow:
            mlflow.MlflowClient().set_model_version_tag(self.name, version, STATE_TAG, text[:_MAX_TAG_LENGTH])

    def manifest(self, version: str, scratch: Path) -> Manifest:
        """What the version's model file must be."""
        path = self.download(version, MANIFEST, scratch, _MAX_MANIFEST_BYTES)
        where = self.where(version)
        try:
            manifest = Manifest.model_validate_json(path.read_bytes(), strict=True)
        except ValidationError as error:
            raise ContractError("the manifest is not valid", where=where, remedy="Register the model again.") from error
        if not re.fullmatch("[0-9a-f]{64}", manifest.sha256):
            raise ContractError("the manifest's sha256 is no digest", where=where)
        return manifest

    def download(self, version: str, file: str, into: Path, max_bytes: int) -> Path:
        """Fetch one file of a version, unless the registry says that it is too large, or does not say.

        Args:
            version: The number.
            file: Its path among the version's files.
            into: An existing folder.
            max_bytes: Largest size.
        """
        uri = self.where(version)
        folder = "/".join([uri, *Path(file).parts[:-1]])
        with self._reached() as mlflow:
            listed = {
                Path(item.path).name: item.file_size
                for item in mlflow.artifacts.list_artifacts(artifact_uri=folder)
                if not item.is_dir
            }
            if Path(file).name not in listed:
                raise ContractError(f"has no {file}", where=uri, remedy="Register it with `isthmus register`.")
            size = listed[Path(file).name]
            if size is None:
                raise ContractError("the registry does not say how large it is", where=f"{uri}/{file}")
            check_size(size, max_bytes, f"{uri}/{file}")
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/{file}", dst_path=str(into)))

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """The mlflow module, set to this registry; whatever fails inside is a `RegistryError`.

        But for an address of a kind that neither MLflow nor its plugins know: no waiting mends that.
        """
        if self.uri.startswith(SQLITE) and not Path(self.uri.removeprefix(SQLITE)).is_file():
            # MLflow would make an empty registry here, and a typing error would look like an empty one.
            raise RegistryError(
                "there is no such registry", where=redacted(self.uri), remedy="Check MLFLOW_TRACKING_URI."
            )
        os.environ.update(_ENFORCED)
        for key, value in _DEFAULTS.items():
            os.environ.setdefault(key, value)
        import mlflow
        import mlflow.artifacts
        from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            # MLflow looks `models:/…` up through its process-wide addresses, whatever a call names.
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            yield mlflow
        except UnsupportedModelRegistryStoreURIException as error:
            raise no_address(self.uri) from error
        except (mlflow.MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryError(
                f"the registry does not answer: {redacted(str(error))}", where=redacted(self.uri)
            ) from None  # the cause may hold the password too


def check_size(size: int, limit: int, where: str | Path) -> None:
    """Refuse what is too large.

    Raises:
        ContractError: It is.
    """
    if size > limit:
        raise ContractError(f"{size} bytes are more than the limit of {limit}", where=where)


def redacted(text: str) -> str:
    """A text without the user names and passwords of the addresses in it."""
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)
