"""Verbs for the operator of a server on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from isthmus.protos.isthmus.serving.v1 import admin_pb2 as pb


def state(*, socket: Path) -> None:
    """Show what a server does: models and those it refuses, queue, streams, certificate, policy.

    A promoted version that the server does not take stands there as `refused`, with the reason.

    $ isthmus admin state --socket /run/isthmus/admin.sock

    Args:
        socket: What the server was given as --admin-socket.
    """
    from rich.console import Console
    from rich.table import Table

    from isthmus.serving.admin_client import AdminClient

    with AdminClient(socket) as client:
        answer = client.state()
    table = Table(show_header=False, box=None)
    for name, value in _rows(answer):
        table.add_row(name, value)
    Console().print(table, markup=False)


def roll_back(*, socket: Path, reason: str) -> None:
    """Let a server answer with the model before; the registry's aliases stay as they are.

    $ isthmus admin rollback --socket /run/isthmus/admin.sock --reason "sees no cyclists"

    Args:
        socket: What the server was given as --admin-socket.
        reason: For its log, and for those who watch the model.
    """
    from isthmus.serving.admin_client import AdminClient

    with AdminClient(socket) as client:
        print(f"{_model(client.roll_back(reason))} answers now")


def drain(*, socket: Path) -> None:
    """Let a server take no more frames; it goes on until it is stopped, and only a new process serves again.

    $ isthmus admin drain --socket /run/isthmus/admin.sock

    Args:
        socket: What the server was given as --admin-socket.
    """
    from isthmus.serving.admin_client import AdminClient

    with AdminClient(socket) as client:
        print(f"{client.drain()} frames are still to be answered")


def log_level(level: tyro.conf.Positional[Literal["debug", "info", "warning", "error"]], *, socket: Path) -> None:
    """Let a server say more, or less, in its log until it ends.

    $ isthmus admin log-level debug --socket /run/isthmus/admin.sock

    Args:
        level: The least that is said.
        socket: What the server was given as --admin-socket.
    """
    from isthmus.serving.admin_client import AdminClient

    with AdminClient(socket) as client:
        client.set_log_level(level)


def _rows(answer: "pb.GetStateResponse") -> list[tuple[str, str]]:
    status = "draining" if answer.draining else "serving" if answer.ready else "waiting for a model"
    rows = [
        ("server", f"isthmus {answer.server_version}, process {answer.process_id}, since {_moment(answer.started_at)}"),
        ("address", answer.address),
        ("status", status),
        ("model", _model(answer.model) if answer.HasField("model") else "none"),
        ("previous", _model(answer.previous) if answer.HasField("previous") else "none"),
        ("challenger", _model(answer.challenger) if answer.HasField("challenger") else "none"),
        *(("refused", f"version {each.version}: {each.reason}") for each in answer.refused),
        ("frames", f"{answer.in_flight} in flight, {answer.queued} of them wait"),
        ("streams", str(answer.streams)),
        ("certificate", _certificate(answer.certificate) if answer.HasField("certificate") else "none: plaintext"),
        ("policy", _policy(answer.policy)),
    ]
    if answer.problem:
        rows.insert(rows.index(("status", status)) + 1, ("", answer.problem))
    rows += [("", f"NOT IN USE: {each.problem}") for each in (answer.certificate, answer.policy) if each.problem]
    return rows


def _model(model: "pb.AdminModel") -> str:
    marks = [mark for mark, holds in (("CPU for GPU", model.provider_fallback), ("cache", model.from_cache)) if holds]
    return ", ".join([f"{model.name} version {model.version} ({model.sha256[:12]}) on {model.provider}", *marks])


def _certificate(certificate: "pb.Certificate") -> str:
    text = f"{certificate.subject} ({certificate.sha256[:12]}) until {_moment(certificate.expires_at)}"
    if not certificate.HasField("client_ca_expires_at"):
        return f"{text}; clients need none"
    return f"{text}; clients' authority until {_moment(certificate.client_ca_expires_at)}"


def _policy(policy: "pb.PolicyState") -> str:
    return f"{policy.sha256[:12]} since {_moment(policy.loaded_at)}" if policy.sha256 else "no file"


def _moment(stamp: "Timestamp") -> str:
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
