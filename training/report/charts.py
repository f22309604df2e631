"""Charts as inline SVG: sharp at every size, coloured by the page's style sheet in light and in dark.

Each function gives one `<svg>` with a description for screen readers; the page shows the same numbers in a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from isthmus.training.gate.evidence import Reliability
from isthmus.training.report.domain_gap import DomainGap

NONE_OF_THEM: Final = "(none)"
"""Column of predictions that the target's label space has no class for."""
Marker = str
_MARKERS: Final[dict[str, Marker]] = {"challenger": "circle", "champion": "square", "source-only": "triangle"}
_SHAPES: Final[tuple[Marker, ...]] = ("circle", "square", "triangle", "diamond")
_CELL, _LETTER, _GAP = 30, 6.6, 8
_SHOWN_SHARE, _WRITTEN_SHARE = 0.005, 0.05
_INKS: Final = ((0.8, "on"), (0.55, "mid"), (0.0, "off"))
"""Class of a number from a share on: how much of the cell's colour it lies upon."""


@dataclass(frozen=True, slots=True)
class Series:
    """One model's line or dots."""

    role: str
    """`challenger`, `champion` or `source-only`: its colour and marker."""
    title: str
    """For people."""


def reliability_chart(models: Sequence[tuple[Series, Reliability]]) -> Markup:
    """Accuracy over confidence, one dot a bin whose area is the bin's share of the pixels; the diagonal is honest."""
    told = "; ".join(f"{series.title}: expected calibration error {100 * one.ece:.1f} %" for series, one in models)
    svg = _svg(340, 300, f"Reliability diagram. {told}.")
    axes = _Axes(svg, (46, 12, 280, 240), (0.0, 1.0), (0.0, 1.0))
    axes.frame("confidence, %", "accuracy, %", [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1], scale=100)
    axes.line([(0.0, 0.0), (1.0, 1.0)], "honest")
    for series, one in models:
        axes.line([(each.confidence, each.accuracy) for each in one.bins], f"line {series.role}")
        for each in one.bins:
            told = f"{series.title}: {100 * each.share:.1f} % of the pixels at confidence {100 * each.confidence:.0f} %"
            size = 2.5 + 6 * each.share**0.5
            axes.dot((each.confidence, each.accuracy), series.role, _MARKERS[series.role], told, size=size)
    return _markup(svg)


def robustness_chart(
    corruption: str, severities: Sequence[int], models: Sequence[tuple[Series, float, Sequence[float]]], top: float
) -> Markup:
    """Curve of mIoU over severity, from clean frames on.

    Args:
        corruption: Its name.
        severities: One a spoiled point.
        models: Each with its mIoU on the clean frames and one a severity, in [0, 1].
        top: Upper end of the axis, in (0, 1]; the same for all charts that are compared.
    """
    told = "; ".join(
        f"{series.title}: {', '.join(f'{100 * one:.1f}' for one in (clean, *spoiled))} %"
        for series, clean, spoiled in models
    )
    svg = _svg(240, 170, f"mIoU under {corruption}, clean and at severities {_listed(severities)}. {told}.")
    axes = _Axes(svg, (34, 10, 196, 118), (0.0, float(max(severities, default=1))), (0.0, top))
    axes.frame("severity", "", [0, *severities], [0, top / 2, top], scale=100, x_scale=1)
    for series, clean, spoiled in models:
        points = [(0.0, clean), *zip(map(float, severities), spoiled, strict=True)]
        axes.line(points, f"line {series.role}")
        for x, y in points:
            axes.dot((x, y), series.role, _MARKERS[series.role], f"{series.title}: {100 * y:.1f} %")
    return _markup(svg)


def confusion_chart(counts: NDArray[np.int64], names: Sequence[str], title: str) -> Markup:
    """Where the pixels of each true class went, each row as shares of its true class.

    Args:
        counts: [C, C + 1] pixels, the last column for predictions that are none of the classes.
        names: C of them.
        title: Whose it is, for screen readers.
    """
    rows = [int(row) for row in counts.sum(1).nonzero()[0]]
    columns = sorted({*rows, *(int(column) for column in counts.sum(0).nonzero()[0])})
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [*names, NONE_OF_THEM]
    left = _GAP + _LETTER * max((len(labels[row]) for row in rows), default=0)
    above = _GAP + 0.9 * _LETTER * max((len(labels[column]) for column in columns), default=0)
    svg = _svg(left + _CELL * len(columns) + 0.6 * above, above + _CELL * len(rows) + 4, f"Confusion matrix of {title}")
    for x, column in enumerate(columns):
        at = left + _CELL * (x + 0.5), above - 4
        text = _text(svg, at, labels[column], "start")
        text.set("transform", f"rotate(-55 {at[0]:.1f} {at[1]:.1f})")
    for y, row in enumerate(rows):
        _text(svg, (left - 5, above + _CELL * (y + 0.5) + 4), labels[row], "end")
        for x, column in enumerate(columns):
            told = f"true {labels[row]}, predicted {labels[column]}"
            _cell(svg, (left + _CELL * x, above + _CELL * y), float(shares[row, column]), told, right=row == column)
    return _markup(svg)


