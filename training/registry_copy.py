"""Copying a version to another registry, or to another name: dev → staging → prod, also across servers.

What is copied is the export, whole and checked: `model.onnx` against the manifest and against what the registry says,
the weights against the card. Files that come with it (configuration, pictures) are copied too. The new version is
nobody's champion: it goes through the gate of the registry that it arrives in. What the gate said where it comes from
lies in `origin/`, a folder each time, with its signature; the tag `isthmus.origin` names the registry, the version and
the digest.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.artifact import sha256_of
from isthmus.errors import ConfigurationError, ContractError
from isthmus.registry_address import place_of
from isthmus.training.export import EXPORT_FILES, Export, load_export
from isthmus.training.mlflow_store import Connection, connect, resolve_tracking_uri
from isthmus.training.registry import store_version
from isthmus.training.registry_versions import RegisteredVersion, find_version, transferring
from isthmus.training.version_files import CONFIG_FILE, DOMAIN_GAP_FILE, PICTURES
from isthmus.verdict import GATE_FOLDER, TAG

ORIGIN_FOLDER: Final = "origin"
ORIGIN_TAG: Final = f"{TAG}origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOutcome:
    """What a copy did."""

    origin: RegisteredVersion
    """What was copied."""
    version: RegisteredVersion
    """What it is over there."""
    new: bool
    """False where the very same model was there already."""
    files: str
    """Where its files lie over there: a folder, or an address that the other registry resolves."""


def copy_version(
    name: str,
    version: int | str,
    *,
    to_uri: str,
    from_uri: str | None = None,
    to_name: str | None = None,
) -> CopyOutcome:
    """Copy a version; the same model copied again is the version that it already is.

    Args:
        name: The registered model.
        version: A number or an alias.
        to_uri: Tracking URI of the registry that it goes to.
        from_uri: Of the one that it comes from; see `mlflow_store.resolve_tracking_uri`.
        to_name: The registered model over there; made if it is missing; the same name by default.

    Raises:
        ConfigurationError: Both ends are one and the same model.
        ContractError: A digest is not what it must be, at either end.
        NotRegisteredError: No such model, version or alias.
        RegistryError: A registry cannot be reached, or files do not get through; then no version was made.
    """
    from_, to_name = resolve_tracking_uri(from_uri), to_name or name
    if (from_, name) == (to_uri, to_name):
        raise ConfigurationError(
            f"{name!r} would be copied onto itself", where=place_of(to_uri), remedy="Name another registry or model."
        )
    with tempfile.TemporaryDirectory(prefix="isthmus-copy-") as scratch:
        files, attached = Path(scratch) / "files", Path(scratch) / "attached"
        with connect(from_uri) as store:
            origin, export = _fetched(store, name, version, files)
        with connect(to_uri) as store, transferring(store, "the copy"):
            _attach(files, attached)
            tags = {ORIGIN_TAG: json.dumps(_origin(origin, from_))}
            made, new = store_version(store, to_name, export, attached=attached, tags=tags)
            _check_arrived(store, made, export, Path(scratch) / "arrived")
            files = store.client.get_model_version_download_uri(made.name, str(made.version))
    return CopyOutcome(origin=origin, version=made, new=new, files=place_of(files).removeprefix("file://"))


def _fetched(store: Connection, name: str, version: int | str, into: Path) -> tuple[RegisteredVersion, Export]:
    """Download all files of a version and check them."""
    origin = find_version(store, name, version)
    where = f"{store.place} {origin.uri}"
    with transferring(store, f"version {origin.version}"):
        folder = store.download(name, origin.version, "", into)
    try:
        export = load_export(folder)
    except ContractError as error:  # it names the folder of this copy, which is gone when somebody reads it
        place = (error.where or "").replace(str(folder), where)
        raise ContractError(error.problem, where=place, remedy=error.remedy) from error
    if export.manifest.sha256 != origin.sha256:
        raise ContractError(
            f"model.onnx has SHA-256 {export.manifest.sha256[:12]}…, the registry says {origin.sha256[:12] or 'none'}",
            where=where,
            remedy="Do not use this version: register the export again.",
        )
    return origin, export


def _attach(files: Path, attached: Path) -> None:
    """What goes along beside the export; the old verdicts move to `origin/`."""
    attached.mkdir()
    for file in (CONFIG_FILE, DOMAIN_GAP_FILE):
        if (files / file).is_file():
            shutil.copyfile(files / file, attached / file)
    if (files / PICTURES).is_dir():
        shutil.copytree(files / PICTURES, attached / PICTURES)
    if (files / GATE_FOLDER).is_dir():
        shutil.copytree(files / GATE_FOLDER, attached / ORIGIN_FOLDER)


def _origin(origin: RegisteredVersion, uri: str) -> dict[str, str]:
    return {"registry": place_of(uri), "model": origin.name, "version": str(origin.version), "sha256": origin.sha256}


def _check_arrived(store: Connection, made: RegisteredVersion, export: Export, into: Path) -> None:
    """Read the copy back: what arrived is what was sent."""
    arrived = {file: sha256_of(store.download(made.name, made.version, file, into)) for file in EXPORT_FILES}
    if any(sha256_of(export.directory / file) != digest for file, digest in arrived.items()):
        raise ContractError(
            "what arrived is not what was sent",
            where=f"{store.place} {made.uri}",
            remedy="Delete this version over there, look at its store of files, and copy again.",
        )
