"""Finding versions of registered models, and whatever goes wrong on the way to their files.

challenger   the newest registered version that is not the champion
champion     the version that serves
previous     the version that served before it
"""

import difflib
import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from isthmus.errors import ConfigurationError, NotRegisteredError, RegistryError
from isthmus.training.mlflow_store import Connection, connect, first_line, is_absent
from isthmus.training.moves import Move, moves_in
from isthmus.verdict import TAG

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
PREVIOUS: Final = "previous"
_ALIAS: Final = re.compile(r"(?!latest$|v?[0-9]+$)[a-z0-9_-]{1,100}", re.IGNORECASE | re.ASCII)
"""What MLflow takes for an alias, in ASCII, and short enough for a tag's name."""


_NAMES_SHOWN: Final = 20
"""So many models or versions are named where one is not found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """One model of a registry, in short."""

    name: str
    num_versions: int
    aliases: Mapping[str, int]
    """Version by alias."""
    promoted: Move | None
    """The last promotion that was done, to whatever alias, forced ones among them; None before the first."""


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
    """The run that trained it, or that was made to register it."""

    @property
    def uri(self) -> str:
        """`models:/NAME/VERSION`, as MLflow writes it."""
        return f"models:/{self.name}/{self.version}"


def list_models(*, tracking_uri: str | None = None) -> tuple[RegisteredModel, ...]:
    """All models of a registry, by name.

    Raises:
        RegistryError: The store cannot be reached.
    """
    with connect(tracking_uri) as store:
        return tuple(_model(store, item) for item in _models(store))


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
            remedy = f"Its aliases: {known}. {_versions_there(store, name)}"
            raise NotRegisteredError(f"{name!r} has no alias {version!r}", where=store.place, remedy=remedy)
        version = aliases[version]
    try:
        found = store.client.get_model_version(name, str(version))
    except Exception as error:
        if not is_absent(error):
            raise
        problem, remedy = f"{name!r} has no version {version}", _versions_there(store, name)
        raise NotRegisteredError(problem, where=store.place, remedy=remedy) from error
    return _summary(found, aliases)


def aliases_of(store: Connection, name: str) -> dict[str, int]:
    """Version by alias.

    Raises:
        NotRegisteredError: No model of this name.
    """
    try:
        model = store.client.get_registered_model(name)
    except Exception as error:
        if not is_absent(error):
            raise
        problem = f"no model is called {name!r} here"
        raise NotRegisteredError(problem, where=store.place, remedy=_models_there(store, name)) from error
    return _aliases(model)


def check_alias(alias: str) -> None:
    """Check that MLflow takes an alias, before anything costs time.

    Raises:
        ConfigurationError: It does not.
    """
    if not _ALIAS.fullmatch(alias):
        remedy = "Write up to 100 letters, digits, - or _; `latest`, `v1` and numbers name versions."
        raise ConfigurationError(f"{alias!r} is no alias", where="alias", remedy=remedy)


@contextmanager
def transferring(store: Connection, what: str) -> Iterator[None]:
    """Files on their way to or from a store: what a disk or a store of files says becomes one `RegistryError`.

    Args:
        store: The other end.
        what: Is on its way, for the message.
    """
    try:
        yield
    except OSError as error:  # MLflow's client of artifacts raises those of requests, which are OSErrors, too
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "Make room, then" if full else "Check the disk and the registry's store of files, then"
        reason = error.strerror or first_line(error, store.uri)
        raise RegistryError(
            f"{what} did not get through: {reason}",
            where=error.filename or store.place,
            remedy=f"{remedy} run the same command again; nothing was half done.",
        ) from error


def _models(store: Connection) -> Iterator[Any]:
    """All registered models as MLflow describes them, by name."""
    token = None
    while True:
        page = store.client.search_registered_models(order_by=["name ASC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _model(store: Connection, item: Any) -> RegisteredModel:
    versions = store.client.search_model_versions(f"name='{item.name}'")
    done = (move for move in moves_in(item.tags) if move.state == "done" and move.action in {"promote", "force"})
    return RegisteredModel(
        name=item.name, num_versions=len(versions), aliases=_aliases(item), promoted=next(done, None)
    )


def _aliases(model: Any) -> dict[str, int]:
    return {alias: int(version) for alias, version in model.aliases.items()}


def _models_there(store: Connection, wanted: str) -> str:
    """The registry's models, those whose names come nearest to `wanted` first."""
    names = sorted(item.name for item in _models(store))
    names.sort(key=lambda name: difflib.SequenceMatcher(None, wanted, name).ratio(), reverse=True)
    if not names:
        return "It holds no model yet: MLFLOW_TRACKING_URI names another registry, `isthmus register` fills this one."
    return f"Its models: {_shortened(names)}."


def _versions_there(store: Connection, name: str) -> str:
    numbers = sorted((int(item.version) for item in store.client.search_model_versions(f"name='{name}'")), reverse=True)
    return f"Its versions: {_shortened([str(number) for number in numbers]) or 'none any more'}."


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _summary(item: Any, aliases: Mapping[str, int]) -> RegisteredVersion:
    version = int(item.version)
    facts = {key.removeprefix(TAG): value for key, value in item.tags.items() if key.startswith(TAG)}
    return RegisteredVersion(
        name=item.name,
        version=version,
        sha256=facts.get("sha256", ""),
        aliases=tuple(sorted(alias for alias, target in aliases.items() if target == version)),
        facts=facts,
        created_at=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC),
        run_id=item.run_id or None,
    )
