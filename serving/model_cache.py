"""Models on this machine's disk: what was downloaded, and which version was the last good one.

    <cache>/objects/<sha256>/model.onnx     checked against its manifest before it got this name
    <cache>/champions/<name>.json           the last version that passed every check, the verdict that let it serve,
                                            and the version that was rolled back, if one was

The folder is this user's alone: whoever could write here would choose what the server runs.
"""

import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from isthmus.artifact import Manifest, sha256_of
from isthmus.errors import ConfigurationError, ContractError
from isthmus.serving.swap.verdicts import Evidence

logger = logging.getLogger(__name__)

_ONNX: Final = "model.onnx"
_SCRATCH_PREFIX: Final = "download-"
_ABANDONED_AFTER_S: Final = 24 * 3600.0  # another server may be downloading into the same cache
_IN_USE_S: Final = 600.0
"""For so long nobody else deletes what a server has just fetched: it may still be checking it."""


@dataclass(frozen=True)
class Champion:
    """A version in the registry.

    Args:
        version: Its number there.
        manifest: What its model file must be.
        verdict: What let it be champion; None where nobody asked, or there is none.
    """

    version: str
    manifest: Manifest
    verdict: Evidence | None = None


@dataclass(frozen=True)
class Avoided:
    """A version that the server went back from.

    Args:
        version: Its number.
        reason: Why, for people.
    """

    version: str
    reason: str


@dataclass(frozen=True)
class Known:
    """What is known of a model across restarts.

    Args:
        champion: The last version that was good.
        avoided: The version that was tried after it, where it was rolled back.
    """

    champion: Champion
    avoided: Avoided | None = None


class ModelCache:
    """Checked model files by digest, and a record by model name.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._champions = folder / "champions"

    def prepare(self) -> None:
        """Make the folders and sweep what a killed download left behind.

        Raises:
            ConfigurationError: The folder cannot be made, or others may read or write it.
        """
        try:
            if self._folder.is_dir():
                self._check_private()
            for folder in (self._folder, self._objects, self._champions):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for scratch in self._folder.glob(f"{_SCRATCH_PREFIX}*"):
                if scratch.stat().st_mtime < time.time() - _ABANDONED_AFTER_S:
                    shutil.rmtree(scratch)
        except OSError as error:
            raise ConfigurationError(
                f"cannot keep models here: {error.strerror}", where=self._folder, remedy="Name another --cache-dir."
            ) from error

    def _check_private(self) -> None:
        found = self._folder.stat()
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}; models must be this user's",
                where=self._folder,
                remedy="Set its owner and mode 0700, or name another --cache-dir.",
            )

    def scratch(self) -> AbstractContextManager[str]:
        """A folder for a download, on the disk where `put` needs it."""
        return tempfile.TemporaryDirectory(dir=self._folder, prefix=_SCRATCH_PREFIX)

    def find(self, manifest: Manifest) -> Path | None:
        """The model file, if it is there and whole; a damaged one is deleted."""
        path = self._objects / manifest.sha256 / _ONNX
        if not path.is_file():
            return None
        try:
            check_file(path, manifest, where=path)
        except ContractError as error:
            logger.warning("discarded a damaged model: %s", error)
            path.unlink(missing_ok=True)
            return None
        os.utime(path.parent)
        return path

    def put(self, path: Path, manifest: Manifest, *, where: str) -> Path:
        """Move a downloaded file to its place.

        Args:
            path: The file.
            manifest: What it must be.
            where: It comes from, for errors.

        Raises:
            ContractError: It is not what the manifest says.
        """
        check_file(path, manifest, where=where)
        final = self._objects / manifest.sha256 / _ONNX
        final.parent.mkdir(mode=0o700, exist_ok=True)
        _move(path, final)
        return final

    def remember(self, name: str, registry: str, champion: Champion, avoided: Avoided | None = None) -> None:
        """Note the last version of `name` that passed every check, and the one that was rolled back."""
        record = self._record(name)
        scratch = record.with_suffix(f".{os.getpid()}.tmp")
        tree = {
            "registry": _digest(registry),
            "version": champion.version,
            "manifest": champion.manifest.model_dump(),
            "verdict": None if champion.verdict is None else asdict(champion.verdict),
            "avoided": None if avoided is None else asdict(avoided),
        }
        scratch.write_text(json.dumps(tree), encoding="utf-8")
        _move(scratch, record)

    def recall(self, name: str, registry: str) -> Known | None:
        """What `remember` noted for a model of this registry.

        Raises:
            ContractError: The record is broken.
        """
        record = self._record(name)
        if not record.is_file():
            return None
        try:
            tree = json.loads(record.read_text(encoding="utf-8"))
            same = tree["registry"] == _digest(registry)  # another registry's model may have the same name
            known = _known(tree)
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError("the cache's record is broken", where=record, remedy="Delete it.") from error
        return known if same else None

    def prune(self, keep: Collection[str]) -> None:
        """Delete the model files that nobody needs.

        Those stay that are the last good one of any model, and those that were fetched a short while ago: another
        server may share the cache.

        Args:
            keep: SHA-256, hex, of further files that stay.
        """
        needed = {*keep, *(digest for record in self._champions.glob("*.json") if (digest := _digest_in(record)))}
        for folder in self._objects.iterdir():
            try:
                if folder.name not in needed and folder.stat().st_mtime < time.time() - _IN_USE_S:
                    shutil.rmtree(folder)
            except OSError as error:  # another server was faster, or the disk is in trouble: neither may stop this one
                logger.warning("could not delete %s: %s", folder, error.strerror)

    def _record(self, name: str) -> Path:
        return self._champions / f"{name}.json"


def _known(tree: Any) -> Known:
    verdict, avoided = tree.get("verdict"), tree.get("avoided")
    champion = Champion(
        tree["version"],
        Manifest.model_validate(tree["manifest"], strict=True),
        None if verdict is None else Evidence(**verdict),
    )
    return Known(champion, None if avoided is None else Avoided(**avoided))


def _digest_in(record: Path) -> str | None:
    """SHA-256 of the model that a record names; None where it cannot be read."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["manifest"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_file(path: Path, manifest: Manifest, *, where: str | Path) -> None:
    """Compare a model file with its manifest.

    Args:
        path: The file.
        manifest: What it must be.
        where: What to name in errors.

    Raises:
        ContractError: Its size or digest is another one.
    """
    remedy = "Register the model again, and find out who can change files in the registry."
    if (size := path.stat().st_size) != manifest.size_bytes:
        raise ContractError(f"has {size} bytes, the manifest says {manifest.size_bytes}", where=where, remedy=remedy)
    if (found := sha256_of(path)) != manifest.sha256:
        raise ContractError(f"its SHA-256 {found} is not the manifest's {manifest.sha256}", where=where, remedy=remedy)


def _move(source: Path, target: Path) -> None:
    """Rename a file whose bytes are on the disk, so that a power cut leaves the old file, the new one or none."""
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    source.replace(target)


def _digest(registry: str) -> str:
    return hashlib.sha256(registry.encode()).hexdigest()  # the address may hold a password
