"""What style domains are made of, as a run writes it down, and whether a run goes on with the same.

Checkpoints hold this instead of the generators themselves, 45 MB each at full width: where a file lay, and its digest.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from isthmus.errors import CheckpointError

DOMAINS_FILE: Final = "style_domains.json"
"""In a run's folder and among its artifacts: `Stylist.describe`."""
_DIGEST_SHOWN: Final = 12
"""Digits of a SHA-256 in a message."""


def check_same_domains(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
    """Refuse other style domains than a run began with. Files are compared by content: they may have moved.

    Args:
        then: `Stylist.describe` as a checkpoint holds it.
        now: The same of the domains as they are.

    Raises:
        CheckpointError: Naming the first file or domain that differs.
    """
    if len(then) != len(now):
        changed = f"there were {len(then)}, there are {len(now)}"
    else:
        pairs = zip(then, now, strict=True)
        changed = next((_difference(old, new) for old, new in pairs if _content(old) != _content(new)), "")
    if changed:
        raise CheckpointError(
            f"the style domains changed since it was written: {changed}",
            where="method.styles",
            remedy=f"Name the files that {DOMAINS_FILE} lists, wherever they lie, or train in another folder.",
        )


def _files(domain: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    """Style images, or generators."""
    files: Sequence[Mapping[str, str]] = domain.get("images") or domain["parameters"].get("generators", ())
    return files


def _content(domain: Mapping[str, Any]) -> tuple[Any, ...]:
    """All but the places."""
    parameters = {key: value for key, value in domain["parameters"].items() if key != "generators"}
    return domain["kind"], parameters, [(one.get("source"), one["sha256"]) for one in _files(domain)]


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    domain, old_files, new_files = f"domain {then['domain']}", _files(then), _files(now)
    if then["kind"] != now["kind"] or len(old_files) != len(new_files):
        was, is_now = (f"{one['kind']} with {len(_files(one))} files" for one in (then, now))
        return f"{domain} was {was}, is {is_now}"
    for old, new in zip(old_files, new_files, strict=True):
        if old["sha256"] != new["sha256"]:
            return f"{domain} was made of {_named(old)}, is made of {_named(new)}"
    return f"{domain} had {_content(then)[1]}, has {_content(now)[1]}"


def _named(file: Mapping[str, str]) -> str:
    return f"{file.get('path', 'a file')} (SHA-256 {file['sha256'][:_DIGEST_SHOWN]}…)"
