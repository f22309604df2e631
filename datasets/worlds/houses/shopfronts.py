"""What shops hang on their fronts: fascia boards, awnings, projecting signs, discs and triangles, banners, posters.

All of it is `building`, though much of it looks like a traffic sign: that is what a segmenter must learn to tell.
"""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.cuboids import cuboid_rows, cuboids, sheets
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Geometry
from isthmus.datasets.worlds.geometry.shapes import disc, polygon, tube
from isthmus.datasets.worlds.houses.facade_relief import FrontBuilder

_LOUD: Final[tuple[Rgb, ...]] = (
    (0.75, 0.08, 0.07), (0.08, 0.22, 0.60), (0.10, 0.42, 0.18), (0.88, 0.70, 0.08), (0.85, 0.85, 0.82),
    (0.06, 0.06, 0.07), (0.80, 0.38, 0.06), (0.40, 0.08, 0.30), (0.10, 0.50, 0.52),
)  # fmt: skip
_IRON: Final = Paint(Material.PLAIN, (0.09, 0.09, 0.10), 0.3)
_WORDS: Final = (4.0, 5.0, 10.0, 14.0)
"""Faces of `signs.glsl` with rows of letters."""
_TRAFFIC_FACES: Final = 18
"""The others, which traffic signs have too."""


def add_shopfront(on: FrontBuilder) -> None:
    """Boards, pilasters, awnings and signs on a ground floor with shops."""
    front, rng = on.front, on.rng
    ground, unit = front.ground, 2 * front.bay
    # Pieces of the painted front pushed forward keep their paint, letters included.
    boards = [[0.0, ground - 0.90, -0.14, on.width, ground - 0.10, 0.0]]
    on.add(front.paint(on.color), cuboids(np.array(boards)))
    edges = np.append(np.arange(0.0, on.width - 0.5, unit), on.width)
    rows = cuboid_rows(edges, np.array([0.0]), (0.26, ground - 0.05, 0.18))
    moulding = np.array([[-0.04, ground - 0.12, -0.26, on.width + 0.04, ground + 0.04, 0.0]])
    on.add(on.trim, cuboids(np.concatenate([rows, moulding])))
    for left in np.arange(0.0, on.width - unit * 0.6, unit).tolist():
        if rng.random() < 0.30:
            _add_awning(on, left + 0.2, min(left + unit, on.width) - 0.2, ground - 0.92)
        for _ in range(int(rng.integers(0, 3))):
            add_projecting_sign(on, left + float(rng.uniform(0.2, 0.8)) * unit, ground)
        if rng.random() < 0.3:
            _add_emblem(on, left + unit * float(rng.choice([0.08, 0.92])), ground - 0.5, 0.33, -0.16)


def add_wall_signs(on: FrontBuilder) -> None:
    """Posters, plates, a banner: on any front now and then."""
    rng, front = on.rng, on.front
    for _ in range(int(rng.integers(0, 3))):
        x, y = on.between(), float(rng.uniform(1.3, 2.4))
        _add_emblem(on, x, y, float(rng.uniform(0.15, 0.42)), -0.03)
    if front.floors > 1 and rng.random() < 0.35:
        add_projecting_sign(on, float(rng.uniform(0.3, on.width - 0.3)), front.ground)


def add_hall_sign(on: FrontBuilder) -> None:
    """A supermarket's or a workshop's name high on a shed's front."""
    rng = on.rng
    half, ratio = float(rng.uniform(0.45, 0.9)), float(rng.uniform(3.0, 4.6))
    x, y = on.width * float(rng.uniform(0.35, 0.65)), on.front.height - half - 0.35
    wide = min(half * ratio, on.width * 0.45)
    corners = np.array([[-wide, -half], [wide, -half], [wide, half], [-wide, half]])
    color = _LOUD[int(rng.integers(len(_LOUD)))]
    face = Paint(Material.SIGN, color, 0.3, (10.0, half, float(rng.random()), wide / half))
    on.add(face, polygon(np.array([[x + u, y + v, -0.16] for u, v in corners]), corners))
    on.add(Paint(Material.PLAIN, color, 0.2), cuboids(np.array([[x - wide, y - half, -0.15, x + wide, y + half, 0.0]])))


