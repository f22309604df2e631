"""What lines a street: rows of houses, blocks, gardens, walls and empty lots, chosen lot by lot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Floats, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.houses.buildings import add_house, draw_house
from isthmus.datasets.worlds.plants.vegetation import add_bush, add_conifer, add_hedge, add_tree
from isthmus.datasets.worlds.roadside.barriers import add_fence, add_wall
from isthmus.datasets.worlds.streets.ground import Ground
from isthmus.datasets.worlds.streets.layout import KERB_M, StreetPlan
from isthmus.datasets.worlds.streets.squares import build_square
from isthmus.datasets.worlds.streets.strip import strip
from isthmus.datasets.worlds.style import StreetStyle

_GROUND_Y: Final = KERB_M - 0.03
_NARROWEST_M: Final = 5.0
_DRIVEWAY_M: Final = 2.8
_PRIVATE: Final = Thing(IGNORE_INDEX)
"""A driveway is neither road nor sidewalk."""
_RESIDENTIAL: Final = {"detached": 0.45, "row": 0.40, "garden": 0.05, "wall": 0.04, "terrace": 0.06}


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
    bays: list[Placement]
    """Takes the places where a car may stand."""

    @property
    def end(self) -> float:
        return self.start + self.width

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def leaf(self) -> Rgb:
        return self.style.leaves[int(self.rng.integers(len(self.style.leaves)))]

    def edge(self, setback: float, first: float | None = None) -> Floats:
        """Ground points [N, 3] along the front from s = `first` on, `setback` metres behind the lot line."""
        first = self.start if first is None else first
        s = np.linspace(first, self.end, max(2, round((self.end - first) / 1.3)))
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

    def driveway(self, setback: float) -> float:
        """A paved way from a dropped kerb to the house, perhaps with a car on it; returns s where it ends."""
        street, side, line = self.street, self.side, self.street.lot_line(self.side)
        s0, s1 = self.start + 0.4, self.start + 0.4 + _DRIVEWAY_M
        grey = self.uniform(0.24, 0.6)
        paint = Paint(
            Material.PAVING, (grey, grey * 0.97, grey * 0.93), 0.05, (float(self.rng.integers(4)), 0.4, 0.5, 0)
        )
        way = strip(street.curve, (s0, s1), (side * line, side * (line + setback)), _GROUND_Y + 0.02)
        self.mesh.add(way, paint, _PRIVATE)
        kerb = street.kerb(side)
        if street.verge[side > 0] == 0.0:
            ramp = strip(street.curve, (s0, s1), (side * (kerb - 0.22), side * (kerb + 0.4)), 0.02, KERB_M + 0.006)
            self.mesh.add(ramp, paint, Thing(TRAIN_ID["sidewalk"]))
        if setback > 4.9:
            turn = side * np.pi / 2 + (np.pi if self.rng.random() < 0.6 else 0.0)
            self.bays.append(street.curve.place((s0 + s1) / 2, side * (line + 2.5), _GROUND_Y + 0.02, turn=turn))
        return s1 + 0.2

    def wall(self) -> None:
        """A wall on the lot line, in a tone of the world's walls."""
        color = self.style.walls[int(self.rng.integers(len(self.style.walls)))]
        tone = self.uniform(0.6, 1.0)
        add_wall(self.mesh, self.edge(0.12), self.rng, (color[0] * tone, color[1] * tone, color[2] * tone))

    def border(self, first: float | None = None) -> None:
        """A fence, a hedge, a hedge behind or before a fence, bushes through a fence, or a wall on the lot line."""
        luck = self.rng.random()
        if luck < 0.62:
            add_fence(self.mesh, self.edge(0.5 if luck < 0.06 else 0.12, first), self.rng, at_kerb=False)
        if luck < 0.06 or 0.42 < luck < 0.85:
            height, thick = self.uniform(0.7, 2.2), self.uniform(0.5, 1.3)
            setback = 0.1 if luck < 0.06 else 0.3 + thick / 2
            height, thick = (min(height, 0.9), 0.5) if luck < 0.06 else (height, thick)
            add_hedge(self.mesh, self.edge(setback, first), self.rng, self.leaf(), height=height, width=thick)
        elif luck < 0.25:
            for s in np.arange(self.start + 1.0, self.end - 0.5, self.uniform(1.5, 3.5)):
                self.plant(float(s), self.uniform(0.5, 1.2), small=True)
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


