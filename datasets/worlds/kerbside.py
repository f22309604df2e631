"""The row along the kerb: trees, lamps, signs, signals, bollards, railings, bins."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.datasets.worlds import furniture
from isthmus.datasets.worlds.layout import KERB_M, StreetPlan
from isthmus.datasets.worlds.mesh import MeshBuilder
from isthmus.datasets.worlds.style import StreetStyle
from isthmus.datasets.worlds.vegetation import add_tree

_FAR_M: Final = 115.0
_SIGNS_TO_M: Final = 90.0
_SMALL_TO_M: Final = 70.0
_METRES_A_SIGN: Final = 18.0
_TRIES: Final = 4


def build_kerbsides(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Furnish both sides of the main street."""
    for side in (-1, 1):
        kerbside = _Kerbside(mesh, street, style, rng, side)
        spans = street.free_spans(side, 2.0)
        if rng.random() < style.tree_probability and kerbside.has_room:
            kerbside.plant_trees(spans)
        kerbside.put_lamps(spans)
        for s0, s1 in spans:
            kerbside.put_signs(s0, min(s1, _SIGNS_TO_M))
            kerbside.put_small_things(s0, min(s1, _SMALL_TO_M))
        kerbside.put_signals()


@dataclass(frozen=True, slots=True)
class _Kerbside:
    mesh: MeshBuilder
    street: StreetPlan
    style: StreetStyle
    rng: np.random.Generator
    side: int
    taken: list[float] = field(default_factory=list)
    """Where along the street something stands already."""

    @property
    def has_room(self) -> bool:
        """Whether a tree fits without closing the sidewalk."""
        return self.street.verge[self.side > 0] > 0 or self.street.sidewalk[self.side > 0] > 2.0

    @property
    def line(self) -> float:
        """The lateral offset t of the row."""
        verge = self.street.verge[self.side > 0]
        return self.side * (self.street.kerb(self.side) + (verge * 0.5 if verge > 0 else 0.45))

    @property
    def towards_road(self) -> float:
        """The turn that points a thing's +x at the road."""
        return np.pi if self.side > 0 else 0.0

    @property
    def is_ours(self) -> bool:
        """Whether signs here are meant for the camera's direction."""
        return self.side == self.street.drive_side

    def find_place(self, s0: float, s1: float, reach: float) -> float | None:
        """A position where nothing stands within `reach` metres, or None after a few tries."""
        for _ in range(_TRIES):
            s = float(self.rng.uniform(s0, s1))
            if all(abs(s - other) > reach for other in self.taken):
                self.taken.append(s)
                return s
        return None

    def plant_trees(self, spans: list[tuple[float, float]]) -> None:
        rng = self.rng
        bare = bool(rng.random() < self.style.bare_tree_probability)
        leaf = self.style.leaves[int(rng.integers(len(self.style.leaves)))]
        spacing = float(rng.uniform(*self.style.tree_spacing_m))
        for s0, s1 in spans:
            for s in np.arange(max(s0, 4.0) + rng.uniform(0, spacing), min(s1, _FAR_M), spacing):
                place = self.street.curve.place(float(s), self.line, KERB_M, turn=float(rng.uniform(0, 6)))
                add_tree(self.mesh, place, rng, leaf, bare=bare, height=float(rng.uniform(5.5, 11)))
                self.taken.append(float(s))

    def put_lamps(self, spans: list[tuple[float, float]]) -> None:
        rng = self.rng
        gap = float(rng.uniform(*self.style.lamp_spacing_m))
        height, arm = float(rng.uniform(5.0, 9.0)), float(rng.uniform(0.0, 2.0))
        for s0, s1 in spans:
            for first in np.arange(s0 + rng.uniform(0, gap), min(s1, _FAR_M), gap):
                s = self.find_place(float(first), float(first) + 3.0, 1.0)
                if s is None:
                    continue
                place = self.street.curve.place(s, self.line, KERB_M, turn=self.towards_road)
                furniture.add_lamp(self.mesh, place, rng, height=height, arm=arm)

    def put_signs(self, s0: float, s1: float) -> None:
        rng = self.rng
        for _ in range(int(rng.poisson(max(s1 - s0, 0.0) / _METRES_A_SIGN))):
            is_board = rng.random() < 0.15
            s = self.find_place(s0, s1, 3.0 if is_board else 1.2)
            if s is None:
                continue
            facing = np.pi if self.is_ours or rng.random() < 0.4 else 0.0
            place = self.street.curve.place(s, self.line, KERB_M, turn=float(rng.normal(0, 0.1)))
            add = furniture.add_board if is_board else furniture.add_sign
            add(self.mesh, place, rng, facing=facing)

    def put_small_things(self, s0: float, s1: float) -> None:
        """Bollards, a railing at the kerb, bins and boxes."""
        rng, curve = self.rng, self.street.curve
        if s1 - s0 < 8.0:
            return
        if rng.random() < 0.3:
            start, step = float(rng.uniform(s0, s1 - 6.0)), float(rng.uniform(1.3, 2.5))
            places = [curve.place(start + k * step, self.line, KERB_M) for k in range(int(rng.integers(3, 9)))]
            furniture.add_bollards(self.mesh, places, rng)
        if rng.random() < 0.25:
            start = float(rng.uniform(s0, s1 - 6.0))
            row = np.linspace(start, min(start + float(rng.uniform(6, 20)), s1), 9)
            points = curve.at(row, self.side * (self.street.kerb(self.side) + 0.3), KERB_M)
            furniture.add_fence(self.mesh, points, rng, at_kerb=True)
        for _ in range(int(rng.poisson(0.8))):
            at_wall = self.side * (self.street.lot_line(self.side) - 0.4)
            t = at_wall if rng.random() < 0.5 else self.line
            s = self.find_place(s0, s1, 1.0)
            if s is None:
                continue
            place = curve.place(s, t, KERB_M, turn=self.side * np.pi / 2)
            furniture.add_box_or_bin(self.mesh, place, rng, IGNORE_INDEX)

    def put_signals(self) -> None:
        """Traffic lights before junctions."""
        for junction in self.street.junctions:
            if self.rng.random() < 0.55:
                ahead = -1 if self.is_ours else 1
                s = junction.s + ahead * (junction.half_width + 1.2)
                place = self.street.curve.place(s, self.line, KERB_M, turn=self.towards_road)
                facing = (np.pi if self.rng.random() < 0.75 else 0.0) - self.towards_road
                furniture.add_traffic_light(self.mesh, place, self.rng, facing=facing)
