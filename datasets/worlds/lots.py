"""What lines a street: rows of houses, blocks, gardens, walls and empty lots, chosen lot by lot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.datasets.worlds.buildings import add_house, draw_house
from isthmus.datasets.worlds.furniture import add_fence, add_wall
from isthmus.datasets.worlds.layout import KERB_M, StreetPlan
from isthmus.datasets.worlds.materials import Rgb
from isthmus.datasets.worlds.mesh import Floats, MeshBuilder, Placement
from isthmus.datasets.worlds.style import StreetStyle
from isthmus.datasets.worlds.vegetation import add_bush, add_conifer, add_hedge, add_tree

_GROUND_Y: Final = KERB_M - 0.03
_NARROWEST_M: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Lot:
    """A piece of land beside the street, with what is needed to build on it."""

    mesh: MeshBuilder
    style: StreetStyle
    rng: np.random.Generator
    street: StreetPlan
    side: int
    start: float
    """In metres along the street."""
    width: float

    @property
    def end(self) -> float:
        return self.start + self.width

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def leaf(self) -> Rgb:
        return self.style.leaves[int(self.rng.integers(len(self.style.leaves)))]

    def edge(self, setback: float) -> Floats:
        """Ground points [N, 3] along the front, `setback` metres behind the lot line."""
        s = np.linspace(self.start, self.end, max(2, round(self.width / 1.3)))
        return self.street.curve.at(s, self.side * (self.street.lot_line(self.side) + setback), _GROUND_Y)

    def house(self, setback: float, *, low: bool = False, margin: float = 0.0) -> None:
        """A house that looks at the street, however the street bends."""
        line = self.side * (self.street.lot_line(self.side) + setback)
        near, far = self.street.curve.at(np.array([self.start + margin, self.end - margin]), line)
        # A house's x axis runs along its front with the yard behind: backwards along the street on the right.
        start, stop = (near, far) if self.side < 0 else (far, near)
        chord = stop - start
        heading = float(np.arctan2(-chord[2], chord[0]))
        house = draw_house(self.style, self.rng, width=float(np.hypot(chord[0], chord[2])), low=low)
        add_house(self.mesh, Placement((float(start[0]), _GROUND_Y, float(start[2])), heading), house, self.rng)

    def wall(self, *, darkest: float = 0.6) -> None:
        color = self.style.walls[int(self.rng.integers(len(self.style.walls)))]
        tone = self.uniform(darkest, 1.0)
        add_wall(self.mesh, self.edge(0.12), self.rng, (color[0] * tone, color[1] * tone, color[2] * tone))

    def border(self) -> None:
        """A fence, a hedge, a hedge behind a fence, or a wall on the lot line."""
        luck = self.rng.random()
        if luck < 0.62:
            add_fence(self.mesh, self.edge(0.12), self.rng, at_kerb=False)
        if 0.42 < luck < 0.85:
            height, thick = self.uniform(0.9, 2.2), self.uniform(0.7, 1.3)
            add_hedge(self.mesh, self.edge(0.3 + thick / 2), self.rng, self.leaf(), height=height, width=thick)
        if luck >= 0.85:
            self.wall()

    def plant(self, s: float, setback: float, *, small: bool) -> None:
        """A bush, or a tree of some kind."""
        line = self.side * (self.street.lot_line(self.side) + setback)
        place = self.street.curve.place(s, line, _GROUND_Y, turn=self.uniform(0, 2 * np.pi))
        leaf, luck = self.leaf(), self.rng.random()
        if small:
            add_bush(self.mesh, place, self.rng, leaf, size=self.uniform(0.7, 2.2))
        elif luck < 0.15:
            add_conifer(self.mesh, place, self.rng, leaf, height=self.uniform(5, 12))
        else:
            bare = bool(self.rng.random() < self.style.bare_tree_probability)
            add_tree(self.mesh, place, self.rng, leaf, bare=bare, height=self.uniform(5.0, 12.0))


def build_lots(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Fill both sides of a street. Neighbouring lots tend to be alike, as in real quarters."""
    kinds = list(style.lot_weights)
    weights = np.array([style.lot_weights[kind] for kind in kinds])
    weights = weights / weights.sum()
    for side in (-1, 1):
        kind = str(rng.choice(kinds, p=weights))
        for s0, s1 in street.lot_spans(side):
            at = s0
            while at < s1 - _NARROWEST_M:
                if rng.random() < 0.35:
                    kind = str(rng.choice(kinds, p=weights))
                low, high, build = _LOTS[kind]
                width = min(float(rng.uniform(low, high)), s1 - at)
                build(_Lot(mesh, style, rng, street, side, at, width))
                at += width + (float(rng.uniform(1.0, 4.0)) if kind in ("block", "detached") else 0.0)


