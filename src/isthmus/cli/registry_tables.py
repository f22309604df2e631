"""What the registry's verbs print: whole words in 80 columns, and one line a fact where it goes into a pipe."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from isthmus.errors import ContractError

if TYPE_CHECKING:
    from isthmus.training.moves import Move
    from isthmus.training.registry_details import Verdict, VersionDetails
    from isthmus.training.registry_diff import Difference
    from isthmus.training.registry_versions import RegisteredModel, RegisteredVersion


_ROOMY: Final = 100
"""So many columns show long aliases on one line."""


def text_width(console: Console) -> int | None:
    """How long lines of text may be: a terminal's width, and anything elsewhere."""
    return console.width if console.is_terminal else None


def model_table(models: Iterable["RegisteredModel"]) -> Table:
    """One line a model."""
    table = _table("model", "versions", "champion", "challenger", "last promoted")
    for model in models:
        last = model.promoted
        promoted = "never" if last is None else f"{last.at[:10]} {last.at[11:16]}: {last.version} to {last.alias}"
        holders = [str(model.aliases.get(alias, "–")) for alias in ("champion", "challenger")]
        table.add_row(model.name, str(model.num_versions), *holders, promoted)
    return table


def version_table(versions: Iterable["RegisteredVersion"], width: int) -> Table:
    """A version a row: what gate and servers said, and mIoU by data set in percent, as on its card.

    Args:
        versions: In the order to show them in.
        width: Characters that a line holds; in few, long names of aliases go on below.
    """
    table = _table("version", "aliases", "gate", "method", "made (UTC)", "mIoU % on the card", gap=1)
    for column in (0, 3, 4):
        table.columns[column].no_wrap = True
    for column in (1, 2):
        table.columns[column].max_width = len("challenger") if width < _ROOMY else None
    for version in versions:
        facts = version.facts
        scores = {key.removeprefix("miou."): facts[key] for key in sorted(facts) if key.startswith("miou.")}
        table.add_row(
            str(version.version),
            "\n".join(version.aliases),
            "\n".join([*(_verdicts(version) or ["not asked"]), *_at_the_servers(version)]),
            f"{facts.get('method', '')}\n{facts.get('step', '?')} steps",
            f"{version.created_at:%Y-%m-%d\n%H:%M}",
            "\n".join(f"{title} {100 * float(score):.1f}" for title, score in scores.items()),
        )
    return table


def verdict_words(version: "RegisteredVersion") -> dict[str, str]:
    """What the gate said by alias, such as `passed`, `forced` or `passed, then refused`; who signed, `show` checks.

    Raises:
        ContractError: A tag is not as isthmus writes it.
    """
    from isthmus.training.verdicts import refusal_tags, verdict_tags

    tags, refusals = verdict_tags(version.facts, version.uri), refusal_tags(version.facts, version.uri)
    later = {alias for alias, tag in refusals.items() if alias in tags and tag.created_at > tags[alias].created_at}
    return {alias: tag.outcome + (", then refused" if alias in later else "") for alias, tag in tags.items()}


def _verdicts(version: "RegisteredVersion") -> list[str]:
    try:
        return [f"{alias}:\n{words}" for alias, words in verdict_words(version).items()]
    except ContractError:
        return ["damaged"]


def _at_the_servers(version: "RegisteredVersion") -> list[str]:
    """A mark where a server did not take a version or went back from it; why, `show` tells."""
    state = version.facts.get("serving_state", "")
    if not state.startswith("rejected"):
        return []
    return ["servers:\n" + ("rolled back" if "rolled back" in state else "refused")]


def details_page(console: Console, details: "VersionDetails", moves: Iterable["Move"]) -> None:
    """All about one version, and what became of its model's aliases."""
    version, card = details.version, details.card
    console.rule(f"{version.name} version {version.version}")
    rows = {
        "aliases": ", ".join(version.aliases) or "none",
        "SHA-256": version.sha256,
        "made": f"{version.created_at:%Y-%m-%d %H:%M} UTC by run {version.run_id}",
        "copied from": version.facts.get("origin", ""),
        "at the servers": version.facts.get("serving_state", ""),
        "network": f"{card.decoder} over {card.encoder}, method {card.method}, {card.step} steps",
        "commit": card.git_commit,
        "lock": card.lock_hash,
        "data sets": ", ".join(f"{one.dataset}/{one.split} ({one.role}, {one.digest[:12]})" for one in card.datasets),
    }
    rows |= {f"verdict for {one.alias}": one.standing for one in details.verdicts}
    rows |= {} if details.verdicts else {"verdict": "none: no gate has judged this version"}
    rows |= {f"refused for {one.alias}": _refusal(one, details.verdicts) for one in details.refusals}
    for name, text in rows.items():
        if text:
            _say(console, f"{name}: {text}")
    for verdict in (*details.verdicts, *details.refusals):
        if verdict.report is not None:
            _say(console, verdict.report.to_text(text_width(console)))
    log = [line for move in moves for line in _move(move)]
    if log:
        console.rule("log")
    for line in log:
        _say(console, line)


def difference_page(
    console: Console, names: tuple[str, str], differences: Sequence["Difference"], *, all_lines: bool
) -> None:
    """A table a group; lines that only one version has are counted where they are many, unless all are asked for."""
    from isthmus.training.registry_diff import COUNTED_GROUPS

    for group in dict.fromkeys(row.group for row in differences):
        rows = [row for row in differences if row.group == group]
        counted = [row for row in rows if row.only_one_has and group.startswith(COUNTED_GROUPS) and not all_lines]
        table = _table(group, *names)
        for row in rows:
            if row not in counted:
                table.add_row(row.what, *("–" if side is None else side for side in (row.first, row.second)))
        if counted and not table.row_count:
            _say(console, group)
        if table.row_count:
            console.print(table)
        if counted:
            firsts = sum(row.second is None for row in counted)
            parts = [(firsts, names[0]), (len(counted) - firsts, names[1])]
            shares = ", ".join(f"{count} that only {name} has" for count, name in parts if count)
            _say(console, f"and {shares}: --all shows them")
        console.print()


def _table(*headers: str, gap: int = 0) -> Table:
    """No lines between the columns, so that more fits; words that are longer than a column go on below.

    Args:
        headers: Names of the columns.
        gap: Empty lines below each row.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, gap, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _refusal(refusal: "Verdict", verdicts: Iterable["Verdict"]) -> str:
    if refusal.report is None:
        return refusal.standing
    first = next((one.report for one in verdicts if one.alias == refusal.alias and one.report is not None), None)
    when = "later" if first is None or refusal.report.created_at > first.created_at else "before"
    return f"{when}, {refusal.standing}; the verdict for {refusal.alias} stands, as long as it holds the alias by it"


def _move(move: "Move") -> list[str]:
    moved = f"{'none' if move.before is None else move.before} → {move.version}"
    state = "" if move.state == "done" else f", {move.state}"
    line = f"{move.at[:10]} {move.at[11:19]}  {move.action} {move.alias} {moved}{state}, by {move.by}"
    return [line, f"    because: {move.reason}"] if move.reason else [line]


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=not console.is_terminal)
