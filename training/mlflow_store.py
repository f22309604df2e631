"""One way to reach MLflow, for tracking and for the registry: where the store lies, and its settings.

The default store needs no server and stays under one folder:

    <home>/mlflow.db       runs, metrics, model versions, aliases (sqlite)
    <home>/artifacts/      pictures and models
    <home>/isthmus.lock    held while versions or aliases change
    <home>/isthmus-tables.lock  held while the tables are made

`MLFLOW_TRACKING_URI` names a server instead. MLflow is imported here and only when it is used: it costs seconds.
"""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from isthmus.errors import ContractError, NotRegisteredError, RegistryError
from isthmus.registry_address import SQLITE, check_address, place_of

DEFAULT_HOME: Final = Path("mlruns")
"""Home of the default store, relative to the working directory."""

_URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
_DATABASE: Final = "mlflow.db"
_LOCK: Final = "isthmus.lock"
_MAKING_LOCK: Final = "isthmus-tables.lock"
_ENFORCED: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no word about users leaves their machine
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickled model can run code when it is loaded
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # bars of single small files, printed over our own
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # addresses of runs, between our own lines
}
_DEFAULTS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 keep a person waiting for minutes when a server is down
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_REACH: Final = "Check that the store is up and that {named}; then run the same command again."
_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"
_CHATTY_LOGGERS: Final = ("alembic", "mlflow.store.db.utils", "mlflow.utils.environment")


@dataclass(frozen=True, slots=True)
class Connection:
    """An open way to one store."""

    uri: str
    """Tracking and registry URI."""
    client: Any
    """An `mlflow.MlflowClient`."""

    @property
    def place(self) -> str:
        """The address without user and password, for people."""
        return place_of(self.uri)

    def experiment_id(self, name: str) -> str:
        """Id of the experiment `name`, made if it is missing, with its artifacts in the store's folder."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name, artifact_location=artifact_location(self.uri)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)  # another process was faster

    def download(self, name: str, version: int, file: str, into: Path) -> Path:
        """Fetch one file of a model version, or all of them where `file` is empty, into the folder `into`.

        Raises:
            ContractError: The version has no such file.
        """
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        # Not by a models:/ address: MLflow looks those up through its process-wide registry, whatever a call names.
        location = self.client.get_model_version_download_uri(name, str(version))
        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{location}/{file}", dst_path=str(into), tracking_uri=self.uri
                )
            )
        except (MlflowException, OSError) as error:
            if not file or self._holds(location, file):
                raise
            remedy = "Register the export again, or find out who can delete files in the registry."
            raise ContractError(f"{file} is missing", where=f"models:/{name}/{version}", remedy=remedy) from error

    def _holds(self, location: str, file: str) -> bool:
        """Whether a file is there: each store of files has a way of its own to say that one is not."""
        import mlflow.artifacts

        folder = "/".join([location, *Path(file).parts[:-1]])
        listed = mlflow.artifacts.list_artifacts(artifact_uri=folder, tracking_uri=self.uri)
        return any(Path(item.path).name == Path(file).name for item in listed)


def tracking_store(home: Path) -> str:
    """The sqlite URI of the store under `home`; the folder is made.

    Raises:
        RegistryError: The folder cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(f"no folder for the model store ({error.strerror})", where=home) from error
    if not os.access(home, os.W_OK):
        raise RegistryError("the model store's folder cannot be written", where=home, remedy="Check its permissions.")
    return f"{SQLITE}{home.resolve() / _DATABASE}"


def resolve_tracking_uri(tracking_uri: str | None = None) -> str:
    """`tracking_uri` if given, else `MLFLOW_TRACKING_URI`, else the sqlite store under `DEFAULT_HOME`."""
    return tracking_uri or os.environ.get(_URI_VARIABLE) or tracking_store(DEFAULT_HOME)


def artifact_location(tracking_uri: str) -> str | None:
    """Where a new experiment keeps its files: beside a sqlite database, or None where a server decides."""
    folder = _sqlite_folder(tracking_uri)
    return None if folder is None else (folder / "artifacts").as_uri()


def load_mlflow() -> ModuleType:
    """MLflow, imported with our settings: no telemetry, no pickles, short retries, no chatter."""
    os.environ.update(_ENFORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for logger in _CHATTY_LOGGERS:
        logging.getLogger(logger).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def connect(tracking_uri: str | None = None) -> Iterator[Connection]:
    """Reach a store; whatever MLflow raises inside becomes one `RegistryError`.

    MLflow looks some things up through its process-wide tracking URI, so that is set inside and put back after.

    Args:
        tracking_uri: See `resolve_tracking_uri`.

    Raises:
        ConfigurationError: That is no address of a store.
        NotRegisteredError: Something that was asked for does not exist.
        RegistryError: The store cannot be reached or refuses.
    """
    uri = resolve_tracking_uri(tracking_uri)
    check_address(uri)
    reach = _REACH.format(named=f"{_URI_VARIABLE} names it" if tracking_uri is None else "this is its address")
    folder = _sqlite_folder(uri)
    if folder is not None:
        tracking_store(folder)
    mlflow = load_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    before = os.environ.get(_URI_VARIABLE)
    try:
        mlflow.set_tracking_uri(uri)
        with _making(uri):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        yield Connection(uri, client)
    except MlflowException as error:
        if is_absent(error):
            raise NotRegisteredError(first_line(error, uri), where=place_of(uri)) from error
        raise RegistryError(first_line(error, uri), where=place_of(uri), remedy=reach) from error
    except SQLAlchemyError as error:
        raise RegistryError(first_line(error, uri), where=place_of(uri), remedy=reach) from error
    finally:
        # Not set back to `before`: MLflow would remember that, and put it over a variable that changes later.
        mlflow.set_tracking_uri(None)
        os.environ.pop(_URI_VARIABLE, None)
        if before is not None:
            os.environ[_URI_VARIABLE] = before


def is_absent(error: Exception) -> bool:
    """Whether MLflow says that what was asked for does not exist."""
    return getattr(error, "error_code", None) == _ABSENT


@contextmanager
def store_lock(tracking_uri: str) -> Iterator[None]:
    """Let one process of this machine at a time change versions and aliases of a store.

    The lock is the operating system's, so it ends with a process that dies. A server's lock lies in the temporary
    folder and knows nothing of other machines.
    """
    folder = _sqlite_folder(tracking_uri)
    if folder is None:
        key = hashlib.sha256(tracking_uri.encode()).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"isthmus-{os.getuid()}-{key}.lock"
    else:
        path = folder / _LOCK
    with _locked(path):
        yield


@contextmanager
def _making(tracking_uri: str) -> Iterator[None]:
    """Let one process at a time make a database's tables: MLflow's first migration breaks where two run it at once."""
    folder = _sqlite_folder(tracking_uri)
    if folder is None:
        yield
        return
    with _locked(folder / _MAKING_LOCK):
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sqlite_folder(tracking_uri: str) -> Path | None:
    if not tracking_uri.startswith(SQLITE):
        return None
    return Path(tracking_uri.removeprefix(SQLITE)).resolve().parent


def first_line(error: Exception, uri: str) -> str:
    """What MLflow says, without the user and password of the address that it says it of."""
    text = str(error).strip().replace(uri.rstrip("/"), place_of(uri).rstrip("/"))
    return text.splitlines()[0][:300] if text else type(error).__name__