def build_backdrop(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Close the view at the street's end with trees or a house front."""
    end = max(street.end, 80.0)
    if rng.random() < 0.5:
        house = draw_house(style, rng, width=60.0, low=False)
        add_house(mesh, street.curve.place(end + 30.0, -30.0), house, rng)
    for _ in range(10):
        leaf = style.leaves[int(rng.integers(len(style.leaves)))]
        s, t = end + float(rng.uniform(12, 25)), float(rng.uniform(-40, 40))
        place = street.curve.place(s, t, _GROUND_Y)
        add_tree(mesh, place, rng, leaf, bare=False, height=float(rng.uniform(6, 12)))


def _terrace(lot: _Lot) -> None:
    lot.house(0.0)


def _block(lot: _Lot) -> None:
    setback = lot.uniform(0.0, 4.0)
    lot.house(setback)
    if setback > 2.0 and lot.rng.random() < 0.5:
        lot.border()


def _detached(lot: _Lot) -> None:
    setback = lot.uniform(3.5, 8.0)
    lot.house(setback, low=True, margin=min(1.5, lot.width * 0.15))
    lot.border()
    for _ in range(int(lot.rng.integers(1, 4))):
        lot.plant(lot.uniform(lot.start + 0.5, lot.end - 0.5), lot.uniform(1.0, setback - 0.8), small=True)


def _garden(lot: _Lot) -> None:
    """A park or a big garden: a border in front, trees behind."""
    if lot.rng.random() < 0.8:
        lot.border()
    for row in (lot.uniform(2.0, 4.0), lot.uniform(7.0, 10.0), lot.uniform(13.0, 18.0)):
        for s in np.arange(lot.start + 1.5, lot.end - 1.0, lot.uniform(3.0, 6.0)):
            lot.plant(float(s) + lot.uniform(-1, 1), row, small=bool(lot.rng.random() < 0.3))


def _walled(lot: _Lot) -> None:
    lot.wall()
    for s in np.arange(lot.start + 2.0, lot.end - 1.0, lot.uniform(4.0, 7.0)):
        lot.plant(float(s), lot.uniform(2.5, 6.0), small=False)
    if lot.rng.random() < 0.5:
        lot.house(9.0)


def _empty(lot: _Lot) -> None:
    """Open ground behind a fence, with a house far back."""
    if lot.rng.random() < 0.7:
        add_fence(lot.mesh, lot.edge(0.1), lot.rng, at_kerb=False)
    lot.house(lot.uniform(14, 20))
    for _ in range(3):
        lot.plant(lot.uniform(lot.start + 1, lot.end - 1), lot.uniform(4, 12), small=False)


_LOTS: Final[Mapping[str, tuple[float, float, Callable[[_Lot], None]]]] = {
    "terrace": (5.0, 11.0, _terrace),
    "block": (14.0, 32.0, _block),
    "detached": (12.0, 18.0, _detached),
    "garden": (10.0, 24.0, _garden),
    "wall": (10.0, 24.0, _walled),
    "lot": (10.0, 24.0, _empty),
}
"""Narrowest and widest lot in metres, and its builder, by the names that `StreetStyle.lot_weights` uses."""
