"""Houses and blocks: walls with procedural façades, roofs, chimneys, balconies, awnings, cornices."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Geometry, MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.shapes import box, polygon
from isthmus.datasets.worlds.style import StreetStyle

BUILDING: Final = Thing(TRAIN_ID["building"])


@dataclass(frozen=True, slots=True)
class House:
    """A building in its own coordinates: front along x from 0 to `width` at z = 0, depth towards +z."""

    width: float
    depth: float
    floors: int
    floor_height: float
    wall: Paint
    roof: Paint
    pitched: bool
    balconies: bool
    awning: bool
    ridge_along_front: bool

    @property
    def height(self) -> float:
        """Of the walls; a ground floor with shops is 15 % higher."""
        return self.floors * self.floor_height + (0.15 * self.floor_height if self.wall.params[2] < 0 else 0.0)


def draw_house(style: StreetStyle, rng: np.random.Generator, *, width: float, low: bool) -> House:
    """Draw a building of a given width; `low` keeps it to a cottage's height."""
    floors = int(rng.integers(1, 3)) if low else int(rng.integers(style.floors[0], style.floors[1] + 1))
    pitched = bool(rng.random() < (0.95 if low else style.pitched_roof_probability * (1.0 if floors < 6 else 0.1)))
    kind = int(rng.choice(style.wall_kinds))
    kind = 0 if low and kind == 3 else kind
    color = _varied(style.walls[int(rng.integers(len(style.walls)))], rng)
    shop = not low and rng.random() < style.shop_probability
    share = float(rng.uniform(0.36, 0.66))
    bays = max(1, round(width / rng.uniform(1.9, 3.6)))
    params = (
        width / bays,
        float(rng.uniform(2.7, 3.5)),
        -share if shop else share,
        kind + float(rng.uniform(0.01, 0.97)),
    )
    return House(
        width=width,
        depth=float(rng.uniform(8, 14)),
        floors=floors,
        floor_height=params[1],
        wall=Paint(Material.FACADE, color, 0.05, params),
        roof=Paint(Material.ROOF, _varied(style.roofs[int(rng.integers(len(style.roofs)))], rng), 0.08),
        pitched=pitched,
        balconies=bool(not low and floors > 2 and rng.random() < style.balcony_probability),
        awning=bool(shop and rng.random() < 0.35),
        ridge_along_front=bool(rng.random() < 0.75),
    )


def add_house(mesh: MeshBuilder, place: Placement, house: House, rng: np.random.Generator) -> None:
    """Build it; `place` is the front's left corner at ground level, its x runs along the front."""
    w, d, h = house.width, house.depth, house.height
    base = -0.3
    mesh.add(_walls(w, d, h, base), house.wall, BUILDING, place)
    trim = Paint(Material.PLAIN, _scaled(house.wall.color, rng.uniform(0.6, 1.25)), 0.05)
    if house.pitched:
        _pitched_roof(mesh, place, house, rng)
    else:
        mesh.add(polygon(np.array([[0, h, 0], [w, h, 0], [w, h, d], [0, h, d]])), house.roof, BUILDING, place)
        mesh.add(box((w + 0.3, 0.45, 0.35), (w / 2, h + 0.1, 0.02)), trim, BUILDING, place)
        if rng.random() < 0.5 and w > 6:
            size = (w * rng.uniform(0.2, 0.4), rng.uniform(1.2, 2.6), 3.0)
            mesh.add(box(size, (w * rng.uniform(0.3, 0.7), h + size[1] / 2, d / 2)), trim, BUILDING, place)
    if house.balconies:
        _balconies(mesh, place, house, trim, rng)
    if house.awning:
        color = tuple(rng.uniform(0.1, 0.8, 3))
        ground = house.floor_height * 1.15
        sheet = np.array(
            [
                [0.3, ground - 0.9, 0],
                [w - 0.3, ground - 0.9, 0],
                [w - 0.3, ground - 1.3, -1.1],
                [0.3, ground - 1.3, -1.1],
            ]
        )
        mesh.add(polygon(sheet), Paint(Material.CLOTH, (color[0], color[1], color[2])), BUILDING, place)
    if rng.random() < 0.3 and not house.wall.params[2] < 0 and house.floors < 5:
        _bay_window(mesh, place, house, trim, rng)


