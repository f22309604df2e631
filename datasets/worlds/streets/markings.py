"""Paint on the road: lines, crossings, arrows, hatching, letters, coloured lanes; and the tram's rails."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Thing
from isthmus.datasets.worlds.geometry.shapes import grid, polygon
from isthmus.datasets.worlds.streets.ground import ROAD, SIDEWALK
from isthmus.datasets.worlds.streets.layout import KERB_M, TRAM_MEDIAN_M, StreetPlan
from isthmus.datasets.worlds.streets.strip import patches, strip

_HEIGHT_M: Final = 0.012
_COLORED_M: Final = 0.006
_FROM_M: Final = -12.0
_TO_M: Final = 130.0
_MOUTH_M: Final = 4.5
"""How far the lines keep from a side street."""
_PIECE_M: Final = 3.0
"""Longest rectangle of a line along a bend."""
_LETTER_STROKES: Final = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 2, 1], [1, 0, 0], [1, 1, 0]])
"""Not letters, but alike: strokes (column, row, 1 across or 0 along), rows from foot to head."""
_STEM: Final = 2
"""Each glyph has its first strokes, the left stem, and some others: with a right stem alone it would look mirrored."""


def build_markings(mesh: MeshBuilder, street: StreetPlan, paint: Paint, rng: np.random.Generator) -> None:
    """Mark a street; side streets get their middle line and give-way marks only."""
    painter = _Painter(street, rng)
    dash, gap = float(rng.uniform(1.5, 4.0)), float(rng.uniform(2.0, 6.0))
    width = float(rng.uniform(0.10, 0.18))
    painter.middle(dash, gap, width)
    for lane in range(1, street.lanes):
        for side in (-1, 1):
            painter.dashes(side * (street.half_median + lane * street.lane_width), dash, gap, width)
    if street.kind == "arm":
        painter.give_way()
    else:
        painter.edges(float(rng.random()), width)
        painter.junctions()
    if street.kind not in ("arm", "cross"):
        painter.symbols()
        painter.color_lanes(mesh)
    mesh.add(patches(street.curve, np.array(painter.rectangles), _HEIGHT_M), paint, ROAD)
    for head in painter.heads:
        mesh.add(polygon(np.stack([street.curve.at(*corner, _HEIGHT_M) for corner in head])), paint, ROAD)
    for s, t in painter.wheels:
        angle = np.linspace(0.0, 2 * np.pi, 13)
        rings = [street.curve.at(s + r * 1.3 * np.cos(angle), t + r * np.sin(angle), _HEIGHT_M) for r in (0.26, 0.36)]
        mesh.add(grid(np.stack(rings)), paint, ROAD)
    if street.has_sidewalk and painter.landings:
        _pave_landings(mesh, street, painter.landings, rng)


def _pave_landings(mesh: MeshBuilder, street: StreetPlan, landings: list[float], rng: np.random.Generator) -> None:
    """Dropped kerbs with tactile plates where crossings begin."""
    grey = float(rng.uniform(0.35, 0.75))
    color = (0.72, 0.58, 0.20) if rng.random() < 0.3 else (grey, grey * 0.97, grey * 0.92)
    plates = Paint(Material.PAVING, color, 0.05, (3.0, 0.5, float(rng.random()), 0.0))
    for s in landings:
        for side in (-1, 1):
            kerb, inside = street.kerb(side), street.kerb_spans(side)
            if any(s0 < s and s + 3.0 < s1 for s0, s1 in inside):
                ramp = (side * (kerb - 0.2), side * (kerb + 0.9))
                mesh.add(strip(street.curve, (s, s + 3.0), ramp, 0.02, KERB_M + 0.006), plates, SIDEWALK)


def build_rails(mesh: MeshBuilder, street: StreetPlan, grass: Thing) -> None:
    """Two tracks of grooved rails, in the road or on a median's grass."""
    steel = Paint(Material.PLAIN, (0.20, 0.19, 0.18), 0.6)
    on_grass = street.half_median > TRAM_MEDIAN_M
    for side in (-1, 1):
        for rail in (-0.72, 0.72):
            t = side * abs(street.tram_line) + rail
            y = street.tram_height + (0.01 if on_grass else 0.014)
            mesh.add(strip(street.curve, street.road, (t - 0.05, t + 0.05), y), steel, grass if on_grass else ROAD)


