"""Verbs on the model registry: list, show, diff, copy, roll back."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.signing import PublicKey


def rollback(name: tyro.conf.Positional[str]) -> None:
    """Make the previous champion the champion again, without asking the gate.

    $ isthmus rollback street-segmenter

    Warns where no verdict of the gate lets it be the champion, or where it was promoted by force.

    Args:
        name: The registered model.
    """
    from rich.console import Console

    from isthmus.cli.waiting import waiting

    key = None
    with suppress(ConfigurationError):  # without a key that can be used, no signature is checked
        key = _trusted(None)
    with waiting("rolling back"):
        from isthmus.training.promotion import rollback as roll_back

        outcome = roll_back(name, key=key)
    console = Console()
    console.print(
        f"{name} version {outcome.version} is the champion again, version {outcome.previous} is kept as previous"
    )
    if outcome.warning:
        text = f"Warning: the gate does not speak for version {outcome.version}: {outcome.warning}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def list_versions(
    name: tyro.conf.Positional[str | None] = None, *, as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
) -> None:
    """List the models of the registry, or the versions of one with their aliases, verdicts and scores.

    $ isthmus registry list
    $ isthmus registry list street-segmenter

    A version that a server refused or went back from has `servers:` below its verdicts; `registry show` tells why.

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder.

    Args:
        name: A registered model; all of them in short where it is left out.
        as_json: Print JSON instead of a table.
    """
    if name is None:
        _list_models(as_json=as_json)
        return
    from rich.console import Console

    from isthmus.cli.registry_tables import version_table
    from isthmus.cli.waiting import waiting

    with waiting("asking the registry"):
        from isthmus.training.registry_versions import list_versions as versions_of

        versions = versions_of(name)
    if as_json:
        rows = [
            {"version": each.version, "aliases": each.aliases, "sha256": each.sha256, **each.facts} for each in versions
        ]
        print(json.dumps(rows, indent=2))
    elif versions:
        console = Console()
        console.print(version_table(versions, console.width))
    else:
        print(f"{name} has no version any more")


def _list_models(*, as_json: bool) -> None:
    from rich.console import Console

    from isthmus.cli.registry_tables import model_table
    from isthmus.cli.waiting import waiting

    with waiting("asking the registry"):
        from isthmus.registry_address import place_of
        from isthmus.training.mlflow_store import resolve_tracking_uri
        from isthmus.training.registry_versions import list_models

        models, place = list_models(), place_of(resolve_tracking_uri())
    if as_json:
        print(json.dumps([asdict(model) for model in models], indent=2))
    elif models:
        Console().print(model_table(models))
    else:
        print(f"{place} holds no model yet; `isthmus register` makes one, MLFLOW_TRACKING_URI names another registry")


def show(name: tyro.conf.Positional[str], *, version: str = "champion", public_key: Path | None = None) -> None:
    """Show a version: where it is from, its verdicts and their signatures, what servers made of it, its model's log.

    $ isthmus registry show street-segmenter --version 3
    $ isthmus registry show street-segmenter --public-key keys/gate.key.pub

    Args:
        name: The registered model.
        version: A number or an alias.
        public_key: Who must have signed the verdict; by default the key that `isthmus promote` signs with here.
    """
    from rich.console import Console

    from isthmus.cli.registry_tables import details_page
    from isthmus.cli.waiting import waiting

    key = _trusted(public_key)
    with waiting("asking the registry"):
        from isthmus.training.registry_details import describe

        details, moves = describe(name, version, key=key)
    details_page(Console(), details, moves)


def diff(
    name: tyro.conf.Positional[str],
    first: tyro.conf.Positional[str],
    second: tyro.conf.Positional[str],
    *,
    all_: Annotated[bool, tyro.conf.arg(name="all")] = False,
) -> None:
    """Show in what two versions of a model differ: data sets, scores by class, verdicts, configuration.

    $ isthmus registry diff street-segmenter champion challenger
    $ isthmus registry diff street-segmenter 2 5 --all

    Scores on the cards are those that the runs took of their own models; those of the gate were measured by
    `isthmus promote`.

    Args:
        name: The registered model.
        first: A number or an alias.
        second: A number or an alias.
        all_: Also show scores and keys of the configuration that only one of them has; they are counted otherwise.
    """
    from rich.console import Console

    from isthmus.cli.registry_tables import difference_page
    from isthmus.cli.waiting import waiting

    with waiting("asking the registry"):
        from isthmus.training.registry_diff import diff as differences_of

        differences = differences_of(name, first, second)
    if differences:
        difference_page(Console(), (first, second), differences, all_lines=all_)
    else:
        print(f"{first} and {second} are the same version")


def copy(
    name: tyro.conf.Positional[str],
    *,
    version: str,
    to: str,
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    to_name: str | None = None,
) -> None:
    """Copy a version to another registry, digests checked at both ends; over there it is a challenger.

    $ isthmus registry copy street-segmenter --version champion --to https://mlflow.staging.example
    $ isthmus registry copy street-segmenter --version 3 --to sqlite:////srv/prod/mlflow.db --to-name street

    Args:
        name: The registered model.
        version: A number or an alias.
        to: Tracking URI of the registry that it goes to, https://… or sqlite:///PATH.db; the files of a sqlite
            registry lie in artifacts/ beside its database.
        from_: Of the one that it comes from; by default MLFLOW_TRACKING_URI, or mlruns/mlflow.db in this folder.
        to_name: Another name over there.
    """
    from rich.console import Console

    from isthmus.cli.waiting import waiting

    with waiting("copying"):
        from isthmus.registry_address import place_of
        from isthmus.training.registry_copy import copy_version

        outcome = copy_version(name, version, to_uri=to, from_uri=from_, to_name=to_name)
    made = outcome.version
    what = "is now" if outcome.new else "was already"
    lines = [
        f"{name} version {outcome.origin.version} {what} {made.name} version {made.version} of {place_of(to)} "
        f"({', '.join(made.aliases) or 'no alias'}), {made.sha256[:12]}",
        f"Its files: {outcome.files}",
    ]
    if to.startswith("sqlite:"):
        lines.append(
            "The database names them by this path: keep it and its folder artifacts/ together, where they are."
        )
    Console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _trusted(path: Path | None) -> "PublicKey | None":
    """The named key, or the one beside this user's own signing key, if there is one."""
    from isthmus.signing import key_path, public_key, public_path, signing_key

    if path is not None:
        return public_key(path)
    own = key_path()
    if public_path(own).is_file():
        return public_key(public_path(own))
    return signing_key(own).public if own.is_file() else None
