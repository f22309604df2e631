"""Pictures of a run: overlays, a confusion matrix, training curves."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.datasets.label_space import LabelSpace
from isthmus.training.evaluation import EvaluationResult, JudgedFrame
from isthmus.training.method import Picture

_OVERLAY_SHARE = 0.55
_COLORS = 10  # that matplotlib goes through
_LINES = ("-", "--", ":")
_PANELS = 4  # small ones side by side
_Line = list[tuple[int, float]]  # step and value


def overlay(image: Picture, own_ids: NDArray[np.uint8], space: LabelSpace) -> Picture:
    """Labels laid over a frame in their colours; unlabelled pixels stay as they are. All [H, W, 3]."""
    blended = (1 - _OVERLAY_SHARE) * image + _OVERLAY_SHARE * space.colorize(own_ids)
    labelled = (own_ids < space.num_classes)[..., None]
    return np.where(labelled, blended.round().astype(np.uint8), image)


def file_stem(title: str) -> str:
    """A data set's title in the names of its files: `street`, or `gta5-all-holdout` where it has no name."""
    return title.replace("/", "-").replace(":", "-")


def judged_picture(frame: JudgedFrame, space: LabelSpace) -> Picture:
    """Frame, truth and prediction side by side, [H, 3·W, 3]."""
    return np.concatenate(
        [frame.image, overlay(frame.image, frame.mask, space), overlay(frame.image, frame.pred, space)], axis=1
    )


def save_picture(picture: Picture, path: Path) -> None:
    """Write a PNG; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def save_confusion(result: EvaluationResult, path: Path) -> None:
    """Draw the confusion matrix, each row as shares of its true class."""
    counts = result.confusion.astype(np.float64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = list(result.space.names)
    figure, axes = _figure(0.5 * len(names) + 3, 0.45 * len(names) + 2)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names) + 1), [*names, "(none)"], rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{result.title}: where the pixels of each class went")
    for row, column in np.argwhere(shares >= 0.05):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(picture, ax=axes, fraction=0.04)
    _save(figure, path)


def save_curves(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses and the mIoU of each judged set over the steps of a run's history.

    A loss `NAME` whose metrics `NAME.0`, `NAME.1`, … tell it by source has a small panel of its own for these.
    """
    losses: dict[str, _Line] = {}
    scores: dict[str, _Line] = {}
    by_source: dict[str, dict[str, _Line]] = {}
    for row in rows:
        if row["kind"] == "train":
            for name, value in row["losses"].items():
                losses.setdefault(name, []).append((row["step"], value))
            for key, value in row.get("metrics", {}).items():
                name, _, source = key.rpartition(".")
                if name in row["losses"] and source.isdecimal():
                    by_source.setdefault(name, {}).setdefault(f"source {source}", []).append((row["step"], value))
        elif row["kind"] == "evaluation" and row["miou"] is not None:
            label = f"{row['role']} {row['title']}"
            scores.setdefault(label, []).append((row["step"], 100 * row["miou"]))
    panel_rows = -(-len(by_source) // _PANELS)
    heights = [4.0, 2.2 * panel_rows] if panel_rows else [4.0]
    figure = _empty_figure(14, sum(heights))
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    left, right = above.subplots(1, 2)
    for axes, curves, title in ((left, losses, "loss"), (right, scores, "mIoU %")):
        _plot(axes, curves, title, marker="." if axes is right else None)
        if curves:
            axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    for part in below:
        panels = part.subplots(panel_rows, _PANELS, squeeze=False).flatten()
        for axes, (name, curves) in zip(panels, by_source.items(), strict=False):
            _plot(axes, curves, name)
            axes.legend(fontsize=7, frameon=False)
        for axes in panels[len(by_source) :]:
            axes.set_axis_off()
    _save(figure, path)


def _plot(axes: Any, curves: Mapping[str, _Line], title: str, *, marker: str | None = None) -> None:
    """Lines by name over the steps."""
    for number, (name, points) in enumerate(curves.items()):
        style = _LINES[number // _COLORS % len(_LINES)]  # a line for each ten colours
        axes.plot(*zip(*points, strict=True), style, label=name, marker=marker)
    axes.set_xlabel("step")
    axes.set_title(title)
    axes.grid(alpha=0.3)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    figure = _empty_figure(width, height)
    return figure, figure.subplots(1, 1)


def _empty_figure(width: float, height: float) -> Any:
    # Without pyplot there is no global state and no display to find.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
