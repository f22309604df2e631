"""Paint on the road: lane and edge lines, stop lines, crossings and arrows."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.layout import StreetPlan
from isthmus.datasets.worlds.materials import Paint
from isthmus.datasets.worlds.mesh import Geometry, MeshBuilder, Thing
from isthmus.datasets.worlds.shapes import polygon
from isthmus.datasets.worlds.strip import strip

_HEIGHT_M: Final = 0.012
_FROM_M: Final = -20.0
_TO_M: Final = 140.0
_MOUTH_M: Final = 4.5
"""How far the lines keep from a side street."""


def build_markings(mesh: MeshBuilder, street: StreetPlan, paint: Paint, rng: np.random.Generator) -> None:
    """Mark the main street."""
    painter = _Painter(mesh, street, paint)
    dash, gap = float(rng.uniform(1.5, 4.0)), float(rng.uniform(2.0, 6.0))
    width = float(rng.uniform(0.10, 0.18))
    if rng.random() < 0.88:
        if street.lanes > 1 and rng.random() < 0.6:
            painter.solid(-0.14, width)
            painter.solid(0.14, width)
        else:
            painter.dashes(0.0, dash, gap, width)
    for lane in range(1, street.lanes):
        for side in (-1, 1):
            painter.dashes(side * lane * street.lane_width, dash, gap, width)
    painter.edges(float(rng.random()), width)
    for first, last in painter.mouths():
        if rng.random() < 0.6:
            painter.zebra(first + 1.0 if rng.random() < 0.6 else last - 4.0)
        painter.stop_line(first - 0.8)
    if rng.random() < 0.4:
        painter.arrow(float(rng.uniform(7, 30)), int(rng.integers(-1, 2)))


@dataclass(frozen=True, slots=True)
class _Painter:
    mesh: MeshBuilder
    street: StreetPlan
    paint: Paint

    def add(self, shape: Geometry) -> None:
        self.mesh.add(shape, self.paint, Thing(TRAIN_ID["road"]))

    def band(self, s: float, length: float, t: float, width: float) -> None:
        """A rectangle from s on, `width` wide about t."""
        self.add(strip(self.street.curve, (s, s + length), (t - width / 2, t + width / 2), _HEIGHT_M))

    def mouths(self) -> list[tuple[float, float]]:
        """Where side streets interrupt the lines."""
        return [
            (junction.s - junction.half_width - _MOUTH_M, junction.s + junction.half_width + _MOUTH_M)
            for junction in self.street.junctions
        ]

    def dashes(self, t: float, dash: float, gap: float, width: float) -> None:
        for s in np.arange(_FROM_M, _TO_M, dash + gap):
            if not any(first - dash < s < last for first, last in self.mouths()):
                self.band(float(s), dash, t, width)

    def solid(self, t: float, width: float) -> None:
        at = _FROM_M
        for first, last in [*self.mouths(), (_TO_M, _TO_M)]:
            if first > at:
                self.band(at, first - at, t, width)
            at = last

    def edges(self, luck: float, width: float) -> None:
        """A line beside parking strips and on some roads; double lines where nobody may stop."""
        for side in (-1, 1):
            parking = self.street.parking[side > 0]
            if parking or luck < 0.3:
                self.solid(side * (self.street.half_road - 0.25), width)
            if luck > 0.65 and not parking:
                for inset in (0.25, 0.48):
                    self.solid(side * (self.street.kerb(side) - inset), 0.09)

    def zebra(self, s: float) -> None:
        for t in np.arange(-self.street.kerb(-1) + 0.65, self.street.kerb(1) - 0.25, 1.0):
            self.band(s, 3.0, float(t), 0.5)

    def stop_line(self, s: float) -> None:
        half = self.street.half_road
        self.band(s, 0.45, self.street.drive_side * half / 2, half - 0.3)

    def arrow(self, s: float, turn: int) -> None:
        """A straight (0) or turning (±1) arrow in a lane of ours."""
        t = self.street.drive_side * self.street.lane_width / 2
        self.band(s, 2.2, t, 0.16)
        head = [(s + 2.2, t - 0.35), (s + 2.2, t + 0.35), (s + 3.4, t)]
        if turn:
            head = [(s + 1.7, t + turn * 0.08), (s + 2.5, t + turn * 0.08), (s + 2.1, t + turn * 0.9)]
        self.add(polygon(np.stack([self.street.curve.at(*corner, _HEIGHT_M) for corner in head])))
