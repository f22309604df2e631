"""What stands out of a house front: plinths, courses, sills, lintels, pilasters, pipes, bays, balconies, scaffolds.

All of it is `building`: pipes and pilasters are what a segmenter takes for poles.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.cuboids import cuboid_rows, cuboids, sheets, walls
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import tubes
from isthmus.datasets.worlds.houses.facade_grammar import Front, Grammar

BUILDING: Final = Thing(TRAIN_ID["building"])
_PIPES: Final[tuple[Rgb, ...]] = ((0.10, 0.10, 0.11), (0.30, 0.30, 0.30), (0.62, 0.61, 0.58), (0.30, 0.20, 0.15))
_STEEL: Final = Paint(Material.PLAIN, (0.48, 0.48, 0.47), 0.3)
_BOARDS: Final = Paint(Material.PLANKS, (0.46, 0.38, 0.27), 0.05)


@dataclass(frozen=True, slots=True)
class FrontBuilder:
    """One front that gets its relief; x along the front from 0 to `width`, the street at negative z."""

    mesh: MeshBuilder
    place: Placement
    front: Front
    width: float
    color: Rgb
    trim: Paint
    rng: np.random.Generator

    def add(self, paint: Paint, *shapes: Geometry) -> None:
        """Add shapes in the front's own coordinates."""
        self.mesh.add(merged(*shapes), paint, BUILDING, self.place)

    @property
    def middles(self) -> Floats:
        """The bays' middles along the front."""
        bays = max(1, round(self.width / self.front.bay))
        return (np.arange(bays) + 0.5) * self.front.bay

    @property
    def levels(self) -> Floats:
        """Height of the upper floors."""
        return self.front.ground + np.arange(self.front.floors - 1) * self.front.floor_height

    def between(self) -> float:
        """A place between two bays, where no window is."""
        return float(self.rng.integers(0, len(self.middles) + 1)) * self.front.bay * 0.999 + float(
            self.rng.normal(0, 0.1)
        )

    def chance(self, probability: float) -> bool:
        """True that often."""
        return bool(self.rng.random() < probability)


def add_cornice(on: FrontBuilder) -> None:
    """The moulding under the roof, and courses between the floors: seen from far as well."""
    w, top = on.width, on.front.height
    grand = on.front.grammar in (Grammar.GEORGIAN, Grammar.VICTORIAN, Grammar.WORKS)
    deep = 0.35 if grand else 0.16
    rows = [[-0.05, top - 0.32, -deep, w + 0.05, top - 0.05, 0.0]]
    if grand:
        rows.append([0.0, top - 0.55, -deep * 0.5, w, top - 0.32, 0.0])
        rows += [[0.0, y - 0.1, -0.1, w, y + 0.1, 0.0] for y in on.levels[:1].tolist()]
    on.add(on.trim, cuboids(np.array(rows)))


def add_relief(on: FrontBuilder) -> None:
    """Everything that is only worth its triangles close by."""
    w, front = on.width, on.front
    rows: list[Floats] = []
    if front.has_single_windows and front.floors > 1:
        low, high = front.window()
        opening = front.bay * front.share
        rows.append(cuboid_rows(on.middles, on.levels + low - 0.13, (opening + 0.34, 0.12, 0.16)))
        if front.grammar is not Grammar.TIMBER and on.chance(0.6):
            rows.append(cuboid_rows(on.middles, on.levels + high + 0.02, (opening + 0.3, 0.2, 0.09)))
        if front.grammar is Grammar.SHUTTERS:
            _add_shutters(on, low, high, opening)
    if not front.shops and front.grammar is not Grammar.CURTAIN and on.chance(0.5):
        rows.append(np.array([[0.0, -0.3, -0.08, w, on.rng.uniform(0.3, 0.8), 0.0]]))
    if front.grammar in (Grammar.GEORGIAN, Grammar.WORKS, Grammar.BANDS) and on.chance(0.45):
        edges = np.arange(0, len(on.middles) + 1, int(on.rng.integers(1, 3))) * front.bay
        pilasters = cuboid_rows(edges, np.array([front.ground]), (0.32, front.height - front.ground - 0.3, 0.12))
        rows.append(pilasters)
    elif front.grammar in (Grammar.VICTORIAN, Grammar.GEORGIAN) and on.chance(0.6):
        blocks = np.arange(0.0, front.height - 0.6, 0.62)
        rows += [cuboid_rows(np.array([0.2, w - 0.2]), blocks, (0.42, 0.34, 0.05))]
    if front.grammar is Grammar.CURTAIN:
        edges = np.arange(len(on.middles) + 1) * front.bay
        rows.append(cuboid_rows(edges, np.array([0.0]), (0.07, front.height, 0.14)))
    if rows:
        on.add(on.trim, cuboids(np.concatenate(rows)))
    if front.grammar is not Grammar.CURTAIN:
        _add_pipes(on)
        _add_fittings(on)


