"""From a YAML file to a frozen, strictly checked dataclass, and back.

A configuration class is declared with `@config` and holds only fields, each with one line of documentation
under it. `load_config` reads a YAML file, expands `${NAME}` and `${NAME:-default}` from the environment,
applies `key.sub=value` overrides and validates as strict JSON: unknown keys, missing keys and wrong types
are one `ConfigurationError` that names the path in the file and the remedy.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform

import pydantic.dataclasses
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from isthmus.errors import ConfigurationError
from isthmus.known_keys import meant, plain

T = TypeVar("T")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_QUOTE = "'"
_UNKNOWN = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
_FLOAT_WITHOUT_DOT = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[T]) -> type[T]:
    """Declare a frozen, keyword-only, slotted dataclass that refuses unknown keys and wrong types."""
    strict = ConfigDict(extra="forbid", strict=True)
    return cast(type[T], pydantic.dataclasses.dataclass(frozen=True, kw_only=True, slots=True, config=strict)(cls))


def load_config(path: Path, kind: type[T], overrides: Sequence[str] = ()) -> T:
    """Read `path` as a `kind`.

    Args:
        path: A YAML file.
        kind: A class declared with `@config`.
        overrides: `key.sub=value` pairs; the value is read as YAML and the key must exist in `kind`.

    Raises:
        ConfigurationError: The file is missing, is not YAML in UTF-8, or does not fit `kind`.
    """
    if not path.is_file():
        raise ConfigurationError("no such configuration file", where=path, remedy="See configs/ for examples.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"not UTF-8 ({error})", where=path, remedy="Save it as UTF-8.") from error
    return parse_config(text, kind, overrides, where=str(path))


def parse_config(text: str, kind: type[T], overrides: Sequence[str] = (), *, where: str = "<text>") -> T:
    """Like `load_config`, from a string; `where` stands for the file's name in errors."""
    tree = _parse_yaml(text, where)
    if not isinstance(tree, dict):
        raise ConfigurationError("holds no mapping at its top", where=where, remedy="Write `key: value` lines.")
    for override in overrides:
        _apply_override(tree, override)
    tree = _expand(tree, where)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        raise ConfigurationError(explain(error, kind=kind), where=where, remedy=_remedy(error, kind)) from error
    except TypeError as error:  # json.dumps met a date or a set
        raise ConfigurationError(f"holds a value that is no plain scalar: {error}", where=where) from error


def values_with_variables(path: Path) -> dict[str, str]:
    """Values of a YAML file that hold `${NAME}`, as they are written, by dotted key such as `targets.0.data.root`.

    Raises:
        ConfigurationError: The file is not YAML.
    """
    found: dict[str, str] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, dict | list):
            for key, child in node.items() if isinstance(node, dict) else enumerate(node):
                walk(f"{prefix}.{key}" if prefix else str(key), child)
        elif isinstance(node, str) and _VARIABLE.search(node):
            found[prefix] = node

    walk("", _parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    return found


def variables_in(text: str) -> tuple[str, ...]:
    """Names of the variables in a value, in order.

    >>> variables_in("${DATA:-data}/${SPLIT}")
    ('DATA', 'SPLIT')
    """
    return tuple(dict.fromkeys(match["name"] for match in _VARIABLE.finditer(text)))


def to_tree(value: Any) -> Any:
    """A configuration as plain dicts, lists and scalars (paths become strings)."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def to_yaml(value: Any) -> str:
    """A configuration as YAML that `parse_config` reads back."""
    return yaml.safe_dump(to_tree(value), sort_keys=False, allow_unicode=True)


def config_hash(value: Any) -> str:
    """SHA-256 (hex) of a configuration's canonical JSON."""
    canonical = json.dumps(to_tree(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def flatten(value: Any) -> dict[str, str | int | float | bool | None]:
    """A configuration as `{"loop.steps": 600, "sources.0.dataset": "gta5"}` for a tracking server."""
    flat: dict[str, str | int | float | bool | None] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, dict):
            children = node
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            children = {str(i): item for i, item in enumerate(node)}
        else:
            flat[prefix] = json.dumps(node) if isinstance(node, list) else node
            return
        for key, child in children.items():
            walk(f"{prefix}.{key}" if prefix else str(key), child)

    walk("", to_tree(value))
    return flat


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: the 30th of February
        raise ConfigurationError(f"not valid YAML: {error}", where=where) from error


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigurationError(f"override {override!r} is not key=value", remedy="Write e.g. loop.steps=100.")
    value = _parse_yaml(text, f"override {override!r}")
    node: Any = tree
    *parents, last = key.split(".")
    for depth, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[: depth + 1]), override)
    if isinstance(node, list):
        node[_index(node, last, override)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigurationError(f"override {override!r}: {'.'.join(parents)} has no keys")


def _child(node: Any, part: str, path: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, override)]
    if isinstance(node, dict):
        return node.setdefault(part, {})
    raise ConfigurationError(f"override {override!r}: {path} is no mapping")


