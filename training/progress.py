"""What a person sees while a run trains."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from isthmus.training.evaluation import EvaluationResult


@contextmanager
def counted(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, gone when the work is done; nothing elsewhere.

    Args:
        console: Where to show it.
        what: What is going on.

    Yields:
        Takes the numbers done and in all.
    """
    bar = (TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*bar, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total, refresh=done == total)


class Reporter:
    """A progress bar on a terminal, a line a report elsewhere; silent on all processes but the first.

    Args:
        console: Where to print.
        steps: Length of the run.
        is_main: Whether this process prints.
    """

    def __init__(self, console: Console, steps: int, *, is_main: bool) -> None:
        self._console = console if is_main else Console(quiet=True)
        self._steps = steps
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            speed_estimate_period=120,
            console=self._console,
            disable=not (is_main and self._console.is_terminal),
        )
        self._task = self._progress.add_task("train", total=steps, facts="")

    @contextmanager
    def training(self, step: int) -> Iterator[None]:
        """Show the bar while the loop runs, from `step` on."""
        self._progress.update(self._task, completed=step)
        with self._progress:
            yield

    def counting(self, what: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """Show a bar for other long work; see `counted`."""
        return counted(self._console, what)

    def advance(self, step: int) -> None:
        """`step` steps are done."""
        self._progress.update(self._task, completed=step)

    def log(self, step: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Show the losses and the speed of the last steps."""
        shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        facts = f"loss {shown}  {images_per_second:.1f} images/s"
        self._progress.update(self._task, facts=facts)
        if not self._console.is_terminal:
            self.say(f"step {step}/{self._steps}  {facts}")

    def judged(self, step: int, role: str, result: EvaluationResult) -> None:
        """Show an evaluation in one line."""
        miou = result.scores.miou
        score = "–" if miou is None else f"{100 * miou:.1f} %"
        self.say(f"step {step}/{self._steps}  {role} {result.title}: mIoU {score}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True)