def _walls(w: float, d: float, h: float, base: float) -> Geometry:
    """Four walls with uv (metres along, metres above the ground)."""
    corners = [(0.0, 0.0), (w, 0.0), (w, d), (0.0, d)]
    sides = []
    for (x0, z0), (x1, z1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = abs(x1 - x0) + abs(z1 - z0)
        points = np.array([[x0, base, z0], [x1, base, z1], [x1, h, z1], [x0, h, z0]])
        sides.append(polygon(points, np.array([[0, base], [length, base], [length, h], [0, h]])))
    return merged(*sides)


def _pitched_roof(mesh: MeshBuilder, place: Placement, house: House, rng: np.random.Generator) -> None:
    w, d, h = house.width, house.depth, house.height
    over = 0.35
    rise = (d if house.ridge_along_front else w) * rng.uniform(0.28, 0.48)
    rise = float(min(rise, 5.5))
    blank = Paint(Material.MASONRY, house.wall.color, 0.05, (float(int(house.wall.params[3])), 0.3, 0.0, 0.0))
    if house.ridge_along_front:
        ridge = [(0.0, h + rise, d / 2), (w, h + rise, d / 2)]
        drop = rise * over / (d / 2)
        front = [(0, h - drop, -over), (w, h - drop, -over), ridge[1], ridge[0]]
        back = [(0, h - drop, d + over), (w, h - drop, d + over), ridge[1], ridge[0]]
        gables = [[(0, h, 0), (0, h, d), ridge[0]], [(w, h, 0), (w, h, d), ridge[1]]]
    else:
        ridge = [(w / 2, h + rise, 0.0), (w / 2, h + rise, d)]
        front = [(-0.1, h, -over), (-0.1, h, d), ridge[1], (w / 2, h + rise, -over)]
        back = [(w + 0.1, h, -over), (w + 0.1, h, d), ridge[1], (w / 2, h + rise, -over)]
        gables = [[(0, h, 0), (w, h, 0), ridge[0]], [(0, h, d), (w, h, d), ridge[1]]]
    for slope in (front, back):
        mesh.add(polygon(np.array(slope)), house.roof, BUILDING, place)
    for gable in gables:
        mesh.add(polygon(np.array(gable)), blank, BUILDING, place)
    gutter = Paint(Material.PLAIN, (0.25, 0.24, 0.24), 0.2)
    if house.ridge_along_front:
        mesh.add(box((w, 0.14, 0.14), (w / 2, h - 0.06, -over + 0.02)), gutter, BUILDING, place)
        for x in np.arange(1.5, w - 1.5, rng.uniform(2.5, 4.0)):
            if rng.random() < 0.3 and rise > 2.2:
                _dormer(mesh, place, house, float(x), rise)
    if rng.random() < 0.75:
        x = w * rng.uniform(0.05, 0.95)
        size = (0.55, rise * 0.5 + 1.3, 0.9)
        mesh.add(box(size, (x, h + rise - 0.1, d / 2)), blank, BUILDING, place)
        for dx in (-0.13, 0.13):
            mesh.add(box((0.16, 0.4, 0.16), (x + dx, h + rise + size[1] / 2, d / 2)), gutter, BUILDING, place)


def _dormer(mesh: MeshBuilder, place: Placement, house: House, x: float, rise: float) -> None:
    h, z = house.height, house.depth / 2 * 0.35
    y = h + rise * 0.35
    window = Paint(Material.FACADE, house.wall.color, 0.05, (1.5, 1.5, 0.75, house.wall.params[3]))
    body = box((1.5, 1.5, 1.8), (0, 0, 0))
    body = body._replace(
        uvs=body.uvs + np.array([0.0, 1.5], np.float32),
        positions=body.positions + np.array([x, y + 0.75, z + 0.9], np.float32),
    )
    mesh.add(body, window, BUILDING, place)
    mesh.add(box((1.8, 0.15, 2.1), (x, y + 1.55, z + 0.95)), house.roof, BUILDING, place)


def _balconies(mesh: MeshBuilder, place: Placement, house: House, trim: Paint, rng: np.random.Generator) -> None:
    bay = house.wall.params[0]
    bays = max(1, round(house.width / bay))
    columns = [c for c in range(bays) if rng.random() < 0.45]
    rail = Paint(Material.RAILING, _scaled(trim.color, 0.4), 0.2, (0.12, 0.035, 0.95, 0.0))
    shops = 0.15 * house.floor_height if house.wall.params[2] < 0 else 0.0
    for column in columns:
        for floor in range(1, house.floors):
            x, y = (column + 0.5) * bay, floor * house.floor_height + shops + 0.1
            half = bay * 0.42
            mesh.add(box((2 * half, 0.12, 1.0), (x, y, -0.5)), trim, BUILDING, place)
            front = np.array(
                [[x - half, y, -1.0], [x + half, y, -1.0], [x + half, y + 0.95, -1.0], [x - half, y + 0.95, -1.0]]
            )
            mesh.add(polygon(front), rail, BUILDING, place)


def _bay_window(mesh: MeshBuilder, place: Placement, house: House, trim: Paint, rng: np.random.Generator) -> None:
    bay = house.wall.params[0]
    x = (int(rng.integers(max(1, round(house.width / bay)))) + 0.5) * bay
    height = house.floor_height * min(house.floors, 2) - 0.3
    size = (bay * 0.8, height, 0.9)
    paint = Paint(Material.FACADE, house.wall.color, 0.05, (bay * 0.8, house.floor_height, 0.8, house.wall.params[3]))
    mesh.add(box(size, (x, height / 2, -0.45)), paint, BUILDING, place)
    mesh.add(box((size[0] + 0.2, 0.16, 1.1), (x, height + 0.05, -0.45)), trim, BUILDING, place)


def _varied(color: Rgb, rng: np.random.Generator) -> Rgb:
    tone = rng.uniform(0.75, 1.12)
    r, g, b = (float(np.clip(c * tone + rng.uniform(-0.03, 0.03), 0.03, 0.95)) for c in color)
    return (r, g, b)


def _scaled(color: Rgb, factor: float) -> Rgb:
    return (min(color[0] * factor, 0.95), min(color[1] * factor, 0.95), min(color[2] * factor, 0.95))
