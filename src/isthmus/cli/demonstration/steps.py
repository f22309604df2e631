"""Steps that run once: each is a command line, skipped later while what it made is still there and true."""

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step as it stands in the journal and on the page."""

    name: str
    """Its verb and what it makes: one step of a name is remembered."""
    command: str
    fingerprint: str
    """Of the command and of the files that it reads."""
    seconds: float
    refusal: str = ""
    """Why the registry said no, where that is a result like another."""


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
        self._redone = False
        self.finished = self._read()

    def do(
        self,
        arguments: Sequence[str],
        *,
        makes: Path | None = None,
        reads: Sequence[Path] = (),
        starts_over: bool = False,
        shown: Sequence[str] | None = None,
        about: str = "",
        refusals: tuple[type[Exception], ...] = (),
    ) -> FinishedStep:
        """Run `isthmus ARGUMENTS`, unless that is done, what it made is there, and nothing before it has changed.

        Args:
            arguments: The command line without the program's name.
            makes: A file or folder that is there once the step is done; without it the step always runs.
            reads: Files whose content the step depends on.
            starts_over: Before it is done again, remove what it made; a first, interrupted try goes on instead.
            shown: What to write down instead of `arguments`, where they hold a port that changes with each run.
            about: Tells steps of one verb apart that make the same thing.
            refusals: Errors that are an outcome: said, written down, and the next step begins.

        Returns:
            The step, as it was done now or before.
        """
        command = shlex.join(["isthmus", *(arguments if shown is None else shown)])
        fingerprint = _fingerprint(command, reads)
        name = " ".join(filter(None, (arguments[0], about, str(makes or ""))))
        before = next((step for step in self.finished if step.name == name), None)
        same = before is not None and before.fingerprint == fingerprint
        if before is not None and same and not self._redone and makes is not None and makes.exists():
            self._say(f"$ {command}    (done before)", style="dim")
            return before
        if starts_over and makes is not None and makes.is_dir() and before is not None:
            shutil.rmtree(makes)
        self._redone = self._redone or (before is not None and makes is not None)
        self._say(f"\n$ {command}", style="bold")
        start = time.monotonic()
        refusal = ""
        try:
            self._run(arguments)
        except refusals as error:
            refusal = str(error)
            self._say(refusal, style="yellow")
        step = FinishedStep(name, command, fingerprint, round(time.monotonic() - start, 1), refusal)
        self._remember(step)
        return step

    def _read(self) -> list[FinishedStep]:
        if not self._path.is_file():
            return []
        try:
            return TypeAdapter(list[FinishedStep]).validate_json(self._path.read_bytes())
        except ValidationError:
            self._say(f"{self._path} is damaged, so every step is looked at again", style="yellow")
            return []

    def _remember(self, step: FinishedStep) -> None:
        self.finished = [*(old for old in self.finished if old.name != step.name), step]
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps([asdict(row) for row in self.finished], indent=1))
        draft.replace(self._path)

    def _say(self, text: str, *, style: str) -> None:
        self._console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)


def _fingerprint(command: str, reads: Sequence[Path]) -> str:
    digest = hashlib.sha256(command.encode())
    for path in reads:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
