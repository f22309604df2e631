"""The view: a few tables, drawn from the state."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from isthmus.serving.client import Change, ModelChange
from isthmus.serving.watch.state import WatchState

_CHANGE_NAMES = {Change.ROLLED_BACK.value: "rolled back"}
_COLORS = {Change.SWAPPED: "green", Change.ROLLED_BACK: "red", Change.REFUSED: "red"}


def draw(state: WatchState) -> RenderableType:
    """All of it, for a terminal."""
    parts: list[RenderableType] = [_server(state)]
    if state.changes or state.changes_problem:
        parts.append(_changes(state))
    if state.metrics_url is not None:
        parts.append(_frames(state))
    return Panel(Group(*parts), title=f"isthmus at {state.address}", title_align="left")


def line(state: WatchState) -> str:
    """The state in one line, for a log: health, model, frames so far."""
    model = state.model
    parts = [state.health, state.problem if model is None else f"{model.name} version {model.version}"]
    if state.metrics_problem:
        parts.append(state.metrics_problem)
    elif state.metrics is not None:
        counts = sorted(state.metrics.frames.items())
        parts.append(", ".join(f"{count:.0f} {verdict}" for verdict, count in counts) or "no frames so far")
    return "; ".join(parts)


def change_line(change: ModelChange) -> str:
    """A change in one line, for a log."""
    told = f"{change.change.value}: {_versions(change)}"
    return f"{told}: {change.reason}" if change.reason else told


def _server(state: WatchState) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("health", Text(state.health, "green" if state.health == "SERVING" else "red"))
    model = state.model
    if model is None:
        table.add_row("model", Text(state.problem, "red"))
        return table
    table.add_row("model", f"{model.name} version {model.version}")
    fallback = Text(" (a GPU was wanted)", "yellow") if model.provider_fallback else Text()
    table.add_row("provider", Text(model.provider) + fallback)
    table.add_row("digest", f"{model.sha256[:16]}…")
    table.add_row("classes", f"{len(model.classes)} of label space {model.label_space_id}")
    if model.from_cache:
        table.add_row("", Text("the last good model, from the cache", "yellow"))
    return table


def _changes(state: WatchState) -> Table:
    table = Table(title="Changes", title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
    for at, change in reversed(state.changes):
        name = Text(change.change.value, _COLORS.get(change.change, ""))
        table.add_row(f"{at:%H:%M:%S}", name, _versions(change), change.reason)
    if state.changes_problem:
        table.add_row("", Text("not told", "yellow"), Text(state.changes_problem), "")
    return table


def _versions(change: ModelChange) -> str:
    if change.change is Change.REFUSED:
        return f"version {change.refused_version} refused, version {change.model.version} goes on"
    return f"version {change.model.version}"


def _frames(state: WatchState) -> RenderableType:
    page = state.metrics
    if page is None or state.metrics_problem:
        return Text(state.metrics_problem or "no numbers yet", "yellow")
    rates = state.rates()
    table = Table(title="Frames", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("verdict", "count", "a second"):
        table.add_column(column, justify="left" if column == "verdict" else "right")
    for verdict, count in sorted(page.frames.items()):
        rate = "" if rates is None else f"{rates[verdict]:.1f}"
        table.add_row(verdict, f"{count:.0f}", rate)
    if not page.frames:
        table.add_row("none so far", "0", "")
    gauges = ", ".join(
        f"{value:.0f} {name.removesuffix('s') if value == 1 else name}" for name, value in sorted(page.gauges.items())
    )
    seen = [f"{count:.0f} {_CHANGE_NAMES.get(name, name)}" for name, count in sorted(page.changes.items()) if count]
    versions = f"new versions so far: {', '.join(seen)}" if seen else ""
    return Group(table, *(Text(text) for text in (gauges, versions) if text))
