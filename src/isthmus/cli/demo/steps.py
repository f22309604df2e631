"""Steps that run once: each is a command line, and a finished one is skipped when the demo is started again."""

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step as it stands in the journal and on the page."""

    command: str
    seconds: float


class Journal:
    """Which steps are done, kept in `steps.json` beside what they made.

    Args:
        folder: Where the journal lives.
        run: Runs one command line of isthmus in this process.
        console: Where the commands are announced.
    """

    def __init__(self, folder: Path, run: Callable[[Sequence[str]], None], console: Console) -> None:
        self._path = folder / "steps.json"
        self._run = run
        self._console = console
        rows = json.loads(self._path.read_text()) if self._path.is_file() else []
        self.finished: list[FinishedStep] = [FinishedStep(**row) for row in rows]

    def do(self, arguments: Sequence[str], *, redo: bool = False, shown: Sequence[str] | None = None) -> None:
        """Run `isthmus ARGUMENTS` unless that very command is done already.

        Args:
            arguments: The command line without the program's name.
            redo: Run it even so, for steps that leave nothing on disk.
            shown: What to write down instead of `arguments`, where they hold a port that changes with each run.
        """
        command = shlex.join(["isthmus", *(arguments if shown is None else shown)])
        if not redo and any(step.command == command for step in self.finished):
            self._console.print(f"[dim]$ {command}    (done before)[/dim]", soft_wrap=True, highlight=False)
            return
        self._console.print(f"\n[bold]$ {command}[/bold]", soft_wrap=True, highlight=False)
        start = time.monotonic()
        self._run(arguments)
        self._remember(FinishedStep(command, round(time.monotonic() - start, 1)))

    def _remember(self, step: FinishedStep) -> None:
        self.finished = [*(old for old in self.finished if old.command != step.command), step]
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps([asdict(row) for row in self.finished], indent=1))
        draft.replace(self._path)
