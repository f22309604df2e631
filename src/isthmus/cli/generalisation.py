"""The verb that reports runs on targets that they never trained on, as tables in the terminal and in Markdown."""

import json
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from isthmus.training.generalisation import Report, Spread
    from isthmus.training.judged_runs import JudgedRun

_BREAKS: Final = re.compile(r"(?<=[a-zA-Z]{2}-)(?=[a-zA-Z]{2})|\s+")
"""Where a line may break, as `textwrap` breaks it."""


def generalisation(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    *,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    out: Path | None = None,
) -> None:
    """Report how runs do on unseen targets: one chosen step for all of them, mean and spread over seeds.

    $ isthmus generalisation runs/randomization
    $ isthmus generalisation runs/source-1 runs/source-2 runs/random-1 runs/random-2 --out generalisation.md
    $ isthmus generalisation runs/randomization --json

    The step is the best on held-out frames of a source or, without validation, the last; never one that a target
    chose. What the targets' own labels would have chosen stands in a table of its own, named optimistic.
    Reads histories of finished runs; nothing is evaluated again.

    Args:
        runs: Output folders of `isthmus train`, all judged on the same targets; those of one name are seeds.
        as_json: Print JSON instead of tables, mIoU in [0, 1].
        out: A Markdown file to write the tables to as well.
    """
    from rich.console import Console

    from isthmus.training.generalisation import report_on

    report = report_on(runs)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(to_markdown(report), encoding="utf-8")
    if as_json:
        print(json.dumps(report.to_tree(), indent=2))
        return
    console = Console()
    for table in tables_of(report):
        console.print(table.to_rich(console.width))
    for note in notes_of(report):
        console.print(note, highlight=False, markup=False)
    if out is not None:
        console.print(f"written to {out}", highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table before it is decided where it goes."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_labels: int
    """Leading columns that hold words; the others hold numbers and are aligned to the right."""

    def to_rich(self, width: int) -> "Table":
        """For a terminal of so many columns; lines break at spaces and hyphens, inside of words as a last resort."""
        from rich.markup import escape
        from rich.table import Column, Table

        header, *rows = _wrapped((self.header, *self.rows), width)
        columns = [
            Column(escape(name), justify="left" if index < self.num_labels else "right", overflow="fold")
            for index, name in enumerate(header)
        ]
        table = Table(*columns, title=escape(self.title))
        for row in rows:
            table.add_row(*map(escape, row))
        return table

    def to_markdown(self) -> str:
        """A caption and a table, as GitHub reads it."""
        rule = ["---" if index < self.num_labels else "---:" for index in range(len(self.header))]
        lines = [[cell.replace("|", "\\|") for cell in row] for row in (self.header, *self.rows)]
        lines.insert(1, rule)
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _wrapped(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Cells with line breaks, so that a table of them fits: the widest columns give way, down to their longest words.

    Args:
        rows: Cells, the header first; all rows of the same number of columns.
        width: Of the terminal.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [max(len(word) for cell in column for word in _BREAKS.split(cell)) for column in columns]
    excess = sum(widths) + 3 * len(columns) + 1 - width  # a border and two blanks for each, and the last border
    for _ in range(excess):
        spare, widest = max((have - need, index) for index, (have, need) in enumerate(zip(widths, words, strict=True)))
        if spare == 0:
            break  # the terminal is too narrow for the words: rich folds them
        widths[widest] -= 1
    return [["\n".join(textwrap.wrap(cell, wide)) for cell, wide in zip(row, widths, strict=True)] for row in rows]


def to_markdown(report: "Report") -> str:
    """The whole report for a page, with the command that makes it."""
    command = shlex.join(["isthmus", "generalisation", *(str(run.folder) for run in report.runs)])
    parts = [f"```bash\n{command}\n```", *(table.to_markdown() for table in tables_of(report))]
    parts.append("\n".join(f"- {note}" for note in notes_of(report)))
    return "\n\n".join(parts) + "\n"


def tables_of(report: "Report") -> list[TextTable]:
    """The runs, their scores at the chosen step, and apart from them the optimistic ones; mIoU in percent."""
    from isthmus.training.generalisation import OPTIMISTIC

    header = ("run", *(target.heading for target in report.targets), "mean of targets")
    chosen = _score_rows(report, {run.folder: run.miou for run in report.runs})
    best = _score_rows(report, {run.folder: run.best_miou for run in report.runs})
    return [
        TextTable(
            "Runs", ("run", "folder", "method", "chosen by", "step"), tuple(map(_run_row, report.runs)), num_labels=4
        ),
        TextTable("mIoU % at the chosen step", header, tuple(chosen), num_labels=1),
        TextTable(f"mIoU %, {OPTIMISTIC}", header, tuple(best), num_labels=1),
    ]


def notes_of(report: "Report") -> Iterator[str]:
    """What the tables rest on."""
    for target in report.targets:
        yield f"{target.title}: {target.num_frames} frames of {target.dataset} {target.split} ({target.label_space})."
    yield "Mean of targets: unweighted. Over seeds: mean ± sample standard deviation."
    for run in report.runs:
        yield f"{run.folder}: network sees {run.predicted}; {run.num_evaluations} evaluations of each target."
        for part in run.seen:
            yield f"{run.folder} trained on {part}: no unseen target for it."
        for part in run.ancestry:
            yield f"{run.folder}, its ancestry: {part}."


def _run_row(run: "JudgedRun") -> tuple[str, ...]:
    return (f"{run.name}, seed {run.seed}", str(run.folder), run.method, run.chosen_by, str(run.step))


def _score_rows(report: "Report", scores: Mapping[Path, Mapping[str, float]]) -> Iterator[tuple[str, ...]]:
    """A row a run and, where there are several seeds, one for all of them."""
    from isthmus.training.generalisation import mean_spread, spreads_of

    for group in report.groups:
        of_runs = [scores[run.folder] for run in group.runs]
        lines = [(f"{run.name}, seed {run.seed}", [each]) for run, each in zip(group.runs, of_runs, strict=True)]
        if len(of_runs) > 1:
            lines.append((f"{group.name}, {len(of_runs)} seeds", of_runs))
        for label, values in lines:
            spreads = spreads_of(values)
            cells = (_percent(spreads[target.title]) for target in report.targets)
            yield (label, *cells, _percent(mean_spread(values)))


def _percent(spread: "Spread") -> str:
    deviation = "" if spread.std is None else f" ± {100 * spread.std:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"
