"""Where a street runs and what lies beside it: the plan that all builders read.

A street has coordinates of its own: `s` metres along its middle line, `t` metres to the right of it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.mesh import Floats, Placement
from isthmus.datasets.worlds.style import StreetStyle

_BEHIND_M: Final = 30.0
_LENGTH_M: Final = 190.0
_STEP_M: Final = 0.5
_CORNER_HOUSE_M: Final = 12.0
PARKING_M: Final = 2.1
"""Width of a parking strip."""
KERB_M: Final = 0.13
"""Height of the sidewalk over the road."""


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
        s = np.arange(-_BEHIND_M, _LENGTH_M, _STEP_M)
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
    """A side street that meets the main one."""

    s: float
    half_width: float
    sides: tuple[int, ...]
    """+1 right, −1 left."""
    sidewalk: float
    """Width of the side street's sidewalks."""


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """One street."""

    curve: Curve
    start: float
    """Where the sidewalks begin, in s."""
    lots_start: float
    """Where the lots begin: on a side street, behind the houses at the corner."""
    end: float
    lanes: int
    """A direction."""
    lane_width: float
    parking: tuple[bool, bool]
    """On the left and on the right."""
    sidewalk: tuple[float, float]
    """Widths on the left and on the right."""
    verge: tuple[float, float]
    """Width of the grass strip between road and sidewalk, 0 for none."""
    junctions: tuple[Junction, ...]
    tram: bool
    drive_side: int
    """+1 drives on the right."""

    @property
    def half_road(self) -> float:
        """From the middle line to the lanes' outer edge, without parking strips."""
        return self.lanes * self.lane_width

    def kerb(self, side: int) -> float:
        """|t| of the kerb on a side (−1 left, +1 right)."""
        return self.half_road + (PARKING_M if self.parking[side > 0] else 0.0)

    def lot_line(self, side: int) -> float:
        """|t| where the sidewalk ends and the lots begin."""
        return self.kerb(side) + self.verge[side > 0] + self.sidewalk[side > 0]

    def lot_spans(self, side: int) -> list[tuple[float, float]]:
        """Intervals of s on a side that are lots: they leave the side streets' sidewalks free."""
        widest = max((junction.sidewalk for junction in self.junctions), default=0.0)
        spans = self.free_spans(side, widest + 0.3)
        return [(max(s0, self.lots_start), s1) for s0, s1 in spans if s1 > self.lots_start]

    def free_spans(self, side: int, margin: float) -> list[tuple[float, float]]:
        """Intervals of s on a side that keep `margin` from side streets' roads."""
        spans, at = [], self.start
        for junction in self.junctions:
            if side in junction.sides:
                if junction.s - junction.half_width - margin > at:
                    spans.append((at, junction.s - junction.half_width - margin))
                at = junction.s + junction.half_width + margin
        if self.end > at:
            spans.append((at, self.end))
        return spans


@dataclass(frozen=True, slots=True)
class Layout:
    """The streets of a scene: the main one that the camera drives, and those that meet it."""

    main: StreetPlan
    sides: tuple[StreetPlan, ...]

    @property
    def streets(self) -> tuple[StreetPlan, ...]:
        """All of them."""
        return (self.main, *self.sides)


def draw_layout(style: StreetStyle, rng: np.random.Generator) -> Layout:
    """Draw a scene's streets."""
    bends = rng.uniform(*style.curvature, 3) * (rng.random(3) < 0.6)
    curve = Curve.bent(bends, np.array([-_BEHIND_M, rng.uniform(15, 50), rng.uniform(60, 110)]))
    lanes = int(rng.choice(style.lanes))
    tram = bool(rng.random() < style.tram_probability)
    parking = (bool(rng.random() < style.parking_probability), bool(rng.random() < style.parking_probability))
    verge = float(rng.uniform(1.0, 3.0)) if rng.random() < style.verge_probability else 0.0
    junctions = _draw_junctions(style, rng)
    main = StreetPlan(
        curve=curve,
        start=-12.0,
        lots_start=-12.0,
        end=float(rng.uniform(110, 170)),
        lanes=max(lanes, 2) if tram else lanes,
        lane_width=float(rng.uniform(*style.lane_width_m)),
        parking=parking,
        sidewalk=(float(rng.uniform(*style.sidewalk_m)), float(rng.uniform(*style.sidewalk_m))),
        verge=(verge, verge if rng.random() < 0.6 else 0.0),
        junctions=junctions,
        tram=tram,
        drive_side=-1 if rng.random() < style.left_hand_probability else 1,
    )
    return Layout(main, tuple(_side_street(main, j, side) for j in junctions for side in j.sides))


def _draw_junctions(style: StreetStyle, rng: np.random.Generator) -> tuple[Junction, ...]:
    junctions: list[Junction] = []
    at = float(rng.uniform(6, 50))
    while at < 110 and len(junctions) < 2:
        if rng.random() < style.junction_probability:
            sides = ((-1,), (1,), (-1, 1))[int(rng.integers(3))]
            junctions.append(Junction(at, float(rng.uniform(2.8, 5.5)), sides, float(rng.uniform(*style.sidewalk_m))))
        at += float(rng.uniform(35, 60))
    return tuple(junctions)


def _side_street(main: StreetPlan, junction: Junction, side: int) -> StreetPlan:
    origin = main.curve.place(junction.s, side * main.kerb(side), turn=side * np.pi / 2)
    return StreetPlan(
        curve=Curve.straight(origin.position[0], origin.position[2], origin.heading, 90.0),
        start=main.lot_line(side) - main.kerb(side),
        lots_start=main.lot_line(side) - main.kerb(side) + _CORNER_HOUSE_M,
        end=80.0,
        lanes=1,
        lane_width=junction.half_width,
        parking=(False, False),
        sidewalk=(junction.sidewalk, junction.sidewalk),
        verge=(0.0, 0.0),
        junctions=(),
        tram=False,
        drive_side=main.drive_side,
    )
