"""The log of a registered model: each move of an alias, who made it and why.

One tag of the registered model a move, `isthmus.move.TIME-ID`, written before the alias moves and again when it has
moved: a move that was broken off can then be seen and ended.

The same tags keep promoters apart, of one machine or of several, and refusals from a verdict that a promoter is about
to act on. Each writes its move down as begun and looks at the others' after: of two at once, at least the later writer
sees the other's, and whoever sees one takes its own back, waits a moment and tries again. Whoever sees none looks where
the alias points before it moves it. No clock is compared with another one's: a move counts as broken off once somebody
has watched it for two minutes of their own.
"""

import getpass
import json
import os
import random
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from isthmus.training.mlflow_store import Connection
from isthmus.verdict import TAG

_PREFIX: Final = f"{TAG}move."
_PATIENCE_S: Final = 120.0
"""A move takes four calls; one that has not ended after being watched for so long was broken off."""
_PAUSE_S: Final = (0.1, 1.0)
"""Shortest and longest pause before another try; by chance, so that two who gave way do not meet again."""
Action = Literal["promote", "force", "rollback", "refuse"]
State = Literal["begun", "done", "broken off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of an alias."""

    at: str = ""
    """When it began, ISO 8601, UTC, to the microsecond, by its maker's clock: for people, and for the log's order."""
    id: str = ""
    """Hex, random: tells it from all others."""
    action: Action
    """`force` is a promotion against the gate; `refuse` moves nothing, see `unmoved`."""
    alias: str
    version: int
    """Where it points from then on."""
    before: int | None
    """Where it pointed."""
    by: str
    """`user@host`."""
    reason: str = ""
    """Why the gate was overruled."""
    state: State = "begun"


def new_move(action: Action, alias: str, version: int, before: int | None, *, reason: str = "") -> Move:
    """A move by this process's user, not begun yet."""
    return Move(action=action, alias=alias, version=version, before=before, by=who(), reason=reason)


def claim(store: Connection, name: str, move: Move) -> Move | None:
    """Write a move down as begun, once nobody else is moving the same alias.

    Returns:
        The move as it was written, to be ended; None where the alias no longer points to `before`.
    """
    seen: dict[str, float] = {}
    while True:
        began = _stamped(move)
        _write(store, name, began)
        rivals = [
            other
            for other in moves_of(store, name)
            if (other.alias, other.state) == (move.alias, "begun") and other.id != began.id
        ]
        aliases = store.client.get_registered_model(name).aliases
        points_to = aliases.get(move.alias)
        kept = (None if points_to is None else int(points_to)) == move.before
        if kept and not rivals:
            return began
        store.client.delete_registered_model_tag(name, _key(began))
        if not kept:
            return None
        now = time.monotonic()
        for rival in rivals:
            if now - seen.setdefault(rival.id, now) >= _PATIENCE_S:
                end(store, name, rival, "broken off")
        _pause()


def record(store: Connection, name: str, move: Move) -> None:
    """Write down a move that somebody made by hand, once it has been judged."""
    end(store, name, _stamped(move))


def end(store: Connection, name: str, move: Move, state: State = "done") -> None:
    """Write down what became of a move that was begun."""
    _write(store, name, replace(move, state=state))


@contextmanager
def unmoved(store: Connection, name: str, alias: str, version: int) -> Iterator[None]:
    """Keep everybody from moving an alias inside, to change what its move rests on; it leaves nothing in the log.

    Args:
        store: Where the model is.
        name: The registered model.
        alias: That stays where it is.
        version: What is changed is about it.
    """
    claimed = None
    while claimed is None:  # None where it was moved between the two calls
        points_to = store.client.get_registered_model(name).aliases.get(alias)
        before = None if points_to is None else int(points_to)
        claimed = claim(store, name, new_move("refuse", alias, version, before))
    try:
        yield
    finally:
        with suppress(Exception):  # left behind, it counts as broken off after a while
            store.client.delete_registered_model_tag(name, _key(claimed))


@contextmanager
def ending(store: Connection, name: str, move: Move) -> Iterator[None]:
    """Move aliases inside; however that goes, it is written down where the registry can be reached."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            end(store, name, move, "broken off")
        raise
    end(store, name, move)


def moves_of(store: Connection, name: str) -> tuple[Move, ...]:
    """All moves of a model's aliases, newest first; tags that somebody else wrote are passed over."""
    return moves_in(store.client.get_registered_model(name).tags)


def moves_in(tags: Mapping[str, str]) -> tuple[Move, ...]:
    """The moves among a registered model's tags, newest first."""
    return tuple(
        move for key in sorted(tags, reverse=True) if key.startswith(_PREFIX) and (move := _read(tags[key])) is not None
    )


def who() -> str:
    """This process's user and machine, `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _pause() -> None:
    time.sleep(random.uniform(*_PAUSE_S))


def _stamped(move: Move) -> Move:
    return replace(move, at=datetime.now(UTC).isoformat(timespec="microseconds"), id=uuid.uuid4().hex)


def _write(store: Connection, name: str, move: Move) -> None:
    store.client.set_registered_model_tag(name, _key(move), json.dumps(asdict(move), ensure_ascii=False))


def _key(move: Move) -> str:
    return f"{_PREFIX}{datetime.fromisoformat(move.at):%Y-%m-%dT%H%M%S.%fZ}-{move.id[:8]}"


def _read(text: str) -> Move | None:
    try:
        return TypeAdapter(Move).validate_json(text)
    except ValidationError:
        return None
