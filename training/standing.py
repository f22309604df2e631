"""What speaks for a version that holds an alias: its verdict, or the reason why none counts."""

import tempfile
from pathlib import Path

from isthmus.errors import ContractError, RegistryError
from isthmus.gate_report import GateReport
from isthmus.signing import PublicKey
from isthmus.training.mlflow_store import Connection
from isthmus.training.registry_versions import CHAMPION, RegisteredVersion
from isthmus.training.verdicts import accepted_report


def doubt_about(store: Connection, holder: RegisteredVersion, alias: str, key: PublicKey | None) -> str:
    """Why no verdict lets a version hold an alias; empty where one does."""
    found = _standing(store, holder, alias, key)
    return found if isinstance(found, str) else ""


def warning_about(store: Connection, champion: RegisteredVersion, key: PublicKey | None) -> str:
    """What to know of a champion that nobody asked the gate about just now; empty where it had passed."""
    found = _standing(store, champion, CHAMPION, key)
    if isinstance(found, str):
        return found
    return "" if found.forced is None else f"refused, and promoted by force by {found.forced.by}: {found.forced.reason}"


def _standing(store: Connection, holder: RegisteredVersion, alias: str, key: PublicKey | None) -> GateReport | str:
    """The verdict that lets a version hold an alias, or why none does."""
    with tempfile.TemporaryDirectory(prefix="isthmus-verdict-") as scratch:
        try:
            return accepted_report(store, holder, alias, key, Path(scratch))
        except (ContractError, RegistryError) as error:
            return error.problem