def add_gable_adverts(on: FrontBuilder, depth: float) -> None:
    """Big posters or painted names on the end walls, `depth` metres deep."""
    rng = on.rng
    for x in (-0.04, on.width + 0.04):
        if rng.random() < 0.5:
            continue
        half = float(rng.uniform(0.8, 1.6))
        wide = half * float(rng.uniform(0.7, 2.2))
        y, z = float(rng.uniform(2.0, max(on.front.height - half, 2.5))), depth * float(rng.uniform(0.3, 0.7))
        corners = np.array([[-wide, -half], [wide, -half], [wide, half], [-wide, half]])
        turn = 1.0 if x > 0 else -1.0
        on.add(_face(on, half), polygon(np.array([[x, y + v, z + turn * u] for u, v in corners]), corners))


def add_projecting_sign(on: FrontBuilder, x: float, ground: float) -> None:
    """A disc, shield, box or banner on a bracket, square to the front, so that drivers see its face."""
    rng = on.rng
    half = float(rng.uniform(0.22, 0.50))
    y = ground + float(rng.uniform(-0.5, 0.9))
    out = -0.25 - half
    paint = _face(on, half)
    luck = rng.random()
    if luck < 0.35:
        plates = [_readable(disc((x + side, y, out), half, axis="x", sides=12), side) for side in (-0.05, 0.05)]
    elif luck < 0.5:
        corners = np.array([[-half, 0.6 * half], [half, 0.6 * half], [0, -half]])
        corners *= 1.0 if rng.random() < 0.5 else -1.0
        plates = [polygon(np.array([[x, y + v, out + u] for u, v in corners]), corners)]
    else:
        tall = half * float(rng.uniform(0.7, 2.6))
        corners = np.array([[-half, -tall], [half, -tall], [half, tall], [-half, tall]])
        uv = corners * [1.0, half / tall]
        plates = [
            _readable(polygon(np.array([[x + side, y + v, out + u] for u, v in corners]), uv), side)
            for side in (-0.06, 0.06)
        ]
    on.add(paint, *plates)
    arms = [tube((x, y + s * half * 0.7, 0.0), (x, y + s * half * 0.7, out), 0.025, sides=4) for s in (-1, 1)]
    on.add(_IRON, *arms)


def _readable(plate: Geometry, side: float) -> Geometry:
    """A plate square to the front, its face not mirrored when seen from its side (−x or +x) of the sign."""
    return plate._replace(uvs=plate.uvs * np.array([np.sign(side), 1.0], np.float32))


def _face(on: FrontBuilder, half: float) -> Paint:
    """A painted face: one of those that traffic signs use too, or a plain lively colour."""
    color = _LOUD[int(on.rng.integers(len(_LOUD)))]
    if on.rng.random() < 0.2:
        return Paint(Material.PLAIN, color, 0.3)
    words = on.rng.random() < 0.5
    kind = float(on.rng.choice(_WORDS) if words else on.rng.integers(_TRAFFIC_FACES))
    return Paint(Material.SIGN, color, 0.3, (kind, half, float(on.rng.random()), 1.0))


def _add_emblem(on: FrontBuilder, x: float, y: float, half: float, z: float) -> None:
    """A disc, triangle or plate flat on the front."""
    luck = on.rng.random()
    shape: Geometry
    if luck < 0.4:
        shape = disc((x, y, z), half, axis="z", sides=12)
    else:
        corners = np.array(
            [[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]] if luck < 0.5 else [[-1, -1], [1, -1], [1, 1], [-1, 1]]
        )
        corners = corners * half
        shape = polygon(np.array([[x + u, y + v, z] for u, v in corners]), corners)
    on.add(_face(on, half), shape)


def _add_awning(on: FrontBuilder, left: float, right: float, y: float) -> None:
    """A slanted cloth, often striped, with a valance."""
    rng = on.rng
    out, drop = float(rng.uniform(0.7, 1.4)), float(rng.uniform(0.25, 0.6))
    stripes = int(rng.integers(1, 9))
    edges = np.linspace(left, right, stripes + 1)
    color = _LOUD[int(rng.integers(len(_LOUD)))]
    for turn, tone in enumerate((color, (0.82, 0.80, 0.74))):
        low, quads = y - drop, []
        for x0, x1 in zip(edges[:-1][turn::2].tolist(), edges[1:][turn::2].tolist(), strict=True):
            quads.append([[x0, y, -0.1], [x1, y, -0.1], [x1, low, -out], [x0, low, -out]])
            quads.append([[x0, low, -out], [x1, low, -out], [x1, low - 0.2, -out], [x0, low - 0.2, -out]])
        if quads:
            on.add(Paint(Material.CLOTH, tone), sheets(np.array(quads)))