@dataclass(frozen=True, slots=True)
class _Painter:
    street: StreetPlan
    rng: np.random.Generator
    rectangles: list[tuple[float, float, float, float]] = field(default_factory=list)
    """First and last s, first and last t."""
    heads: list[list[tuple[float, float]]] = field(default_factory=list)
    """Triangles in (s, t)."""
    wheels: list[tuple[float, float]] = field(default_factory=list)
    """Middles of rings in (s, t)."""
    landings: list[float] = field(default_factory=list)
    """Where crossings reach the kerbs, in s."""

    @property
    def last(self) -> float:
        """Where the lines end."""
        return min(_TO_M, self.street.road[1] - (2.0 if self.street.kind == "tee" else 0.0))

    @property
    def first(self) -> float:
        return max(_FROM_M, self.street.road[0])

    def band(self, s: float, length: float, t: float, width: float) -> None:
        """A rectangle from s on, `width` wide about t."""
        pieces = max(1, round(length / _PIECE_M))
        cuts = np.linspace(s, s + length, pieces + 1).tolist()
        self.rectangles.extend([(a, b, t - width / 2, t + width / 2) for a, b in pairwise(cuts)])

    def mouths(self) -> list[tuple[float, float]]:
        """Where side streets interrupt the lines."""
        return [
            (junction.s - junction.half_width - _MOUTH_M, junction.s + junction.half_width + _MOUTH_M)
            for junction in self.street.junctions
        ]

    def dashes(self, t: float, dash: float, gap: float, width: float) -> None:
        for s in np.arange(self.first, self.last - dash, dash + gap).tolist():
            if not any(first - dash < s < last for first, last in self.mouths()):
                self.band(s, dash, t, width)

    def solid(self, t: float, width: float) -> None:
        at = self.first
        for first, last in [*self.mouths(), (self.last, self.last)]:
            if first > at:
                self.band(at, first - at, t, width)
            at = last

    def middle(self, dash: float, gap: float, width: float) -> None:
        """What parts the directions."""
        street, luck = self.street, self.rng.random()
        if street.half_median:
            for side in (-1, 1):
                self.solid(side * (street.half_median + 0.3), width)
        elif street.kind == "residential" or luck < 0.12:
            return
        elif street.lanes > 1 and luck < 0.6:
            self.solid(-0.14, width)
            self.solid(0.14, width)
        elif luck < 0.7:
            self.solid(0.0, width)
        else:
            self.dashes(0.0, dash, gap, width)

    def edges(self, luck: float, width: float) -> None:
        """A line beside parking strips and on some roads; double lines where nobody may stop; bays' borders."""
        street = self.street
        for side in (-1, 1):
            parking = street.parking[side > 0]
            if (parking and luck < 0.7) or luck < 0.3 or street.kind == "highway":
                self.solid(side * (street.half_road - 0.25 if not street.shoulder else street.half_road), width)
            if parking and luck > 0.5:
                for s in np.arange(self.first, min(self.last, 70.0), 5.6).tolist():
                    if not any(first < s < last for first, last in self.mouths()):
                        self.rectangles.append((s, s + 0.1, side * street.half_road, side * street.kerb(side)))
            if luck > 0.65 and not parking and street.has_sidewalk:
                for inset in (0.25, 0.48):
                    self.solid(side * (street.kerb(side) - inset), 0.09)

    def junctions(self) -> None:
        """Crossings, stop lines and box junctions where streets meet, and a crossing on the open road at times."""
        rng, street = self.rng, self.street
        for first, last in self.mouths():
            luck = rng.random()
            if luck < 0.6:
                self.crossing(first + 1.0 if rng.random() < 0.6 else last - 4.0)
            self.stop_line(first - 0.8)
            if luck > 0.84 and street.kind != "cross" and street.lanes < 3:
                self.box(first + _MOUTH_M, last - _MOUTH_M)
        if street.kind == "tee":
            self.stop_line(street.road[1] - 1.4)
            if rng.random() < 0.5:
                self.crossing(street.road[1] - 5.6)
        elif street.has_sidewalk and rng.random() < 0.22:
            self.crossing(float(rng.uniform(8, 40)))

    def crossing(self, s: float) -> None:
        """Zebra bars, a pair of lines, or a ladder; zig-zags before some."""
        street, luck = self.street, self.rng.random()
        self.landings.append(s)
        left, right = -street.kerb(-1) + 0.25, street.kerb(1) - 0.25
        if luck < 0.7:
            width, step = (0.5, 1.0) if luck < 0.5 else (0.3, 0.6)
            for t in np.arange(left + width / 2, right - width / 2, step).tolist():
                self.rectangles.append((s, s + 3.0, t - width / 2, t + width / 2))
        if luck > 0.6:
            self.rectangles.extend([(s - 0.1, s + 0.1, left, right), (s + 2.9, s + 3.1, left, right)])
        if luck < 0.2 and street.has_sidewalk:
            for side in (-1, 1):
                for step in range(6):
                    a, t = s - 2.0 - 2.0 * step, side * (street.half_road - 0.6)
                    lean = 0.25 if step % 2 else -0.25
                    self.heads.append([(a, t - lean - 0.06), (a, t - lean + 0.06), (a - 2.0, t + lean)])

    def box(self, first: float, last: float) -> None:
        """A hatched area that must stay free."""
        half, step = self.street.half_road, 1.5
        reach = last - first
        for at in np.arange(-half, half + reach, step).tolist():
            for way in (-1, 1):
                t0, t1 = at, at - reach
                a, b = np.clip([t0, t1], -half, half).tolist()
                if abs(a - b) > 0.3:
                    s0, s1 = first + (t0 - a), first + (t0 - b)
                    self.heads.extend([[(s0, way * a), (s0 + 0.2, way * a), (s1, way * b)]])
                    self.heads.extend([[(s1, way * b), (s1 - 0.2, way * b), (s0, way * a)]])

    def stop_line(self, s: float) -> None:
        street = self.street
        inner, outer = street.half_median + 0.15, street.half_road - 0.15
        first, last = sorted((street.drive_side * inner, street.drive_side * outer))
        self.rectangles.append((s, s + 0.45, first, last))

    def give_way(self) -> None:
        """Teeth or a dashed line at a side street's mouth, in the lane that comes in."""
        half, way = self.street.half_road, -self.street.drive_side
        s, teeth = self.street.start + 0.8, self.rng.random() < 0.5
        for t in np.arange(0.3, half - 0.4, 0.8).tolist():
            if teeth:
                self.heads.append([(s, way * t), (s, way * (t + 0.5)), (s + 0.7, way * (t + 0.25))])
            else:
                self.rectangles.append((s, s + 0.3, way * t, way * (t + 0.5)))

    def symbols(self) -> None:
        """Arrows, letters, bicycles and hatching on the lanes."""
        rng, street = self.rng, self.street
        for lane in range(street.lanes):
            t = street.lane_middle(1, lane)
            if rng.random() < 0.3:
                self.arrow(float(rng.uniform(6, 34)), t, int(rng.integers(-1, 2)))
            if rng.random() < 0.07:
                self.letters(float(rng.uniform(5, 22)), t, int(rng.integers(2, 5)))
        if rng.random() < 0.12 and street.has_sidewalk:
            self.bicycle(float(rng.uniform(5, 20)), street.drive_side * (street.half_road - 0.8))

    def arrow(self, s: float, t: float, turn: int) -> None:
        """A straight (0) or turning (±1) arrow."""
        self.band(s, 2.2, t, 0.16)
        head = [(s + 2.2, t - 0.35), (s + 2.2, t + 0.35), (s + 3.4, t)]
        if turn:
            head = [(s + 1.7, t + turn * 0.08), (s + 2.5, t + turn * 0.08), (s + 2.1, t + turn * 0.9)]
        self.heads.append(head)

    def letters(self, s: float, t: float, count: int) -> None:
        """A word, drawn long because drivers see it flat."""
        wide, tall, stroke = 0.42, 1.0, 0.10
        left = t - count * (wide + 0.18) / 2
        for letter in range(count):
            origin = left + letter * (wide + 0.18)
            taken = (self.rng.random(len(_LETTER_STROKES)) < 0.5) | (np.arange(len(_LETTER_STROKES)) < _STEM)
            for column, row, across in _LETTER_STROKES[taken].tolist():
                t0, s0 = origin + column * wide, s + row * tall
                if across:
                    self.rectangles.append((s0, s0 + 0.18, origin, origin + wide))
                else:
                    self.rectangles.append((s0, s0 + tall, t0, t0 + stroke))

    def bicycle(self, s: float, t: float) -> None:
        """The sign of a cycle lane."""
        self.wheels.extend([(s, t), (s + 1.2, t)])
        self.rectangles.extend([(s, s + 1.2, t - 0.04, t + 0.04), (s + 0.3, s + 0.42, t, t + 0.4)])

    def color_lanes(self, mesh: MeshBuilder) -> None:
        """A red or green cycle lane beside the kerb, or a bus lane."""
        street, rng = self.street, self.rng
        if not street.has_sidewalk or rng.random() > 0.10:
            return
        color = ((0.42, 0.24, 0.20), (0.26, 0.36, 0.27), (0.25, 0.31, 0.40), (0.38, 0.26, 0.23))[int(rng.integers(4))]
        width = street.lane_width if street.lanes > 1 and rng.random() < 0.4 else 1.5
        paint = Paint(Material.ASPHALT, color, 0.1, (float(rng.random()), 40.0, 0.0, 0.3))
        for side in (-1, 1) if rng.random() < 0.5 else (street.drive_side,):
            outer = side * street.half_road
            span = (self.first, min(self.last, street.end))
            mesh.add(strip(street.curve, span, (outer - side * width, outer), _COLORED_M), paint, ROAD)
            self.solid(outer - side * width, 0.12)
