"""Goodput against offered load: a server that keeps its masks fresh stays flat beyond its capacity."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from isthmus.errors import EnvironmentMissingError
from isthmus.serving.bench.config import Scenario
from isthmus.serving.bench.rows import Row

PLOT: Final = "goodput.png"


def draw(folder: Path, rows: Sequence[Row], capacity_fps: float | None, budget_ms: float) -> Path | None:
    """Draw the sweep; None where there is none.

    Raises:
        EnvironmentMissingError: matplotlib is not installed.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.scenario == Scenario.SWEEP and row.outcome is not None:
            curves.setdefault(row.subject, []).append((row.outcome.offered, row.outcome.goodput))
    if not curves:
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise EnvironmentMissingError(
            "the package 'matplotlib' is not installed", remedy="Install isthmus[bench], or leave out --out."
        ) from error
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=name)
    if capacity_fps is not None:
        axes.axvline(capacity_fps, color="0.6", linestyle=":", label="isthmus' capacity")
    axes.set_xlabel("frames a second that are due")
    axes.set_ylabel(f"masks a second within {budget_ms:.0f} ms")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    path = folder / PLOT
    figure.savefig(path, dpi=150)
    return path
