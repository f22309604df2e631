"""Roofs: gable, hip, mansard and flat ones, with chimneys, dormers, parapets, aerials, dishes and plant."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.cuboids import cuboids, sheets
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, MeshBuilder, Placement, merged
from isthmus.datasets.worlds.geometry.shapes import box, disc, tube, tubes
from isthmus.datasets.worlds.houses.facade_relief import BUILDING

_METAL: Final = Paint(Material.PLAIN, (0.25, 0.24, 0.24), 0.2)
_EAVES_M: Final = 0.35
_HIGHEST_M: Final = 5.5


class RoofBuilder:
    """Puts a roof onto a house of width `w`, depth `d` and wall height `h` (front along x at z = 0).

    Args:
        mesh: Receives the triangles.
        place: The house's placement.
        size: Width, depth, height of the walls in metres.
        tiles: Surface of the roof.
        masonry: Surface of gables and chimneys.
        rng: The frame's random numbers.
        near: Whether small things are worth their triangles.
    """

    def __init__(
        self,
        mesh: MeshBuilder,
        place: Placement,
        size: tuple[float, float, float],
        *,
        tiles: Paint,
        masonry: Paint,
        rng: np.random.Generator,
        near: bool,
    ) -> None:
        self._mesh, self._place = mesh, place
        self._w, self._d, self._h = size
        self._tiles, self._masonry, self._rng, self._near = tiles, masonry, rng, near

    def add_gable(self, *, along_front: bool) -> None:
        """Two slopes; the ridge runs along the front, or the gable looks at the street."""
        w, d, h, over = self._w, self._d, self._h, _EAVES_M
        rise = self._rise(d if along_front else w)
        if along_front:
            ridge = [(-0.1, h + rise, d / 2), (w + 0.1, h + rise, d / 2)]
            drop = rise * over / (d / 2)
            slopes = [[(-0.1, h - drop, z), (w + 0.1, h - drop, z), ridge[1], ridge[0]] for z in (-over, d + over)]
            gables = [[(x, h, 0.0), (x, h, d), (x, h + rise, d / 2)] for x in (0.0, w)]
            self._add_gutter(h - drop)
            self._add_dormers(rise)
        else:
            ridge = [(w / 2, h + rise, -over), (w / 2, h + rise, d)]
            drop = rise * 0.2 / (w / 2)
            slopes = [[(x, h - drop, -over), (x, h - drop, d), ridge[1], ridge[0]] for x in (-0.2, w + 0.2)]
            gables = [[(0.0, h, z), (w, h, z), (w / 2, h + rise, z)] for z in (0.0, d)]
            self._add_barge_boards(w, h - drop, rise + drop)
        self._add(self._tiles, sheets(np.array(slopes)))
        self._add(self._masonry, sheets(np.array([[a, b, peak, peak] for a, b, peak in gables])))
        spots = ((0.4, d / 2), (w - 0.4, d / 2)) if along_front else ((w / 2, d * 0.3), (w / 2, d * 0.8))
        self._add_chimneys(h + rise, rise, spots)

    def add_hip(self) -> None:
        """Four slopes towards a short ridge."""
        w, d, h, over = self._w, self._d, self._h, _EAVES_M
        rise = min(self._rise(min(w, d)), 4.5)
        inset = min(w, d) / 2
        y = h - rise * over / inset
        corners = [(-over, y, -over), (w + over, y, -over), (w + over, y, d + over), (-over, y, d + over)]
        if w >= d:
            a, b = (inset, h + rise, d / 2), (w - inset, h + rise, d / 2)
            slopes = [[corners[0], corners[1], b, a], [corners[1], corners[2], b],
                      [corners[2], corners[3], a, b], [corners[3], corners[0], a]]  # fmt: skip
        else:
            a, b = (w / 2, h + rise, inset), (w / 2, h + rise, d - inset)
            slopes = [[corners[0], corners[1], a], [corners[1], corners[2], b, a],
                      [corners[2], corners[3], b], [corners[3], corners[0], a, b]]  # fmt: skip
        self._add(self._tiles, sheets(np.array([[*slope, slope[-1]][:4] for slope in slopes])))
        self._add_gutter(y)
        self._add_chimneys(h + rise, rise, ((a[0], a[2]), (b[0], b[2])))

    def add_mansard(self, bay: float) -> None:
        """A steep slope with a row of dormers, flat above."""
        w, d, h = self._w, self._d, self._h
        top, back = h + 2.5, 0.9
        steep = [(0.0, h, -0.1), (w, h, -0.1), (w, top, back), (0.0, top, back)]
        lid = [(0.0, top, back), (w, top, back), (w, top, d), (0.0, top, d)]
        sides = [[(x, h, -0.1), (x, h, d), (x, top, d), (x, top, back)] for x in (0.0, w)]
        self._add(self._tiles, sheets(np.array([steep, lid])))
        self._add(self._masonry, sheets(np.array(sides)))
        middles = np.arange(bay / 2, w - 0.5, bay)
        self._add_windows(middles, h + 0.35, 1.55, -0.12, 1.1)
        self._add_gutter(h)
        self._add_chimneys(top, 1.0, ((0.4, d / 2), (w - 0.4, d / 2)))

    def add_flat(self, trim: Paint) -> None:
        """A flat roof with a parapet, a stair head and plant."""
        w, d, h, rng = self._w, self._d, self._h, self._rng
        rail = float(rng.uniform(0.2, 0.9))
        self._add(self._tiles, sheets(np.array([[[0, h, 0], [w, h, 0], [w, h, d], [0, h, d]]])))
        out = float(rng.uniform(0.02, 0.25))
        low, high = h - 0.15, h + rail - 0.15
        edges = [[-out, low, -out, w + out, high, 0.3]]
        edges += [[x - 0.15, low, 0.0, x + 0.15, high, d] for x in (0.1, w - 0.1)]
        if rng.random() < 0.6 and w > 6:
            x, wide = w * float(rng.uniform(0.3, 0.7)), w * float(rng.uniform(0.07, 0.2))
            edges.append([x - wide, h, d / 2 - 1.5, x + wide, h + float(rng.uniform(1.2, 2.8)), d / 2 + 1.5])
        self._add(trim, cuboids(np.array(edges)))
        if not self._near:
            return
        plant = int(rng.integers(0, 4))
        if plant:
            at = rng.uniform([0.5, 1.5], [w - 2.0, d - 1.0], (plant, 2))
            size = rng.uniform([0.6, 0.6, 0.8], [2.0, 1.4, 1.6], (plant, 3))
            foot = np.stack([at[:, 0], np.full(plant, h), at[:, 1]], 1)
            self._add(Paint(Material.PLAIN, (0.55, 0.56, 0.57), 0.25), cuboids(np.concatenate([foot, foot + size], 1)))
        if rng.random() < 0.4:
            self._add_mast(float(rng.uniform(1, w - 1)), d / 2, h, float(rng.uniform(2.5, 5.5)))

    def _add(self, paint: Paint, *shapes: Geometry) -> None:
        self._mesh.add(merged(*shapes), paint, BUILDING, self._place)

    def _rise(self, span: float) -> float:
        return float(min(span * self._rng.uniform(0.28, 0.50), _HIGHEST_M))

    def _add_gutter(self, y: float) -> None:
        self._add(_METAL, box((self._w, 0.14, 0.14), (self._w / 2, y + 0.02, -_EAVES_M + 0.02)))

    def _add_barge_boards(self, w: float, y: float, rise: float) -> None:
        board = Paint(Material.PLAIN, (0.75, 0.74, 0.70) if self._rng.random() < 0.5 else (0.14, 0.11, 0.09), 0.1)
        z = -_EAVES_M - 0.01
        peak, under = [w / 2, y + rise, z], [w / 2, y + rise - 0.28, z]
        self._add(board, sheets(np.array([[[x, y, z], peak, under, [x, y - 0.22, z]] for x in (-0.2, w + 0.2)])))

    def _add_dormers(self, rise: float) -> None:
        if not self._near or rise < 2.4 or self._rng.random() < 0.55:
            return
        gap = float(self._rng.uniform(2.4, 4.0))
        middles = np.arange(gap / 2 + 0.3, self._w - 1.0, gap)
        z = self._d / 2 * 0.28
        self._add_windows(middles, self._h + rise * 0.28, 1.45, z, 1.2)

    def _add_windows(self, x: Floats, y: float, height: float, z: float, width: float) -> None:
        """Dormers with a pane and a small roof of their own."""
        if not len(x):
            return
        white = Paint(Material.PLAIN, (0.72, 0.71, 0.67), 0.1)
        frame = white if self._rng.random() < 0.5 else self._masonry
        pane = Paint(Material.GLASS, (0.10, 0.11, 0.13), 0.8)
        pitched = self._rng.random() < 0.5
        half, top = width / 2, y + height
        bodies = [[m - half, y, z, m + half, top, z + 2.2] for m in x.tolist()]
        panes = [[m + s - 0.2 * width, y + 0.15, z - 0.03, m + s + 0.2 * width, top - 0.2, z] for m in x.tolist()
                 for s in (-0.23 * width, 0.23 * width)]  # fmt: skip
        self._add(pane, cuboids(np.array(panes)))
        if not pitched:
            lids = [[m - half - 0.15, top, z - 0.15, m + half + 0.15, top + 0.12, z + 2.3] for m in x.tolist()]
            self._add(frame, cuboids(np.array(bodies)))
            self._add(self._tiles, cuboids(np.array(lids)))
            return
        peak, out = top + width * 0.4, half + 0.15
        gables = [[[m - half, top, z], [m + half, top, z], [m, peak, z], [m, peak, z]] for m in x.tolist()]
        slopes = [[[m + s, top - 0.08, z - 0.12], [m + s, top - 0.08, z + 2.4], [m, peak, z + 2.4], [m, peak, z - 0.12]]
                  for m in x.tolist() for s in (-out, out)]  # fmt: skip
        self._add(frame, cuboids(np.array(bodies)), sheets(np.array(gables)))
        self._add(self._tiles, sheets(np.array(slopes)))

    def _add_chimneys(self, top: float, rise: float, spots: Sequence[tuple[float, float]]) -> None:
        """Chimneys at some of the spots (x, z), where the roof is as high as `top`; they reach into it."""
        rng, w = self._rng, self._w
        for x, z in spots:
            if rng.random() > 0.5:
                continue
            deep = float(rng.uniform(0.7, 1.6))
            size = (0.6, min(rise, 2.0) * 0.5 + float(rng.uniform(0.9, 1.6)), deep)
            y = top - 0.2
            self._add(self._masonry, box(size, (x, y, z)))
            if not self._near:
                continue
            pots = np.array([[x, y + size[1] / 2, z + s * deep] for s in (-0.3, 0.0, 0.3)])
            count = len(pots)
            shape = tubes(pots, pots + np.array([0, 0.4, 0]), np.full(count, 0.11), np.full(count, 0.09), sides=5)
            self._add(Paint(Material.PLAIN, (0.50, 0.28, 0.18), 0.05), shape)
            if rng.random() < 0.4:
                self._add_mast(x, z, y + size[1] / 2, 1.6)
        if self._near and rng.random() < 0.3:
            self._add_dish(float(rng.uniform(0.5, w - 0.5)), self._h - 0.6)

    def _add_mast(self, x: float, z: float, y: float, height: float) -> None:
        """An aerial: a rod with a comb of short ones."""
        comb = np.arange(5) * 0.22
        starts = np.array([[x, y, z], [x - 0.5, y + height, z], *([x - 0.45 + c, y + height, z - 0.3] for c in comb)])
        ends = np.array(
            [[x, y + height, z], [x + 0.5, y + height, z], *([x - 0.45 + c, y + height, z + 0.3] for c in comb)]
        )
        radii = np.full(len(starts), 0.025)
        self._add(_METAL, tubes(starts, ends, radii, radii, sides=3))

    def _add_dish(self, x: float, y: float) -> None:
        plate = disc((x, y, -0.35), 0.28, axis="z", sides=10)
        arm = tube((x, y, 0.0), (x, y, -0.35), 0.03, sides=4)
        self._add(Paint(Material.PLAIN, (0.62, 0.62, 0.62), 0.2), plate, arm)


def varied(color: Rgb, rng: np.random.Generator) -> Rgb:
    """A colour near another one."""
    tone = rng.uniform(0.75, 1.12)
    r, g, b = (float(np.clip(c * tone + rng.uniform(-0.03, 0.03), 0.03, 0.95)) for c in color)
    return (r, g, b)
