"""Where a street runs and what lies beside it: the plan that all builders read.

A street has coordinates of its own: `s` metres along its middle line, `t` metres to the right of it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.mesh import Floats, Placement

BEHIND_M: Final = 30.0
"""How far a bent street reaches behind the camera."""
_LENGTH_M: Final = 190.0
_STEP_M: Final = 0.5
PARKING_M: Final = 2.1
"""Width of a parking strip."""
KERB_M: Final = 0.13
"""Height of the sidewalk over the road."""
EDGE_M: Final = 0.16
"""Width of a kerb stone."""
TRAM_MEDIAN_M: Final = 3.2
"""A median whose half is wider than this carries the tram."""
BRIDGE_M: Final = 9.0
"""Width of a bridge over the street."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A street's middle line, sampled; straight beyond its ends."""

    s: NDArray[np.float64]
    x: NDArray[np.float64]
    z: NDArray[np.float64]
    angle: NDArray[np.float64]

    @classmethod
    def bent(cls, curvatures: NDArray[np.float64], starts: NDArray[np.float64]) -> "Curve":
        """A curve through (0, 0) heading along +z whose curvature (1/m) is `curvatures[i]` from `starts[i]` on."""
        s = np.arange(-BEHIND_M, _LENGTH_M, _STEP_M)
        kappa = curvatures[np.clip(np.searchsorted(starts, s, side="right") - 1, 0, None)]
        angle = np.cumsum(kappa) * _STEP_M
        angle -= np.interp(0.0, s, angle)
        x, z = np.cumsum(np.sin(angle)) * _STEP_M, np.cumsum(np.cos(angle)) * _STEP_M
        return cls(s, x - np.interp(0.0, s, x), z - np.interp(0.0, s, z), angle)

    @classmethod
    def straight(cls, x: float, z: float, angle: float, length: float) -> "Curve":
        """A straight line from (x, z)."""
        s = np.arange(0.0, length + _STEP_M, _STEP_M)
        return cls(s, x + np.sin(angle) * s, z + np.cos(angle) * s, np.full_like(s, angle))

    def at(self, s: NDArray[np.float64] | float, t: NDArray[np.float64] | float, y: float = 0.0) -> Floats:
        """World points [..., 3] of street coordinates."""
        s, t = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(t, np.float64))
        angle = np.interp(s, self.s, self.angle)
        x = np.interp(s, self.s, self.x) + t * np.cos(angle)
        z = np.interp(s, self.s, self.z) - t * np.sin(angle)
        return np.stack([x, np.full_like(x, y), z], -1).astype(np.float32)

    def place(self, s: float, t: float, y: float = 0.0, *, turn: float = 0.0) -> Placement:
        """A placement at street coordinates, looking along the street plus `turn` radians."""
        x, height, z = (float(v) for v in self.at(s, t, y))
        return Placement((x, height, z), float(np.interp(s, self.s, self.angle)) + turn)


@dataclass(frozen=True, slots=True)
class Junction:
    """A street that meets another one."""

    s: float
    half_width: float
    sides: tuple[int, ...]
    """+1 right, −1 left."""
    sidewalk: float
    """Width of the meeting street's sidewalks."""
    radius: float
    """Of the kerbs' round corners."""
    corner_house: float = 0.0
    """Depth of the houses at the corner that front the meeting street."""