def _add_shutters(on: FrontBuilder, low: float, high: float, opening: float) -> None:
    """Leaves of wood beside the windows, in the colour that the shader chose nothing of: each house its own."""
    r, g, b = (float(v) for v in on.rng.uniform(0.08, 0.5, 3))
    leaf = min(0.5, (on.front.bay - opening) * 0.42)
    x = np.concatenate([on.middles - opening / 2 - leaf / 2, on.middles + opening / 2 + leaf / 2])
    on.add(Paint(Material.PLANKS, (r, g, b), 0.1), cuboids(cuboid_rows(x, on.levels + low, (leaf, high - low, 0.06))))


def _add_pipes(on: FrontBuilder) -> None:
    """Drain pipes from the eaves to the ground, and cables along the wall."""
    x = [edge for edge in (0.12, on.width - 0.12, on.between()) if on.chance(0.5)]
    if x:
        foot = np.array([[at, 0.0, -0.09] for at in x])
        radii = np.full(len(x), 0.055)
        pipes = tubes(foot, foot + np.array([0, on.front.height - 0.1, 0]), radii, radii, sides=5)
        heads = cuboid_rows(np.array(x), np.array([on.front.height - 0.45]), (0.26, 0.3, 0.22))
        on.add(Paint(Material.PLAIN, _PIPES[int(on.rng.integers(len(_PIPES)))], 0.25), pipes, cuboids(heads))
    if on.chance(0.4):
        y = on.front.ground + float(on.rng.uniform(-0.1, 0.5))
        ends = np.array([[0.0, y, -0.05], [on.width, y + float(on.rng.uniform(-0.3, 0.3)), -0.05]])
        thin = np.array([0.018])
        on.add(Paint(Material.PLAIN, (0.05, 0.05, 0.05), 0.1), tubes(ends[:1], ends[1:], thin, thin, sides=3))


def _add_fittings(on: FrontBuilder) -> None:
    """Air conditioners, alarm boxes, lamps, house numbers, meters."""
    rng, front = on.rng, on.front
    if front.floors > 1 and on.chance(0.35):
        units = cuboid_rows(on.middles + front.bay * 0.5 - 0.45, on.levels + 0.3, (0.75, 0.55, 0.34))
        units = units[rng.random(len(units)) < 0.25]
        if len(units):
            on.add(Paint(Material.PLAIN, (0.68, 0.68, 0.66), 0.2), cuboids(units))
    bright = ((0.80, 0.12, 0.10), (0.10, 0.25, 0.65), (0.85, 0.75, 0.15), (0.82, 0.82, 0.80), (0.12, 0.12, 0.12))
    for _ in range(int(rng.integers(0, 3))):
        x, y = on.between(), float(rng.uniform(1.4, front.ground + 0.8))
        size = float(rng.uniform(0.18, 0.45)), float(rng.uniform(0.18, 0.42)), 0.12
        color = bright[int(rng.integers(len(bright)))]
        on.add(Paint(Material.PLAIN, color, 0.3), cuboids(cuboid_rows(np.array([x]), np.array([y]), size)))


