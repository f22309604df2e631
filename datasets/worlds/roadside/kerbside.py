"""The row along the kerb and the median: trees, lamps, signs, signals, bollards, railings, bins, shelters."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import MeshBuilder
from isthmus.datasets.worlds.plants.species import draw_species
from isthmus.datasets.worlds.plants.vegetation import add_bush, add_tree
from isthmus.datasets.worlds.roadside import furniture
from isthmus.datasets.worlds.roadside.barriers import add_fence
from isthmus.datasets.worlds.roadside.lamps import add_lamp, add_pole_line, add_twin_lamp
from isthmus.datasets.worlds.roadside.signals import add_traffic_light
from isthmus.datasets.worlds.roadside.signs import add_board, add_keep_side, add_sign, add_signs_to_lamp
from isthmus.datasets.worlds.streets.ground import Ground
from isthmus.datasets.worlds.streets.highway import build_highway
from isthmus.datasets.worlds.streets.layout import KERB_M, TRAM_MEDIAN_M, Layout, StreetPlan
from isthmus.datasets.worlds.streets.road import median_spans
from isthmus.datasets.worlds.style import StreetStyle

_FAR_M: Final = 115.0
_SIGNS_TO_M: Final = 90.0
_SMALL_TO_M: Final = 60.0
_ARM_TO_M: Final = 45.0
_METRES_A_SIGN: Final = 15.0
_TRIES: Final = 4


def build_kerbsides(
    mesh: MeshBuilder, layout: Layout, style: StreetStyle, ground: Ground, rng: np.random.Generator
) -> None:
    """Furnish all streets: the main one fully, the others with trees, lamps and signs."""
    main = layout.main
    if not main.has_sidewalk:
        build_highway(mesh, main, style, ground, rng)
        return
    wired = int(rng.choice([-1, 1])) if rng.random() < style.wires_probability else 0
    for side in (-1, 1):
        _furnish(_Kerbside(mesh, main, style, rng, side), wired=side == wired)
    if main.half_median:
        _furnish_median(mesh, main, style, rng)
    for street in layout.sides:
        for side in (-1, 1):
            kerbside = _Kerbside(mesh, street, style, rng, side)
            spans = [(s0, min(s1, _ARM_TO_M if street.kind == "arm" else _FAR_M)) for s0, s1 in kerbside.spans]
            if kerbside.has_room and rng.random() < style.tree_probability:
                kerbside.plant_trees(spans)
            kerbside.put_lamps(spans)
            kerbside.put_signs(*spans[0] if street.kind == "arm" else (55.0, 105.0))


def _furnish(kerbside: "_Kerbside", *, wired: bool) -> None:
    """One side of the main street."""
    spans = kerbside.spans
    if wired:
        kerbside.hang_wires(spans)
    elif kerbside.rng.random() < kerbside.style.tree_probability and kerbside.has_room:
        kerbside.plant_trees(spans)
    kerbside.put_lamps(spans)
    for s0, s1 in spans:
        kerbside.put_signs(s0, min(s1, _SIGNS_TO_M))
        kerbside.put_small_things(s0, min(s1, _SMALL_TO_M))
    kerbside.put_signals()


def _furnish_median(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Trees, lamps, bushes, a fence and keep-to-the-side signs between the carriageways."""
    half, rows = street.half_median, (0.0,) if street.half_median < TRAM_MEDIAN_M else (-1.0, 1.0)
    leaf = style.leaves[int(rng.integers(len(style.leaves)))]
    bare = bool(rng.random() < style.bare_tree_probability)
    luck, spacing = rng.random(), float(rng.uniform(6.0, 14.0))
    for first, last in median_spans(street):
        if last < 3.0:
            continue
        if first > 3.0 or rng.random() < 0.3:
            add_keep_side(mesh, street.curve.place(max(first, 3.0) + 0.5, 0.0, KERB_M), rng)
        for s in np.arange(max(first, 2.0) + 2.5, min(last, _FAR_M) - 2.0, spacing).tolist():
            for row in rows:
                place = street.curve.place(s, row * (half - 0.4), KERB_M, turn=float(rng.uniform(0, 6)))
                if luck < 0.55 and half > 0.6:
                    add_tree(mesh, place, rng, leaf, bare=bare, height=float(rng.uniform(4.5, 9.0)))
                elif luck < 0.8:
                    add_bush(mesh, place, rng, leaf, size=min(float(rng.uniform(0.6, 1.4)), half * 1.4))
        for s in np.arange(max(first, 2.0) + 2.5 + spacing / 2, min(last, _FAR_M) - 2.0, 2.5 * spacing).tolist():
            if luck > 0.3 and not street.tram:
                add_twin_lamp(mesh, street.curve.place(s, 0.0, KERB_M), rng, height=float(rng.uniform(7.0, 9.5)))
        if luck > 0.7 and not street.tram:
            row_points = np.arange(max(first, 0.0) + 1.0, min(last, 70.0), 2.0)
            if len(row_points) > 2:
                add_fence(mesh, street.curve.at(row_points, 0.0, KERB_M), rng, at_kerb=True)


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
    def spans(self) -> list[tuple[float, float]]:
        """Where things may stand: not in mouths and not under a roof."""
        return self.street.open_spans(self.side, 2.0)

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
        species = draw_species(rng, leaf)  # a row is of one kind
        spacing = float(rng.uniform(*self.style.tree_spacing_m))
        for s0, s1 in spans:
            for s in np.arange(max(s0, 4.0) + rng.uniform(0, spacing), min(s1, _FAR_M), spacing):
                place = self.street.curve.place(float(s), self.line, KERB_M, turn=float(rng.uniform(0, 6)))
                height = float(rng.uniform(5.5, 11))
                add_tree(self.mesh, place, rng, leaf, bare=bare, height=height, species=species)
                self.taken.append(float(s))

    def hang_wires(self, spans: list[tuple[float, float]]) -> None:
        """Wooden poles with wires, where they stand in place of trees."""
        self.taken.extend(add_pole_line(self.mesh, self.street, self.rng, t=self.line, spans=spans))

    def put_lamps(self, spans: list[tuple[float, float]]) -> None:
        rng = self.rng
        gap = float(rng.uniform(*self.style.lamp_spacing_m))
        height, arm = float(rng.uniform(5.0, 9.5)), float(rng.choice([0.0, rng.uniform(0.5, 2.4)], p=[0.25, 0.75]))
        seed = int(rng.integers(1 << 31))
        for s0, s1 in spans:
            for first in np.arange(s0 + rng.uniform(0, gap), min(s1, _FAR_M), gap):
                s = self.find_place(float(first), float(first) + 3.0, 1.0)
                if s is None:
                    continue
                place = self.street.curve.place(s, self.line, KERB_M, turn=self.towards_road)
                # The same draws for each: lamps of a street are alike.
                add_lamp(self.mesh, place, np.random.default_rng(seed), height=height, arm=arm)
                if rng.random() < 0.12:
                    add_signs_to_lamp(self.mesh, place, rng, facing=np.pi - self.towards_road)

    def put_signs(self, s0: float, s1: float) -> None:
        rng = self.rng
        for _ in range(int(rng.poisson(max(s1 - s0, 0.0) / _METRES_A_SIGN))):
            is_board = rng.random() < 0.12
            s = self.find_place(s0, s1, 3.0 if is_board else 1.2)
            if s is None:
                continue
            facing = np.pi if self.is_ours or rng.random() < 0.4 else 0.0
            place = self.street.curve.place(s, self.line, KERB_M, turn=float(rng.normal(0, 0.1)))
            add = add_board if is_board else add_sign
            add(self.mesh, place, rng, facing=facing)

    def put_small_things(self, s0: float, s1: float) -> None:
        """Bollards, a fence at the kerb, a shelter, meters, benches, bins and boxes."""
        rng, curve, s0 = self.rng, self.street.curve, max(s0, -6.0)
        if s1 - s0 < 8.0:
            return
        if rng.random() < 0.3:
            start, step = float(rng.uniform(s0, s1 - 6.0)), float(rng.uniform(1.3, 2.5))
            stations = [start + k * step for k in range(int(rng.integers(3, 9))) if start + k * step < s1]
            furniture.add_bollards(self.mesh, [curve.place(s, self.line, KERB_M) for s in stations], rng)
        if rng.random() < 0.34:
            start = float(rng.uniform(s0, s1 - 6.0))
            row = np.linspace(start, min(start + float(rng.uniform(6, 30)), s1), 13)
            points = curve.at(row, self.side * (self.street.kerb(self.side) + 0.3), KERB_M)
            add_fence(self.mesh, points, rng, at_kerb=True)
        if self.street.parking[self.side > 0] and rng.random() < 0.3:
            for s in np.arange(max(s0, 3.0), min(s1, 40.0), 6.0).tolist():
                furniture.add_meter(self.mesh, curve.place(s, self.line, KERB_M, turn=self.towards_road), rng)
        self._put_single_things(s0, s1)

    def _put_single_things(self, s0: float, s1: float) -> None:
        rng, curve, street = self.rng, self.street.curve, self.street
        at_wall = self.side * (street.lot_line(self.side) - 0.45)
        to_road = -self.side * np.pi / 2
        if street.sidewalk[self.side > 0] > 2.4 and rng.random() < 0.14:
            s = self.find_place(s0 + 2.0, s1 - 2.0, 3.5)
            if s is not None:
                t = self.side * (street.lot_line(self.side) - 1.0)
                furniture.add_shelter(self.mesh, curve.place(s, t, KERB_M, turn=to_road), rng)
        for _ in range(int(rng.poisson(1.1))):
            s = self.find_place(s0, s1, 1.2)
            if s is None:
                continue
            t = at_wall if rng.random() < 0.5 else self.line
            place = curve.place(s, t, KERB_M, turn=to_road)
            (furniture.add_bench if rng.random() < 0.15 else furniture.add_box_or_bin)(self.mesh, place, rng)

    def put_signals(self) -> None:
        """Traffic lights before junctions, and at the end of a street that meets another one."""
        rng, street = self.rng, self.street
        stops = [(junction.s, junction.half_width) for junction in street.junctions]
        if street.kind == "tee":
            stops.append((street.road[1], 2.5))
        likely = 0.85 if street.kind == "crossroads" else 0.55
        for middle, half_width in stops:
            if rng.random() < likely:
                ahead = -1 if self.is_ours or street.kind == "tee" else 1
                s = middle + ahead * (half_width + 1.4)
                place = street.curve.place(s, self.line, KERB_M, turn=self.towards_road)
                facing = (np.pi if rng.random() < 0.75 else 0.0) - self.towards_road
                add_traffic_light(self.mesh, place, rng, facing=facing, lanes=street.lanes)
