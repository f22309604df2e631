"""The command line: one table of verbs, each a function whose body imports what it needs.

`isthmus --help` must answer at once, so nothing heavy is imported here or at the top of the verbs' modules.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import tyro
from pydantic import ValidationError

from isthmus import __version__
from isthmus.cli.admin import drain, log_level, roll_back, state
from isthmus.cli.bench import data as bench_data
from isthmus.cli.bench import serve as bench_serve
from isthmus.cli.bench import train as bench_train
from isthmus.cli.data import doctor, fake, list_datasets, pack
from isthmus.cli.demonstration import demo
from isthmus.cli.generalisation import generalisation
from isthmus.cli.models import export, promote, register, triton
from isthmus.cli.option_names import option_of
from isthmus.cli.registry import copy, diff, list_versions, rollback, show
from isthmus.cli.runs import adapt, evaluate, train
from isthmus.cli.segmenting import segment, watch
from isthmus.cli.serving import serve
from isthmus.cli.worlds import bench as bench_worlds
from isthmus.cli.worlds import gallery, render, styles
from isthmus.configuration import explain
from isthmus.errors import ConfigurationError, EnvironmentMissingError, IsthmusError

GROUPS: Final[Mapping[str, str]] = {
    "data": "Look at data sets: what can be read, whether a copy on disk is whole; pack them for streaming.",
    "worlds": "Render labelled frames of the built-in street simulators.",
    "bench": "Measure speed on this machine.",
    "admin": "See and steer a server on this machine.",
    "registry": "Look into the model registry, compare versions, copy them to another registry.",
}

VERBS: Final[Mapping[str, Callable[..., None]]] = {
    "demo": demo,
    "worlds render": render,
    "worlds gallery": gallery,
    "worlds styles": styles,
    "data list": list_datasets,
    "data doctor": doctor,
    "data fake": fake,
    "data pack": pack,
    "train": train,
    "adapt": adapt,
    "evaluate": evaluate,
    "generalisation": generalisation,
    "export": export,
    "triton": triton,
    "register": register,
    "promote": promote,
    "rollback": rollback,
    "registry list": list_versions,
    "registry show": show,
    "registry diff": diff,
    "registry copy": copy,
    "bench worlds": bench_worlds,
    "bench data": bench_data,
    "bench train": bench_train,
    "bench serve": bench_serve,
    "serve": serve,
    "segment": segment,
    "watch": watch,
    "admin state": state,
    "admin rollback": roll_back,
    "admin drain": drain,
    "admin log-level": log_level,
}

_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no word about users leaves their machine
    # OpenMP threads that wait by spinning make a training step ten times slower where other work shares the cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Set before the packages that read them are imported; the user's own values win."""

_DESCRIPTION: Final = """Train driving-scene segmenters in simulation, run them on real streets.

In the order of the work: worlds render → data doctor → train → evaluate → export → register → promote →
serve → segment, watch. `isthmus demo` does all of it on the built-in worlds; `isthmus VERB --help` shows an example."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `isthmus` command: an error meant for people is one line and exit code 1."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        run(arguments)
    except IsthmusError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `isthmus data list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        print(f"error: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def run(arguments: Sequence[str]) -> None:
    """Run one verb in this process.

    Raises:
        IsthmusError: Whatever the verb found wrong; a missing package is an `EnvironmentMissingError`.
        SystemExit: After `--help`, or for options that do not parse.
    """
    if list(arguments) == ["--version"]:
        print(f"isthmus {__version__}")
        return
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    app = _build(brief=not _names_a_verb(arguments))
    try:
        app.cli(prog="isthmus", description=_DESCRIPTION, args=list(arguments))
    except ValidationError as error:  # a number out of range, given as an option
        found = explain(error, partial(option_of, error.title))
        raise ConfigurationError(found, remedy="`--help` tells what each option takes.") from error
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "isthmus":
            raise
        raise EnvironmentMissingError(
            f"the package {package!r} is not installed",
            remedy="Install isthmus with the extra that this verb needs: isthmus[train,cpu] or isthmus[serve,cpu].",
        ) from error


def _names_a_verb(arguments: Sequence[str]) -> bool:
    """Whether the leading words are a whole verb, as opposed to nothing or the name of a group."""
    return arguments[:1] != [] and (arguments[0] in VERBS or " ".join(arguments[:2]) in VERBS)


def _build(*, brief: bool) -> tyro.extras.SubcommandApp:
    """The parser; `brief` lists each verb by its first line, otherwise a verb's whole page is shown."""
    app = tyro.extras.SubcommandApp()
    groups = {name: tyro.extras.SubcommandApp() for name in GROUPS}
    for path, verb in VERBS.items():
        *group, name = path.split()
        where = groups[group[0]] if group else app
        where.command(name=name, help=_first_line(verb) if brief else None)(verb)
    for name, group_app in groups.items():
        app.command(group_app, name=name, help=GROUPS[name])
    return app


def _first_line(verb: Callable[..., None]) -> str:
    assert verb.__doc__ is not None
    return verb.__doc__.splitlines()[0]
