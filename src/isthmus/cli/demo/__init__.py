"""`isthmus demo`: the whole way from rendered streets to a served mask, as the commands a person would type."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from isthmus.cli.demo.plan import GATE_CONFIG, MODEL, SIZE_HW, TRAINING_CONFIG, WORLDS
from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from isthmus.cli.demo.steps import Journal

SERVED_FRAMES: Final = 6


def demo(*, output: Path = Path("demo")) -> None:
    """Do the main job on the built-in worlds: render, train, judge, export, promote, serve, segment.

    $ isthmus demo --output demo

    Run it in a clone of the repository (it uses configs/). Interrupted, it goes on where it stopped. At the end
    OUTPUT/index.html shows what was made.

    Args:
        output: Folder for everything that is made.
    """
    from rich.console import Console

    from isthmus.cli.demo.steps import Journal

    for needed in (TRAINING_CONFIG, GATE_CONFIG):
        if not needed.is_file():
            raise ConfigurationError(
                "not found, so there is nothing to demonstrate", where=needed, remedy="Run in a clone of isthmus."
            )
    output.mkdir(parents=True, exist_ok=True)
    os.environ["DEMO"] = str(output)  # where the demo's configurations look for their data
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{(output / 'mlflow').resolve()}/mlflow.db"
    (output / "mlflow").mkdir(exist_ok=True)
    console = Console()
    start = time.monotonic()
    journal = Journal(output, _run, console)
    _make_model(journal, output)
    served = _serve_and_segment(journal, output)
    from isthmus.cli.demo.page import write_page  # needs the packages of training

    page = write_page(output, journal.finished, served)
    _say_goodbye(console, output, page, time.monotonic() - start)


def _run(arguments: Sequence[str]) -> None:
    from isthmus.cli import run

    run(arguments)


def _make_model(journal: "Journal", output: Path) -> None:
    """From nothing to a champion in the registry."""
    for world in WORLDS:
        kind = ["--world", world.name, "--layout", world.layout, "--split", world.split]
        amount = ["--num-frames", str(world.num_frames), "--size-hw", *map(str, SIZE_HW), "--seed", str(world.seed)]
        journal.do(["worlds", "render", *kind, *amount, "--out", str(output / "data" / world.name)])
    run, exported = str(output / "runs" / "source_only"), str(output / "exports" / "source_only")
    journal.do(["data", "doctor", str(TRAINING_CONFIG)])
    journal.do(["train", str(TRAINING_CONFIG), "--output", run, "--resume"])
    journal.do(["evaluate", run, "--out", str(output / "report")])
    journal.do(["export", run, "--out", exported])
    journal.do(["register", exported, "--name", MODEL, "--run", run])
    journal.do(["promote", MODEL, "--gate", str(GATE_CONFIG)])


def _serve_and_segment(journal: "Journal", output: Path) -> list["Path"]:
    """Ask a real server for masks of frames that were never trained on; gives those frames."""
    from isthmus.cli.demo.server import running_server

    frames = sorted((output / "data" / "street").rglob("leftImg8bit/val/*/*.png"))
    chosen = frames[:: max(1, len(frames) // SERVED_FRAMES)][:SERVED_FRAMES]
    with running_server(MODEL, output) as address:
        segment = ["segment", *map(str, chosen), "--out", str(output / "served"), "--server"]
        journal.do([*segment, address], redo=True, shown=[*segment, "HOST:PORT"])
    return chosen


def _say_goodbye(console: "Console", output: Path, page: Path, seconds: float) -> None:
    console.print(f"\n[bold green]Done in {seconds / 60:.1f} minutes.[/bold green] Look at:")
    rows = {
        page: "everything in pictures and tables",
        output / "served" / "overlays": "what the server answered",
        output / "report": "scores, confusion matrix and overlays on the street",
        output / "exports" / "source_only" / "model_card.json": "what travels inside the ONNX file",
    }
    for path, what in rows.items():
        console.print(f"  {path}  [dim]{what}[/dim]", soft_wrap=True, highlight=False)
    console.print("Go on with:")
    console.print(
        f"  mlflow ui --backend-store-uri {os.environ['MLFLOW_TRACKING_URI']}", soft_wrap=True, highlight=False
    )
    console.print(
        f"  MLFLOW_TRACKING_URI={os.environ['MLFLOW_TRACKING_URI']} isthmus serve --model {MODEL}",
        soft_wrap=True,
        highlight=False,
    )