def _index(node: list[Any], part: str, override: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise ConfigurationError(f"override {override!r}: {part!r} is no index below {len(node)}")
    return int(part)


def _expand(node: Any, where: str) -> Any:
    if isinstance(node, dict):
        return {key: _expand(child, where) for key, child in node.items()}
    if isinstance(node, list):
        return [_expand(child, where) for child in node]
    if isinstance(node, str):
        return _VARIABLE.sub(lambda match: _variable(match, where), node)
    return node


def _variable(match: re.Match[str], where: str) -> str:
    name, default = match["name"], match["default"]
    value = os.environ.get(name, default)
    if value is None:
        raise ConfigurationError(
            f"environment variable {name} is not set", where=where, remedy=f"Run with {name}=… in front."
        )
    return value


def explain(error: ValidationError, named: Callable[[str], str] = str, *, kind: Any = None) -> str:
    """What pydantic found, one clause a key, in words for people.

    Args:
        error: Of one configuration.
        named: Gives a key the name that people know it by.
        kind: The class that was read; paths are then written without the tags of its unions.
    """
    schema = {} if kind is None else TypeAdapter(kind).json_schema()
    lines = []
    for item in error.errors():
        first, *inner = (plain(schema, item["loc"]) if item["loc"] else ()) or [""]
        path = ".".join([named(first), *inner]) if first else "(top)"
        value = item.get("input")
        if item["type"] in _UNKNOWN:
            lines.append(f"{path}: unknown key")
        elif item["type"] == "union_tag_not_found":
            key = str(item.get("ctx", {}).get("discriminator", "name")).strip(_QUOTE)
            lines.append(f"{path}: its key {key} is missing, which says what it is")
        elif item["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
            lines.append(f"{path}: required, but not given")
        elif isinstance(value, str) and _FLOAT_WITHOUT_DOT.match(value):
            mantissa, exponent = re.split("[eE]", value)
            lines.append(f"{path}: YAML reads {value!r} as text; write {mantissa}.0e{exponent}")
        else:
            got = "" if isinstance(value, Mapping) else f" (got {value!r})"  # a whole mapping says nothing
            lines.append(f"{path}: {item['msg'].removeprefix('Value error, ')}{got}"[:300])
    return "; ".join(lines)


def _remedy(error: ValidationError, kind: Any) -> str | None:
    unknown = [item["loc"] for item in error.errors() if item["type"] in _UNKNOWN]
    if not unknown:
        return None
    schema = TypeAdapter(kind).json_schema()
    found = [(str(loc[-1]), meant(schema, loc)) for loc in unknown]
    hints = dict.fromkeys(f"{key} is probably {' or '.join(guesses)}" for key, guesses in found if guesses)
    return f"Remove or rename the unknown key{'; ' if hints else ''}{', '.join(hints)}."
