"""The demo: the whole way from rendered streets to a served mask, as the commands a person would type."""

import fcntl
import os
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from isthmus.cli.demonstration.plan import (
    GATE_CONFIG,
    MADAN,
    METHODS,
    MODEL,
    RANDOMIZATION,
    SHUFFLED,
    SIZE_HW,
    SOURCE_ONLY,
    TRAINING_CONFIGS,
    WORLDS,
    Places,
)
from isthmus.errors import ConfigurationError, ContractError, GateRefusedError

if TYPE_CHECKING:
    from rich.console import Console

    from isthmus.cli.demonstration.steps import Journal

SERVED_FRAMES: Final = 6


def demo(*, output: Path = Path("demo")) -> None:
    """Do the main job on the built-in worlds: render, train, adapt, generalise, judge, export, promote, serve, segment.

    $ isthmus demo --output demo

    Run it in a clone of the repository (it uses configs/). Interrupted, it goes on where it stopped. At the end
    OUTPUT/index.html shows what was made.

    Args:
        output: Folder for everything that is made.
    """
    for needed in (*TRAINING_CONFIGS.values(), GATE_CONFIG):
        if not needed.is_file():
            raise ConfigurationError(
                "not found, so there is nothing to demonstrate", where=needed, remedy="Run in a clone of isthmus."
            )
    from rich.console import Console

    from isthmus.cli.demonstration.page import write_page
    from isthmus.cli.demonstration.steps import Journal
    from isthmus.signing import make_key

    places = Places(output)
    places.mlflow.mkdir(parents=True, exist_ok=True)
    lock = (output / ".lock").open("w")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError("another demo is at work in this folder", where=output) from error
    os.environ["DEMO"] = str(output)  # where the demo's configurations look for their data
    os.environ["MLFLOW_TRACKING_URI"] = places.store
    make_key(places.key)
    console = Console()
    start = time.monotonic()
    journal = Journal(output, _run, console)
    render_worlds(journal, places)
    for method in (SOURCE_ONLY, MADAN):
        make_model(journal, places, method)
    show_refusal(journal, places)
    generalise(journal, places)
    served = serve_and_segment(journal, places)
    page = write_page(places, journal.finished, served)
    _say_goodbye(console, places, page, time.monotonic() - start)


def render_worlds(journal: "Journal", places: Places) -> None:
    """Sources, target and the street that all are judged on, looked over by the doctor."""
    for world in WORLDS:
        kind = ["--world", world.name, "--layout", world.layout, "--split", world.split]
        amount = ["--num-frames", str(world.num_frames), "--size-hw", *map(str, SIZE_HW), "--seed", str(world.seed)]
        root = places.world(world)
        journal.do(["worlds", "render", *kind, *amount, "--out", str(root)], makes=root, starts_over=True)
    journal.do(["data", "doctor", str(TRAINING_CONFIGS[MADAN])], makes=places.mlflow, reads=_manifests(places))


def make_model(journal: "Journal", places: Places, method: str) -> None:
    """From a configuration to a version in the registry, and to the champion if the gate lets it pass."""
    config, run, export, report = (
        TRAINING_CONFIGS[method],
        places.run(method),
        places.export(method),
        places.report(method),
    )
    registry = places.mlflow / "mlflow.db"
    journal.do(
        ["train", str(config), "--output", str(run), "--resume"],
        makes=run,
        reads=[config, *_manifests(places)],
        starts_over=True,
    )
    journal.do(["evaluate", str(run), "--out", str(report)], makes=report)
    journal.do(["export", str(run), "--out", str(export)], makes=export)
    journal.do(["register", str(export), "--name", MODEL, "--run", str(run)], about=method, makes=registry)
    journal.do(
        _promote(places),
        about=method,
        makes=registry,
        reads=[GATE_CONFIG],
        # The first has only floors to pass; a challenger that is no better may well be refused, and that is an answer.
        refusals=() if method == SOURCE_ONLY else (GateRefusedError,),
    )


def generalise(journal: "Journal", places: Places) -> None:
    """Train for streets that nobody has seen, and compare all runs on them."""
    config, run = TRAINING_CONFIGS[RANDOMIZATION], places.run(RANDOMIZATION)
    journal.do(
        ["train", str(config), "--output", str(run), "--resume"],
        makes=run,
        reads=[config, *_manifests(places)],
        starts_over=True,
    )
    runs = [str(places.run(method)) for method in METHODS]
    journal.do(["generalisation", *runs, "--out", str(places.generalisation)], makes=places.generalisation)


def show_refusal(journal: "Journal", places: Places) -> None:
    """Put a model before the gate that is bad on purpose; it must not get through.

    Raises:
        ContractError: The gate let it pass.
    """
    from isthmus.cli.demonstration.spoiled import shuffle_labels

    export, registry = places.export(SHUFFLED), places.mlflow / "mlflow.db"
    shuffle_labels(places.export(SOURCE_ONLY), export)
    journal.do(["register", str(export), "--name", MODEL], about=SHUFFLED, makes=registry)
    step = journal.do(
        _promote(places), about=SHUFFLED, makes=registry, reads=[GATE_CONFIG], refusals=(GateRefusedError,)
    )
    if not re.search("FAILED +mIoU floor", step.refusal):
        raise ContractError(
            "the gate did not refuse a model with shuffled labels for its mIoU",
            where=GATE_CONFIG,
            remedy="Mend the gate.",
        )


def _promote(places: Places) -> list[str]:
    return ["promote", MODEL, "--gate", str(GATE_CONFIG), "--key", str(places.key)]


def _manifests(places: Places) -> list[Path]:
    return [places.world(world) / "manifest.json" for world in WORLDS]


def serve_and_segment(journal: "Journal", places: Places) -> list[Path]:
    """Ask a real server for masks of frames that were never trained on; gives those frames."""
    from isthmus.cli.demonstration.server import running_server

    frames = sorted(places.street_frames.glob("*.png"))
    chosen = frames[:: max(1, len(frames) // SERVED_FRAMES)][:SERVED_FRAMES]
    with running_server(MODEL, places.output, trust=places.public_key) as address:
        segment = ["segment", *map(str, chosen), "--out", str(places.served), "--server"]
        journal.do([*segment, address], shown=[*segment, "HOST:PORT"])
    return chosen


def _run(arguments: Sequence[str]) -> None:
    from isthmus.cli import run

    run(arguments)


def _say_goodbye(console: "Console", places: Places, page: Path, seconds: float) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)

    say(f"\nDone in {seconds / 60:.1f} minutes. Look at:", "bold green")
    for path, what in (
        (page, "everything in pictures and tables"),
        (places.served / "overlays", "what the server answered"),
        (places.report(MADAN), "scores, confusion matrix and overlays on the street"),
        (places.generalisation, "all runs on streets that they never saw"),
        (places.export(MADAN) / "model_card.json", "what travels inside the ONNX file"),
        (places.public_key, "the public key that the gate's verdicts bear the signature of"),
    ):
        say(f"  {shlex.quote(str(path))}    {what}")
    say("Go on with:")
    for command in places.next_commands():
        say(f"  {command}")