def build_lots(
    mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, ground: Ground, rng: np.random.Generator
) -> list[Placement]:
    """Fill both sides of a street. Neighbouring lots tend to be alike, as in real quarters.

    Returns:
        Where cars may stand off the main street: on driveways, in car parks, and on the streets that meet it.
    """
    if not street.has_sidewalk:
        return []
    shares = _RESIDENTIAL if street.kind == "residential" else style.lot_weights
    kinds = list(shares)
    weights = np.array([shares[kind] for kind in kinds])
    weights = weights / weights.sum()
    bays = build_square(mesh, street, style, ground, rng) + _side_places(street, rng)
    for side in (-1, 1):
        kind = str(rng.choice(kinds, p=weights))
        for s0, s1 in street.lot_spans(side):
            at = s0
            while at < s1 - _NARROWEST_M:
                if rng.random() < 0.35:
                    kind = str(rng.choice(kinds, p=weights))
                low, high, build = _LOTS[kind]
                width = min(float(rng.uniform(low, high)), s1 - at)
                build(_Lot(mesh, style, rng, street, side, at, width, bays))
                at += width + (float(rng.uniform(1.0, 4.0)) if kind in ("block", "detached") else 0.0)
        square = street.square
        if square is not None and square.side == side:
            _close_square(_Lot(mesh, style, rng, street, side, square.start, square.end - square.start, bays))
    return bays


def _side_places(street: StreetPlan, rng: np.random.Generator) -> list[Placement]:
    """Places for cars on a street that meets the main one: along its kerbs, waiting at its mouth, on its lanes."""
    if street.kind not in ("arm", "cross"):
        return []
    is_arm = street.kind == "arm"
    middle = street.start if is_arm else street.junctions[0].s
    places: list[Placement] = []

    def put(s: float, t: float, *, onwards: bool) -> None:
        places.append(street.curve.place(s, t, turn=0.0 if onwards else np.pi))

    for side in (-1, 1):
        has_strip, is_wide = street.parking[side > 0], is_arm and side > 0 and street.half_road > 4.2
        if has_strip or is_wide:
            t = side * (street.kerb(side) - 1.05)
            for s in np.arange(middle + 9.0 if is_arm else middle - 32.0, middle + 34.0, 6.4).tolist():
                if is_arm or abs(s - middle) > street.junctions[0].half_width + 5.0 or side < 0:
                    put(s, t, onwards=side == street.drive_side)
    if is_arm and rng.random() < 0.6:
        put(street.start + 3.5, street.lane_middle(-1, 0), onwards=False)
    if not is_arm:
        for way in (-1, 1):
            for s in np.arange(middle - float(rng.uniform(4, 26)), middle + 26.0, float(rng.uniform(9, 22))).tolist():
                put(s, street.lane_middle(way, int(rng.integers(street.lanes))), onwards=way > 0)
    return places


def _close_square(lot: _Lot) -> None:
    """House fronts or trees at a square's back."""
    depth = lot.street.square.depth if lot.street.square else 0.0
    pieces = max(1, round(lot.width / 14.0))
    for piece in range(pieces):
        part = replace(lot, start=lot.start + piece * lot.width / pieces, width=lot.width / pieces)
        if lot.rng.random() < 0.7:
            part.house(depth + 0.5)
        else:
            for s in np.arange(part.start + 2.0, part.end, 4.0):
                part.plant(float(s), depth + lot.uniform(1.0, 6.0), small=False)


def build_backdrop(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Close the view at the street's end with trees or a house front."""
    if street.kind in ("tee", "tunnel"):
        return
    end = max(street.end, 80.0)
    if rng.random() < 0.5:
        house = draw_house(style, rng, width=60.0, low=False)
        add_house(mesh, street.curve.place(end + 30.0, -30.0), house, rng)
    for _ in range(4 if street.kind == "arm" else 10):
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


def _row(lot: _Lot) -> None:
    """A house in a row behind a small front garden."""
    setback = lot.uniform(2.5, 6.0)
    lot.house(setback, low=True)
    first = lot.driveway(setback) if lot.width > 6.5 and lot.rng.random() < 0.4 else None
    lot.border(first)
    if lot.rng.random() < 0.5:
        lot.plant(lot.uniform(lot.start + lot.width / 2, lot.end - 0.5), setback / 2, small=True)


def _detached(lot: _Lot) -> None:
    setback = lot.uniform(3.5, 8.0)
    lot.house(setback, low=True, margin=min(1.5, lot.width * 0.15))
    first = lot.driveway(setback) if lot.rng.random() < 0.55 else None
    lot.border(first)
    for _ in range(int(lot.rng.integers(1, 4))):
        lot.plant(lot.uniform(lot.start + 4.0, lot.end - 0.5), lot.uniform(1.0, setback - 0.8), small=True)


def _garden(lot: _Lot) -> None:
    """A park or a big garden: a border in front, trees behind."""
    if lot.rng.random() < 0.8:
        lot.border()
    rows = (lot.uniform(2.0, 4.0), lot.uniform(7.0, 10.0), lot.uniform(13.0, 18.0))
    near = lot.start < 55.0 and lot.street.kind != "arm"
    for row in rows if near else rows[:1]:
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
    "row": (5.5, 9.0, _row),
    "detached": (12.0, 18.0, _detached),
    "garden": (10.0, 24.0, _garden),
    "wall": (10.0, 24.0, _walled),
    "lot": (10.0, 24.0, _empty),
}
"""Narrowest and widest lot in metres, and its builder, by the names that `StreetStyle.lot_weights` uses."""