def domain_chart(gap: DomainGap) -> Markup:
    """One point a frame, its colour the domain's role and its shape the domain."""
    told = ", ".join(f"{len(domain.points)} frames of {domain.title} ({domain.role})" for domain in gap.domains)
    svg = _svg(460, 360, f"Features of frames in two dimensions: {told}")
    points = np.array([point for domain in gap.domains for point in domain.points], float).reshape(-1, 2)
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))
    margin = 0.06 * np.maximum(high - low, 1e-9)
    (x0, y0), (x1, y1) = (low - margin).tolist(), (high + margin).tolist()
    axes = _Axes(svg, (26, 8, 426, 320), (x0, x1), (y0, y1))
    first, second = (f"{100 * share:.0f} % of the variance" for share in gap.explained)
    axes.frame(f"first component, {first}", f"second component, {second}", [], [])
    for number, domain in enumerate(gap.domains):
        for point in domain.points:
            axes.dot(point, domain.role, _SHAPES[number % len(_SHAPES)], domain.title, size=4.2)
    return _markup(svg)


def domain_marker(gap: DomainGap, number: int) -> Markup:
    """The sign of a domain in `domain_chart`, for its legend."""
    svg = _svg(14, 14, "")
    _draw_marker(svg, (7, 7), _SHAPES[number % len(_SHAPES)], gap.domains[number].role, size=5)
    return _markup(svg)


def series_marker(series: Series) -> Markup:
    """The sign of a model in all charts, for legends."""
    svg = _svg(26, 14, "")
    SubElement(svg, "path", {"class": f"line {series.role}", "d": "M1 7H25"})
    _draw_marker(svg, (13, 7), _MARKERS[series.role], series.role, size=4)
    return _markup(svg)


@dataclass(frozen=True, slots=True)
class _Axes:
    """A rectangle of an SVG in which data are drawn."""

    svg: Element
    box: tuple[float, float, float, float]
    """Left, top, width and height."""
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where data lie in the SVG."""
        left, top, width, height = self.box
        across = (point[0] - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (point[1] - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return left + width * across, top + height * (1 - up)

    def frame(
        self,
        x_title: str,
        y_title: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        *,
        scale: float = 1,
        x_scale: float | None = None,
    ) -> None:
        """Border, grid, numbers and titles."""
        left, top, width, height = self.box
        _shape(self.svg, "rect", "frame", x=left, y=top, width=width, height=height)
        for tick in x_ticks:
            x, _ = self.at((tick, self.y_range[0]))
            _shape(self.svg, "path", "grid", d=f"M{x:.1f} {top}V{top + height}")
            _text(self.svg, (x, top + height + 15), f"{(scale if x_scale is None else x_scale) * tick:g}", "middle")
        for tick in y_ticks:
            _, y = self.at((self.x_range[0], tick))
            _shape(self.svg, "path", "grid", d=f"M{left} {y:.1f}H{left + width}")
            _text(self.svg, (left - 5, y + 4), f"{scale * tick:g}", "end")
        below = top + height + (32 if x_ticks else 18)
        _text(self.svg, (left + width / 2, below), x_title, "middle")
        if y_title:
            text = _text(self.svg, (14, top + height / 2), y_title, "middle")
            text.set("transform", f"rotate(-90 14 {top + height / 2:.1f})")

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Straight lines through points."""
        steps = " ".join(f"{x:.1f} {y:.1f}" for x, y in map(self.at, points))
        _shape(self.svg, "path", kind, d=f"M{steps}" if steps else "")

    def dot(self, point: tuple[float, float], role: str, marker: Marker, told: str, size: float = 3.2) -> None:
        """One marker with a hint for the mouse."""
        SubElement(_draw_marker(self.svg, self.at(point), marker, role, size), "title").text = told


def _cell(svg: Element, at: tuple[float, float], share: float, told: str, *, right: bool) -> None:
    if share < _SHOWN_SHARE:
        return
    kind = "right" if right else "wrong"
    cell = _shape(svg, "rect", f"cell {kind}", x=at[0] + 1, y=at[1] + 1, width=_CELL - 2, height=_CELL - 2)
    cell.set("fill-opacity", f"{0.08 + 0.92 * share:.2f}")
    SubElement(cell, "title").text = f"{told}: {100 * share:.1f} %"
    if share >= _WRITTEN_SHARE:
        text = _text(svg, (at[0] + _CELL / 2, at[1] + _CELL / 2 + 4), f"{100 * share:.0f}", "middle")
        text.set("class", next(kind for least, kind in _INKS if share >= least))


def _svg(width: float, height: float, told: str) -> Element:
    """An empty drawing; without a description it is an ornament that screen readers skip."""
    svg = Element("svg", {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}"})
    if told:
        svg.set("role", "img")
        svg.set("aria-label", told)
    else:
        svg.set("aria-hidden", "true")
    return svg


def _draw_marker(svg: Element, at: tuple[float, float], marker: Marker, role: str, size: float) -> Element:
    x, y = at
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
        "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    }
    if marker not in corners:
        return _shape(svg, "circle", f"dot {role}", cx=x, cy=y, r=size)
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners[marker])
    return _shape(svg, "polygon", f"dot {role}", points=points)


def _shape(parent: Element, tag: str, kind: str, **attributes: float | str) -> Element:
    plain = {key: value if isinstance(value, str) else f"{value:.1f}" for key, value in attributes.items()}
    return SubElement(parent, tag, {"class": kind, **plain})


def _text(parent: Element, at: tuple[float, float], content: str, anchor: str) -> Element:
    text = SubElement(parent, "text", {"x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor})
    text.text = content
    return text


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _markup(svg: Element) -> Markup:
    # ElementTree escapes what it writes.
    return Markup(tostring(svg, encoding="unicode"))  # noqa: S704