@dataclass(frozen=True, slots=True)
class Square:
    """Open ground beside a street in place of houses."""

    side: int
    start: float
    end: float
    depth: float
    is_car_park: bool
    """Marked bays on tarmac; a paved place otherwise."""


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """One street."""

    curve: Curve
    start: float
    """Where the sidewalks begin, in s."""
    lots_start: float
    """Where the lots begin: on a side street, behind the houses at the corner."""
    end: float
    """Where the sidewalks end."""
    lanes: int
    """A direction."""
    lane_width: float
    parking: tuple[bool, bool]
    """On the left and on the right."""
    sidewalk: tuple[float, float]
    """Widths on the left and on the right, 0 beside a highway."""
    verge: tuple[float, float]
    """Width of the grass strip between road and sidewalk, 0 for none."""
    junctions: tuple[Junction, ...]
    tram: bool
    drive_side: int
    """+1 drives on the right."""
    kind: str = "street"
    """One of `StreetStyle.street_kinds`."""
    road: tuple[float, float] = (-25.0, 185.0)
    """First and last s of the carriageway."""
    lots_end: float = 185.0
    """Where the lots end, before `end` or at it."""
    half_median: float = 0.0
    """From the middle line to the lanes' inner edge: half of the strip that parts the directions."""
    shoulder: float = 0.0
    """Width of a highway's hard shoulder."""
    square: Square | None = None
    crossing: float | None = None
    """Where a bridge leads over the street, or where the street enters a tunnel."""

    @property
    def half_road(self) -> float:
        """From the middle line to the lanes' outer edge, without parking strips."""
        return self.half_median + self.lanes * self.lane_width

    @property
    def has_sidewalk(self) -> bool:
        """Whether people walk beside this street."""
        return max(self.sidewalk) > 0.0

    @property
    def tram_line(self) -> float:
        """Lateral offset t of the middle of the tram track that comes towards the camera."""
        on_grass = self.half_median > TRAM_MEDIAN_M
        return -self.drive_side * (1.6 if on_grass else abs(self.lane_middle(-1, 0)))

    @property
    def tram_height(self) -> float:
        """Of the ground that carries the rails: the road, or a median's grass."""
        return KERB_M if self.half_median > TRAM_MEDIAN_M else 0.0

    def lane_middle(self, way: int, lane: int) -> float:
        """Lateral offset t of the middle of a lane; way +1 goes where the camera looks, lane 0 is the innermost."""
        return way * self.drive_side * (self.half_median + (lane + 0.5) * self.lane_width)

    def kerb(self, side: int) -> float:
        """|t| of the kerb on a side (−1 left, +1 right)."""
        return self.half_road + self.shoulder + (PARKING_M if self.parking[side > 0] else 0.0)

    def lot_line(self, side: int) -> float:
        """|t| where the sidewalk ends and the lots begin."""
        return self.kerb(side) + self.verge[side > 0] + self.sidewalk[side > 0]

    def lot_spans(self, side: int) -> list[tuple[float, float]]:
        """Intervals of s on a side that are lots: they leave side streets' sidewalks, squares and bridges free."""
        taken = [
            (j.s - reach, j.s + reach)
            for j in self.junctions
            if side in j.sides
            for reach in (j.half_width + j.sidewalk + 0.3 + j.corner_house,)
        ]
        if self.square is not None and side == self.square.side:
            taken.append((self.square.start, self.square.end))
        if self.kind == "bridge" and self.crossing is not None:
            taken.append((self.crossing - BRIDGE_M / 2 - 1.0, self.crossing + BRIDGE_M / 2 + 1.0))
        return _between(self.lots_start, min(self.lots_end, self.end), taken)

    def free_spans(self, side: int, margin: float) -> list[tuple[float, float]]:
        """Intervals of s on a side that keep `margin` from side streets' roads."""
        taken = [(j.s - j.half_width - margin, j.s + j.half_width + margin) for j in self.junctions if side in j.sides]
        return _between(self.start, self.end, taken)

    def open_spans(self, side: int, margin: float) -> list[tuple[float, float]]:
        """The free spans without what lies under a bridge or in a tunnel."""
        spans = self.free_spans(side, margin)
        if self.crossing is None:
            return spans
        reach = BRIDGE_M / 2 + 1.5
        roofed = (self.crossing - reach, self.road[1] if self.kind == "tunnel" else self.crossing + reach)
        return [piece for start, end in spans for piece in _between(start, end, [roofed])]

    def kerb_spans(self, side: int) -> list[tuple[float, float]]:
        """Intervals of s where the kerb on a side runs straight: all but the mouths and their round corners."""
        taken = [
            (j.s - j.half_width - j.radius, j.s + j.half_width + j.radius) for j in self.junctions if side in j.sides
        ]
        return _between(self.start, self.end, taken)


@dataclass(frozen=True, slots=True)
class Layout:
    """The streets of a scene: the main one that the camera drives, and those that meet it."""

    main: StreetPlan
    sides: tuple[StreetPlan, ...]

    @property
    def streets(self) -> tuple[StreetPlan, ...]:
        """All of them."""
        return (self.main, *self.sides)


def _between(first: float, last: float, taken: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of an interval when others are taken out."""
    spans, at = [], first
    for start, end in sorted(taken):
        if start > at:
            spans.append((at, min(start, last)))
        at = max(at, end)
    if last > at:
        spans.append((at, last))
    return [(start, end) for start, end in spans if end > start]
