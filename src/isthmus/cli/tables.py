"""Tables that several verbs print."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from isthmus.errors import ContractError

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetFacts
    from isthmus.training.moves import Move
    from isthmus.training.registry_details import VersionDetails
    from isthmus.training.registry_versions import RegisteredVersion


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
    """One line a version: what the gate said for which alias, and mIoU by data set in percent, as on its card."""
    rows = list(versions)
    scores = sorted({key for row in rows for key in row.facts if key.startswith("miou.")})
    table = Table("version", "aliases", "gate", "method", "step", "made")
    for score in scores:
        table.add_column(f"{score.removeprefix('miou.')} mIoU % on the card", justify="right", overflow="fold")
    for row in rows:
        facts = row.facts
        table.add_row(
            str(row.version),
            ", ".join(row.aliases),
            _verdicts(row),
            facts.get("method", ""),
            facts.get("step", ""),
            f"{row.created_at:%Y-%m-%d %H:%M}",
            *(f"{100 * float(facts[key]):.1f}" if key in facts else "" for key in scores),
        )
    return table


def _verdicts(version: "RegisteredVersion") -> str:
    """What the gate said for each alias, such as `forced for champion`; whose word that is, `show` checks."""
    from isthmus.training.verdicts import verdict_tags

    try:
        tags = verdict_tags(version.facts, version.uri)
    except ContractError:
        return "damaged"
    return ", ".join(f"{tag.outcome} for {alias}" for alias, tag in tags.items())


def details_page(console: Console, details: "VersionDetails", moves: Iterable["Move"]) -> None:
    """All about one version, and what became of its model's aliases."""
    version, card = details.version, details.card
    console.rule(f"{version.name} version {version.version}")
    rows = {
        "aliases": ", ".join(version.aliases) or "none",
        "SHA-256": version.sha256,
        "made": f"{version.created_at:%Y-%m-%d %H:%M} UTC by run {version.run_id}",
        "copied from": version.facts.get("origin", ""),
        "network": f"{card.decoder} over {card.encoder}, method {card.method}, {card.step} steps",
        "commit": card.git_commit,
        "lock": card.lock_hash,
        "data sets": ", ".join(f"{one.dataset}/{one.split} ({one.role}, {one.digest[:12]})" for one in card.datasets),
    }
    rows |= {f"verdict for {one.alias}": one.standing for one in details.verdicts}
    rows |= {} if details.verdicts else {"verdict": "none: no gate has judged this version"}
    for name, text in rows.items():
        if text:
            console.print(f"[bold]{name}[/bold]: {escape(text)}", highlight=False, soft_wrap=True)
    for one in details.verdicts:
        if one.report is not None:
            console.print(one.report.to_text(), highlight=False, markup=False, soft_wrap=True)
    log = Table("when", "what", "state", "alias", "version", "before", "by", "why", title="log")
    for move in moves:
        before = "" if move.before is None else str(move.before)
        row = (move.at[:19], move.action, move.state, move.alias, str(move.version), before, move.by)
        log.add_row(*row, escape(move.reason))
    if log.row_count:
        console.print(log)
