"""What leads over the street: a bridge, or the hill that a tunnel goes through."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Thing
from isthmus.datasets.worlds.geometry.shapes import box, polygon
from isthmus.datasets.worlds.plants.vegetation import add_bush, add_tree
from isthmus.datasets.worlds.roadside.barriers import FENCE, WALL, upright
from isthmus.datasets.worlds.streets.ground import Ground
from isthmus.datasets.worlds.streets.layout import BRIDGE_M, StreetPlan
from isthmus.datasets.worlds.streets.strip import patches, strip
from isthmus.datasets.worlds.style import StreetStyle

_BUILDING: Final = Thing(TRAIN_ID["building"])
_STONES: Final[tuple[tuple[float, Rgb], ...]] = (
    (4.0, (0.56, 0.55, 0.52)), (4.0, (0.42, 0.42, 0.41)), (1.0, (0.44, 0.26, 0.20)), (2.0, (0.48, 0.45, 0.40)),
    (0.0, (0.62, 0.60, 0.56)), (0.0, (0.28, 0.34, 0.36)),
)  # fmt: skip
"""Kind of masonry and colour."""
_CLEARANCE_M: Final = 5.2
_REACH_M: Final = 60.0


def build_overpass(
    mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, ground: Ground, rng: np.random.Generator
) -> None:
    """The bridge or the tunnel of a street that has one."""
    if street.crossing is None:
        return
    kind, color = _STONES[int(rng.integers(len(_STONES)))]
    stone = Paint(Material.MASONRY, color, 0.04, (kind, float(rng.random()), 0.0, 0.0))
    if street.kind == "tunnel":
        _build_tunnel(mesh, street, style, ground, rng, stone=stone)
    else:
        _build_bridge(mesh, street, stone, rng)


def _build_bridge(mesh: MeshBuilder, street: StreetPlan, stone: Paint, rng: np.random.Generator) -> None:
    """A deck on abutments; banks or retaining walls lead up to it."""
    place = street.curve.place(street.crossing or 0.0, 0.0, turn=float(rng.normal(0.0, 0.08)))
    depth = float(rng.uniform(0.8, 1.8))
    deck = _CLEARANCE_M + depth
    mesh.add(box((2 * _REACH_M, depth, BRIDGE_M), (0, _CLEARANCE_M + depth / 2, 0)), stone, _BUILDING, place)
    for side in (-1, 1):
        inner = street.lot_line(side) + 0.4
        size, middle = (_REACH_M - inner, deck, BRIDGE_M * 0.96), side * (inner + _REACH_M) / 2
        mesh.add(box(size, (middle, deck / 2 - 0.1, 0)), stone, _BUILDING, place)
    if street.half_median > 0.9:
        for z in (-3.0, 0.0, 3.0):
            mesh.add(box((0.7, _CLEARANCE_M, 0.7), (0, _CLEARANCE_M / 2, z)), stone, _BUILDING, place)
    edge = np.linspace(-_REACH_M, _REACH_M, 25)
    is_solid = bool(rng.random() < 0.4)
    bars = Paint(Material.RAILING, (0.25, 0.27, 0.27), 0.3, (0.15, 0.03, 1.1, 0.0))
    for z in (-BRIDGE_M / 2 + 0.1, BRIDGE_M / 2 - 0.1):
        line = np.stack([edge, np.full_like(edge, deck), np.full_like(edge, z)], 1)
        mesh.add(upright(line, 0.0, 1.1), stone if is_solid else bars, _BUILDING if is_solid else FENCE, place)


def _build_tunnel(
    mesh: MeshBuilder,
    street: StreetPlan,
    style: StreetStyle,
    ground: Ground,
    rng: np.random.Generator,
    *,
    stone: Paint,
) -> None:
    """A portal in a slope, and the dark tube behind it."""
    portal = street.crossing or 0.0
    place = street.curve.place(portal, 0.0)
    left, right = -street.lot_line(-1) - 0.5, street.lot_line(1) + 0.5
    top = _CLEARANCE_M + float(rng.uniform(1.2, 4.0))
    for x0, x1, y0 in ((-_REACH_M, left, -0.2), (right, _REACH_M, -0.2), (left, right, _CLEARANCE_M)):
        corners = np.array([[x0, y0, 0.0], [x1, y0, 0.0], [x1, top, 0.0], [x0, top, 0.0]])
        mesh.add(polygon(corners, corners[:, :2]), stone, WALL, place)
    mesh.add(box((2 * _REACH_M, 0.4, 0.7), (0, top + 0.1, 0.1)), stone.with_color((0.5, 0.5, 0.48)), WALL, place)
    lining = Paint(Material.PLAIN, (0.10, 0.10, 0.095), 0.05)
    inside = (portal, street.road[1])
    for t in (left, right):
        mesh.add(strip(street.curve, inside, (t, t), 0.0, _CLEARANCE_M), lining, WALL)
    mesh.add(strip(street.curve, inside, (left, right), _CLEARANCE_M), lining, WALL)
    end = street.curve.at(np.array([inside[1] - 1.0] * 4), np.array([left, right, right, left]))
    end[2:, 1] = _CLEARANCE_M
    mesh.add(polygon(end), lining.with_color((0.02, 0.02, 0.02)), WALL)
    lamps = np.arange(portal + 3.0, inside[1] - 3.0, 7.0)
    rows = np.stack([lamps, lamps + 1.2, np.full_like(lamps, -0.25), np.full_like(lamps, 0.25)], 1)
    glow = Paint(Material.LAMP, (1.0, 0.85, 0.6), 0.2, (2.0, 3.0, 0.0, 0.0))
    mesh.add(patches(street.curve, rows, _CLEARANCE_M - 0.05), glow, WALL)
    slope = np.array([[-_REACH_M, top, 0.5], [_REACH_M, top, 0.5], [_REACH_M, top + 9, 50], [-_REACH_M, top + 9, 50]])
    mesh.add(polygon(slope, slope[:, [0, 2]]), Paint(Material.GRASS, (0.22, 0.33, 0.11), 0.0), ground.soft, place)
    for _ in range(14):
        x, z = float(rng.uniform(-32, 32)), float(rng.uniform(2.0, 14.0))
        leaf = style.leaves[int(rng.integers(len(style.leaves)))]
        spot = place._replace(position=place.point(x, top + 9 * z / 50, z))
        if rng.random() < 0.5:
            add_bush(mesh, spot, rng, leaf, size=float(rng.uniform(1.0, 2.6)))
        else:
            add_tree(mesh, spot, rng, leaf, bare=False, height=float(rng.uniform(4.0, 9.0)))
