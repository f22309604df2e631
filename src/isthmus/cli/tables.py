"""Tables that several verbs print."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetFacts


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