def add_porch(on: FrontBuilder) -> None:
    """Steps, two columns and a small roof at a door."""
    columns = on.front.door_columns(len(on.middles))
    if not columns:
        return
    x = float(on.middles[int(on.rng.choice(columns))])
    wide, out = float(on.rng.uniform(1.5, 2.2)), float(on.rng.uniform(0.5, 1.1))
    boxes = [[x - wide / 2, -0.3, -out, x + wide / 2, 0.16, 0.0], [x - wide / 2, 2.6, -out, x + wide / 2, 2.82, 0.0]]
    if on.chance(0.6):
        boxes += [
            [x + s - 0.09, 0.1, -out + 0.02, x + s + 0.09, 2.6, -out + 0.2] for s in (-wide / 2 + 0.12, wide / 2 - 0.12)
        ]
    on.add(on.trim, cuboids(np.array(boxes)))


def add_bay_window(on: FrontBuilder) -> None:
    """A canted bay from the ground up, one or two floors high."""
    front = on.front
    x = float(on.rng.choice(on.middles))
    half, out = min(front.bay * 0.48, 1.5), float(on.rng.uniform(0.5, 0.9))
    floors = min(front.floors, 2 if on.chance(0.6) else 1)
    top = front.floor_height * floors - 0.25
    inner = half - out * 0.55
    outline = [(x - half, 0.0), (x - inner, -out), (x + inner, -out), (x + half, 0.0)]
    plan, number = np.array(outline), front.floors + 0.78
    for start in range(3):
        part = plan[start : start + 2]
        length = float(np.hypot(*(part[1] - part[0])))
        params = (length, front.floor_height, number, front.wall_kind + front.seed)
        glazed = Paint(Material.FACADE, on.color, front.paint(on.color).gloss, params)
        on.add(glazed, walls(part, -0.3, top))
    lid = [(px, top, pz) for px, pz in outline]
    peak = (x, top + 0.5, 0.0)
    hood = sheets(np.array([[a, b, peak, peak] for a, b in pairwise(lid)]))
    edge = cuboids(np.array([[x - half - 0.05, top - 0.15, -out - 0.06, x + half + 0.05, top + 0.02, 0.0]]))
    on.add(on.trim, hood, edge)


def add_balconies(on: FrontBuilder) -> None:
    """Slabs with railings before some columns of windows."""
    front, rng = on.front, on.rng
    columns = on.middles[rng.random(len(on.middles)) < 0.45]
    if not len(columns) or front.floors < 2:
        return
    half, out = front.bay * 0.42, float(rng.uniform(0.5, 1.2))
    on.add(on.trim, cuboids(cuboid_rows(columns, on.levels + 0.04, (2 * half, 0.12, out))))
    solid = on.chance(0.3)
    tone = on.trim.color
    rail = (
        Paint(Material.PLAIN, tone, 0.1)
        if solid
        else Paint(Material.RAILING, (tone[0] * 0.4, tone[1] * 0.4, tone[2] * 0.4), 0.2, (0.12, 0.035, 0.95, 0.0))
    )
    cells = [(x, y) for x in columns.tolist() for y in (on.levels + 0.16).tolist()]
    guards = []
    for x, y in cells:
        plan = np.array([[x - half, 0.0], [x - half, -out], [x + half, -out], [x + half, 0.0]])
        guard = walls(plan, y, y + 0.95)
        guards.append(guard._replace(uvs=guard.uvs - np.array([0.0, y], np.float32)))
    on.add(rail, *guards)


def add_scaffold(on: FrontBuilder) -> None:
    """Steel tubes and boards before the whole front."""
    w, top = on.width, on.front.height + 1.0
    x = np.arange(0.2, w, 2.1)
    lifts = np.arange(2.0, top, 2.0)
    starts, ends = [], []
    for z in (-0.4, -1.4):
        starts += [[at, 0.0, z] for at in x] + [[0.0, y, z] for y in (*lifts, *(lifts + 1.0))]
        ends += [[at, top, z] for at in x] + [[w, y, z] for y in (*lifts, *(lifts + 1.0))]
    starts += [[at, 0.1, -1.4] for at in x[::2]]
    ends += [[min(at + 2.1, w), 2.0, -1.4] for at in x[::2]]
    radii = np.full(len(starts), 0.03)
    on.add(_STEEL, tubes(np.array(starts), np.array(ends), radii, radii, sides=4))
    on.add(_BOARDS, cuboids(np.array([[0.0, y - 0.06, -1.4, w, y, -0.4] for y in lifts])))
