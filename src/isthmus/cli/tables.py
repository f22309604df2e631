"""Tables that several verbs print."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetFacts
    from isthmus.training.registry import RegisteredVersion


def dataset_table(facts: Iterable["DatasetFacts"]) -> Table:
    """One line a data set."""
    table = Table("name", "what", Column("classes", no_wrap=True), "splits", "licence")
    for fact in facts:
        summary = fact.summary.rstrip(".")
        classes = f"{fact.num_classes} ({fact.label_space_name})"
        table.add_row(fact.name, summary, classes, ", ".join(fact.splits), fact.licence)
    return table


def dataset_page(console: Console, fact: "DatasetFacts") -> None:
    """All about one data set."""
    console.rule(fact.name)
    console.print(escape(fact.summary))
    console.print(escape(fact.layout), style="cyan", highlight=False)
    rows = {
        "images": fact.images,
        "splits": ", ".join(fact.splits),
        "label space": fact.label_space,
        "licence": fact.licence,
        "citation": fact.citation,
        "home page": fact.homepage,
    }
    for name, text in rows.items():
        console.print(f"[bold]{name}[/bold]: {escape(text)}", highlight=False)


def version_table(versions: Iterable["RegisteredVersion"]) -> Table:
    """One line a version of a registered model, with each data set's mIoU in percent."""
    rows = list(versions)
    scores = sorted({key for row in rows for key in row.facts if key.startswith("miou.")})
    table = Table("version", "aliases", "method", "step", "made")
    for score in scores:
        table.add_column(f"{score.removeprefix('miou.')} mIoU %", justify="right", overflow="fold")
    for row in rows:
        facts = row.facts
        table.add_row(
            str(row.version),
            ", ".join(row.aliases),
            facts.get("method", ""),
            facts.get("step", ""),
            f"{row.created_at:%Y-%m-%d %H:%M}",
            *(f"{100 * float(facts[key]):.1f}" if key in facts else "" for key in scores),
        )
    return table
