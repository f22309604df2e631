"""Houses and blocks: walls with procedural fronts, roofs, and the relief that is worth its triangles close by."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.cuboids import sheets, walls
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb, scaled
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement, merged
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.houses import facade_relief as relief
from isthmus.datasets.worlds.houses.facade_grammar import RULES, Front, Grammar, draw_front, fitting_bay
from isthmus.datasets.worlds.houses.facade_relief import BUILDING
from isthmus.datasets.worlds.houses.roofs import RoofBuilder, varied
from isthmus.datasets.worlds.houses.shopfronts import add_gable_adverts, add_hall_sign, add_shopfront, add_wall_signs
from isthmus.datasets.worlds.plants.vegetation import add_climber
from isthmus.datasets.worlds.style import StreetStyle

_WITH_BAYS: Final = frozenset({Grammar.SASH, Grammar.VICTORIAN, Grammar.TIMBER})
_NEAR_M: Final = 32.0
_MIDDLE_M: Final = 75.0
_BEHIND_M: Final = -6.0
_BASE_M: Final = -0.3


@dataclass(frozen=True, slots=True)
class House:
    """A building in its own coordinates: front along x from 0 to `width` at z = 0, depth towards +z."""

    width: float
    depth: float
    front: Front
    color: Rgb
    tiles: Rgb
    pitched: bool
    balconies: bool
    low: bool

    @property
    def height(self) -> float:
        """Of the walls, in metres."""
        return self.front.height


def draw_house(style: StreetStyle, rng: np.random.Generator, *, width: float, low: bool) -> House:
    """Draw a building of a given width; `low` keeps it to a cottage's height."""
    front = draw_front(style, rng, width=width, low=low)
    likely = style.pitched_roof_probability * (1.0 if front.floors < 6 else 0.1) * RULES[front.grammar].pitched
    color = varied(style.walls[int(rng.integers(len(style.walls)))], rng)
    if front.grammar is Grammar.TIMBER:
        color = varied((0.80, 0.76, 0.66), rng)
    may_jut = front.grammar not in (Grammar.CURTAIN, Grammar.SHED, Grammar.CHURCH)
    return House(
        width=width,
        depth=float(rng.uniform(8, 14)),
        front=front,
        color=color,
        tiles=varied(style.roofs[int(rng.integers(len(style.roofs)))], rng),
        pitched=bool(rng.random() < (0.95 if low else likely)),
        balconies=bool(may_jut and not low and front.floors > 2 and rng.random() < style.balcony_probability),
        low=low,
    )


def add_house(mesh: MeshBuilder, place: Placement, house: House, rng: np.random.Generator) -> None:
    """Build it; `place` is the front's left corner at ground level, its x runs along the front."""
    # A stream of its own keeps the rest of the scene from depending on how much relief a house gets.
    rng = np.random.default_rng(rng.integers(2**63))
    center = place.point(house.width / 2, 0.0, 0.0)
    distance = float(np.hypot(center[0], center[2])) - house.width / 3
    seen = center[2] + house.width / 2 > _BEHIND_M
    near = seen and distance < _NEAR_M
    trim_color = (0.76, 0.74, 0.69) if rng.random() < 0.5 else scaled(house.color, rng.uniform(0.5, 1.3), most=0.95)
    trim = Paint(Material.PLAIN, varied(trim_color, rng), 0.05)
    _add_walls(mesh, place, house, rng)
    if not seen:
        w, d, h = house.width, house.depth, house.height
        lid = sheets(np.array([[[0, h, 0], [w, h, 0], [w, h, d], [0, h, d]]]))
        mesh.add(lid, Paint(Material.ROOF, house.tiles, 0.08), BUILDING, place)  # for its shadow
        return
    _add_roof(mesh, place, house, trim, rng, near=distance < _MIDDLE_M)
    if distance > _MIDDLE_M:
        return
    on = relief.FrontBuilder(mesh, place, house.front, house.width, house.color, trim, rng)
    if house.front.grammar not in (Grammar.CURTAIN, Grammar.SHED):
        relief.add_cornice(on)
    if house.front.grammar is Grammar.SHED and rng.random() < 0.7:
        add_hall_sign(on)
    if house.balconies:
        relief.add_balconies(on)
    if house.front.shops:
        add_shopfront(on)
    elif house.front.floors < 5 and house.front.grammar in _WITH_BAYS and rng.random() < 0.4:
        relief.add_bay_window(on)
    if not house.low and rng.random() < 0.25:
        add_gable_adverts(on, house.depth)
    if near:
        relief.add_relief(on)
        add_wall_signs(on)
        if not house.front.shops and house.front.has_single_windows and rng.random() < 0.4:
            relief.add_porch(on)
        if not house.low and rng.random() < 0.05:
            relief.add_scaffold(on)
        elif rng.random() < 0.10:
            left = float(rng.uniform(0.0, house.width * 0.7))
            right = min(left + float(rng.uniform(1.0, 4.0)), house.width)
            add_climber(mesh, place, rng, left=left, right=right, height=house.height * float(rng.uniform(0.4, 0.9)))


