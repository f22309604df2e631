"""Which key was meant, where a configuration has an unknown one."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

_UNIONS = ("anyOf", "oneOf", "allOf")


def plain(schema: dict[str, Any], path: Sequence[str | int]) -> tuple[str, ...]:
    """A path without the tags of unions, which nobody writes: `method.madan.pool_size` is `method.pool_size`.

    Args:
        schema: JSON schema of the whole configuration.
        path: As pydantic's errors give it: keys, indices and tags.
    """
    nodes: list[dict[str, Any]] = [schema]
    kept: list[str] = []
    for part in path:
        if not _is_tag(schema, nodes, part):
            kept.append(str(part))
        nodes = _below(schema, nodes, part)
    return tuple(kept)


def meant(schema: dict[str, Any], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that were probably meant.

    Args:
        schema: JSON schema of the whole configuration.
        path: Of the unknown key, as pydantic's errors give it.

    Returns:
        The key beside the unknown one that is written nearly so; where there is none, the dotted paths of the places
        that know its very name, three at most.
    """
    *parents, last = path
    nodes: list[dict[str, Any]] = [schema]
    for part in parents:
        nodes = _below(schema, nodes, part)
    beside = {key for one in _opened(schema, nodes) for key in one.get("properties", {})}
    near = difflib.get_close_matches(str(last), sorted(beside), n=1, cutoff=0.7)
    if near:
        return (near[0],)
    elsewhere = dict.fromkeys(found for found in _paths(schema, schema, "", 0) if found.rpartition(".")[2] == last)
    own = ".".join(plain(schema, path))
    return tuple(found for found in elsewhere if found != own)[:3]


def _below(schema: dict[str, Any], nodes: Sequence[dict[str, Any]], part: str | int) -> list[dict[str, Any]]:
    opened = _opened(schema, nodes)
    if isinstance(part, int):
        return [one["items"] for one in opened if "items" in one]
    if _is_tag(schema, nodes, part):
        return [one for one in opened if part in _tags(one)]
    return [one["properties"][part] for one in opened if part in one.get("properties", {})]


def _is_tag(schema: dict[str, Any], nodes: Sequence[dict[str, Any]], part: str | int) -> bool:
    """Whether a part of a path is no key: it names a member of the union that stands there."""
    opened = _opened(schema, nodes)
    return isinstance(part, str) and len(opened) > 1 and any(part in _tags(one) for one in opened)


def _tags(node: dict[str, Any]) -> set[str]:
    """What pydantic may call a member of a union: what marks it, and its class."""
    marks = {str(field["const"]) for field in node.get("properties", {}).values() if "const" in field}
    return marks | {str(node.get("title", ""))}


def _opened(schema: dict[str, Any], nodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for node in nodes for one in _alternatives(schema, node)]


def _alternatives(schema: dict[str, Any], node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node with its references followed and its unions opened."""
    if "$ref" in node:
        yield from _alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
        return
    members = [member for union in _UNIONS for member in node.get(union, ())]
    if not members:
        yield node
    for member in members:
        yield from _alternatives(schema, member)


def _paths(schema: dict[str, Any], node: dict[str, Any], prefix: str, depth: int) -> Iterator[str]:
    if depth > 8:  # schemas may contain themselves
        return
    for one in _alternatives(schema, node):
        for key, child in one.get("properties", {}).items():
            dotted = f"{prefix}.{key}" if prefix else key
            yield dotted
            yield from _paths(schema, child, dotted, depth + 1)