def _add_walls(mesh: MeshBuilder, place: Placement, house: House, rng: np.random.Generator) -> None:
    """Front, sides and back; uv in metres along each wall and above the ground."""
    w, d, h, front = house.width, house.depth, house.height, house.front
    plan = np.array([[0.0, 0.0], [w, 0.0], [w, d], [0.0, d], [0.0, 0.0]])
    mesh.add(walls(plan[:2], _BASE_M, h), front.paint(house.color), BUILDING, place)
    glazed = front.grammar is Grammar.CURTAIN or rng.random() < (0.55 if front.shops else 0.75)
    if not glazed:
        mesh.add(walls(plan[1:], _BASE_M, h), _masonry(house), BUILDING, place)
        return
    side = front.paint(house.color, bay=fitting_bay(d, front.bay * 1.1))
    mesh.add(merged(walls(plan[1:3], _BASE_M, h), walls(plan[3:], _BASE_M, h)), side, BUILDING, place)
    mesh.add(walls(plan[2:4], _BASE_M, h), _masonry(house), BUILDING, place)


def _masonry(house: House) -> Paint:
    kind = float(house.front.wall_kind if house.front.wall_kind != 3 else 4)
    return Paint(Material.MASONRY, house.color, 0.05, (kind, house.front.seed, 0.0, 0.0))


def _add_roof(
    mesh: MeshBuilder, place: Placement, house: House, trim: Paint, rng: np.random.Generator, *, near: bool
) -> None:
    tiles = Paint(Material.ROOF, house.tiles, 0.08)
    size = (house.width, house.depth, house.height)
    roof = RoofBuilder(mesh, place, size, tiles=tiles, masonry=_masonry(house), rng=rng, near=near)
    luck = rng.random()
    if house.front.grammar is Grammar.CHURCH:
        roof.add_gable(along_front=False)
        _add_tower(mesh, place, house, tiles, rng)
    elif not house.pitched:
        roof.add_flat(trim)
    elif house.front.grammar is Grammar.GEORGIAN and luck < 0.4:
        roof.add_mansard(house.front.bay)
    elif luck < 0.22 and house.width > 6.0:
        roof.add_hip()
    else:
        gable_ahead = luck > (0.55 if house.front.grammar is Grammar.TIMBER else 0.8) and house.width < 13.0
        roof.add_gable(along_front=not gable_ahead)


def _add_tower(mesh: MeshBuilder, place: Placement, house: House, tiles: Paint, rng: np.random.Generator) -> None:
    """A church's tower with a spire."""
    side, height = 4.5, house.height * float(rng.uniform(1.7, 2.4))
    x = -side / 2 + 0.5 if rng.random() < 0.5 else house.width + side / 2 - 0.5
    a, b = x - side / 2, x + side / 2
    plan = np.array([[a, 0.0], [b, 0.0], [b, side], [a, side], [a, 0.0]])
    paint = house.front.paint(house.color, bay=side)
    mesh.add(walls(plan, _BASE_M, height), paint, BUILDING, place)
    peak = (x, height + float(rng.uniform(3.0, 11.0)), side / 2)
    foot = [
        (x + dx * side * 0.55, height, side / 2 + dz * side * 0.55) for dx, dz in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    slopes = [[p, q, peak, peak] for p, q in zip(foot, [*foot[1:], foot[0]], strict=True)]
    mesh.add(sheets(np.array(slopes)), tiles, BUILDING, place)
    mesh.add(box((side + 0.3, 0.4, side + 0.3), (x, height, side / 2)), _masonry(house), BUILDING, place)
