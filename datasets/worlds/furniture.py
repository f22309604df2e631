"""What stands beside the road: lamps, signs, traffic lights, bollards, fences, walls, bins and shelters."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Floats, Geometry, MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.shapes import box, disc, ellipsoid, grid, polygon, tube

POLE: Final = Thing(TRAIN_ID["pole"])
SIGN: Final = Thing(TRAIN_ID["traffic sign"])
LIGHT: Final = Thing(TRAIN_ID["traffic light"])
FENCE: Final = Thing(TRAIN_ID["fence"])
WALL: Final = Thing(TRAIN_ID["wall"])
_METALS: Final[tuple[Rgb, ...]] = (
    (0.42, 0.43, 0.44),
    (0.20, 0.22, 0.22),
    (0.30, 0.31, 0.30),
    (0.10, 0.11, 0.11),
    (0.55, 0.55, 0.53),
)
_DARK: Final = Paint(Material.PLAIN, (0.05, 0.05, 0.055), 0.2)
_RED: Final = (0.72, 0.06, 0.06)
_BLUE: Final = (0.06, 0.20, 0.55)


def metal(rng: np.random.Generator) -> Paint:
    """Painted or galvanised steel."""
    return Paint(Material.PLAIN, _METALS[int(rng.integers(len(_METALS)))], 0.3)


def add_lamp(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, height: float, arm: float) -> None:
    """A street lamp whose arm points along its own +x."""
    paint = metal(rng)
    parts = [tube((0, 0, 0), (0, 1.2, 0), 0.10), tube((0, 1.0, 0), (0, height, 0), 0.075, 0.05)]
    if arm > 0.3:
        parts.append(tube((0, height - 0.05, 0), (arm, height + 0.25, 0), 0.045))
        parts.append(box((0.75, 0.13, 0.26), (arm + 0.2, height + 0.24, 0)))
    else:
        parts.append(ellipsoid((0, height + 0.2, 0), (0.24, 0.28, 0.24)))
    mesh.add(merged(*parts), paint, POLE, place)


def add_sign(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi) -> None:
    """One or two traffic signs on a post; `facing` turns the faces against the placement's heading."""
    paint = metal(rng)
    height = float(rng.uniform(2.1, 2.9))
    faces = 2 if rng.random() < 0.3 else 1
    mesh.add(tube((0, 0, 0), (0, height + 0.4 + 0.7 * (faces - 1), 0), 0.045, sides=6), paint, POLE, place)
    turned = Placement(place.position, place.heading + facing)
    for number in range(faces):
        kind = int(rng.integers(6))
        size = float(rng.uniform(0.30, 0.45))
        y = height + 0.1 + number * 0.85
        _sign_face(mesh, turned, rng, kind=kind, size=size, y=y)


def add_board(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi) -> None:
    """A direction board on two posts."""
    width, height, y = float(rng.uniform(1.4, 3.0)), float(rng.uniform(0.8, 1.6)), float(rng.uniform(2.2, 3.0))
    posts = [tube((side * width * 0.38, 0, 0), (side * width * 0.38, y + height, 0), 0.05, sides=6) for side in (-1, 1)]
    mesh.add(merged(*posts), metal(rng), POLE, place)
    turned = Placement(place.position, place.heading + facing)
    color = ((0.05, 0.18, 0.50), (0.04, 0.34, 0.16), (0.78, 0.66, 0.12), (0.85, 0.85, 0.83))[int(rng.integers(4))]
    corners = np.array([[-1, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 1, 0]]) * (width / 2, height, 1) + (0, y, 0.07)
    uvs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * height / 2
    mesh.add(
        polygon(corners, uvs), Paint(Material.SIGN, color, 0.3, (4.0, height / 2, float(rng.random()), 0)), SIGN, turned
    )
    back = box((width, height, 0.04), (0, y + height / 2, 0.03))
    mesh.add(back, Paint(Material.PLAIN, (0.4, 0.4, 0.41), 0.3), SIGN, turned)


def add_traffic_light(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi) -> None:
    """A signal on a post, sometimes with a second one on an arm over the road (towards the placement's +x)."""
    paint = metal(rng)
    height = float(rng.uniform(2.6, 3.4))
    state = int(rng.integers(3))
    mesh.add(tube((0, 0, 0), (0, height + 0.3, 0), 0.065), paint, POLE, place)
    _signal(mesh, Placement(place.position, place.heading + facing), height, state)
    if rng.random() < 0.4:
        reach, top = float(rng.uniform(2.5, 4.5)), float(rng.uniform(5.0, 5.8))
        arm = merged(tube((0, 0, 0), (0, top, 0), 0.09), tube((0, top, 0), (reach, top, 0), 0.06))
        mesh.add(arm, paint, POLE, place)
        _signal(mesh, Placement(place.point(reach, 0.0, 0.0), place.heading + facing), top, state)


def add_bollards(mesh: MeshBuilder, places: list[Placement], rng: np.random.Generator) -> None:
    """A row of short posts; they count as poles."""
    height, radius = float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.05, 0.09))
    paint = metal(rng) if rng.random() < 0.7 else Paint(Material.PLAIN, (0.65, 0.10, 0.08), 0.3)
    shape = merged(tube((0, 0, 0), (0, height, 0), radius), ellipsoid((0, height, 0), (radius, radius, radius)))
    for place in places:
        mesh.add(shape, paint, POLE, place)


def add_box_or_bin(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, ignored: int) -> None:
    """A bin, a switch cabinet, a letter box or a bench: no class of ours."""
    thing = Thing(ignored)
    color = ((0.10, 0.22, 0.12), (0.32, 0.34, 0.32), (0.60, 0.08, 0.07), (0.12, 0.12, 0.13))[int(rng.integers(4))]
    paint = Paint(Material.PLAIN, color, 0.25)
    if rng.random() < 0.5:
        mesh.add(box((0.7, 1.1, 0.4), (0, 0.55, 0)), paint, thing, place)
    else:
        lid = ellipsoid((0, 0.95, 0), (0.27, 0.10, 0.27))
        mesh.add(merged(tube((0, 0, 0), (0, 0.95, 0), 0.23, 0.26, sides=12), lid), paint, thing, place)


def add_fence(mesh: MeshBuilder, points: Floats, rng: np.random.Generator, *, at_kerb: bool) -> None:
    """A railing, a guard rail or, away from kerbs, a wire mesh or a wooden fence along ground points [N, 3]."""
    kind = rng.choice(
        ["railing", "guard", "planks", "mesh"], p=[0.75, 0.25, 0, 0] if at_kerb else [0.45, 0.15, 0.25, 0.15]
    )
    if kind == "guard":
        band = _upright(points, 0.45, 0.75)
        mesh.add(band, Paint(Material.PLAIN, (0.55, 0.56, 0.57), 0.4), FENCE)
        _posts(mesh, points, 0.7, metal(rng))
        return
    height = float(rng.uniform(0.9, 1.3) if kind == "railing" else rng.uniform(1.2, 1.9))
    if kind == "planks":
        tone = rng.uniform(0.7, 1.3)
        paint = Paint(Material.PLANKS, (0.36 * tone, 0.27 * tone, 0.19 * tone), 0.02)
    elif kind == "railing":
        paint = Paint(
            Material.RAILING,
            metal(rng).color,
            0.3,
            (float(rng.uniform(0.10, 0.16)), float(rng.uniform(0.025, 0.05)), height, 0.0),
        )
    else:
        paint = Paint(Material.RAILING, (0.25, 0.30, 0.27), 0.2, (0.12, 0.02, height, 1.0))
    mesh.add(_upright(points, 0.0, height), paint, FENCE)
    _posts(mesh, points, height + 0.06, paint if kind == "planks" else metal(rng))


def add_wall(mesh: MeshBuilder, points: Floats, rng: np.random.Generator, color: Rgb) -> None:
    """A free-standing wall of brick, stone or concrete along ground points [N, 3]."""
    height = float(rng.uniform(0.7, 2.4))
    kind = float(rng.choice([0, 1, 1, 2, 4]))
    paint = Paint(Material.MASONRY, color, 0.04, (kind, float(rng.random()), 0, 0))
    mesh.add(_upright(points, -0.1, height), paint, WALL)
    along = np.gradient(points, axis=0)
    across = np.stack([along[:, 2], np.zeros(len(along)), -along[:, 0]], 1)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    cap = np.stack([points + across * -0.18, points + across * 0.18], 1)
    cap[..., 1] += height
    coping = Paint(Material.PLAIN, (color[0] * 0.8, color[1] * 0.8, color[2] * 0.8), 0.05)
    mesh.add(grid(cap.astype(np.float32)), coping, WALL)
    for edge in (0, 1):
        mesh.add(_upright(cap[:, edge] - np.array([0, height, 0]), height - 0.08, height), coping, WALL)


def _posts(mesh: MeshBuilder, points: Floats, height: float, paint: Paint) -> None:
    shape = box((0.07, height, 0.07), (0, height / 2, 0))
    solid = Paint(Material.PLAIN, paint.color, paint.gloss)
    for x, y, z in points[::2]:
        mesh.add(shape, solid, FENCE, Placement((float(x), float(y), float(z))))


def _upright(points: Floats, low: float, high: float) -> Geometry:
    """A vertical sheet over ground points; uv are (metres along, metres up)."""
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    sheet = np.stack([points, points], 1).astype(np.float32)
    sheet[:, 0, 1] += low
    sheet[:, 1, 1] += high
    uvs = np.stack([np.stack([length, np.full_like(length, y)], 1) for y in (low, high)], 1)
    return grid(sheet, uvs.astype(np.float32))


def _sign_face(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, kind: int, size: float, y: float
) -> None:
    color = {0: _RED, 1: _BLUE, 2: _RED, 3: _RED}.get(
        kind, (_BLUE, (0.80, 0.66, 0.10), (0.85, 0.85, 0.82))[int(rng.integers(3))]
    )
    paint = Paint(Material.SIGN, color, 0.3, (float(kind), size, float(rng.random()), 0.0))
    if kind in (0, 1, 2):
        shape = disc((0, y, 0.06), size, axis="z", sides=18)
    elif kind == 3:
        corners = np.array([[-1.0, -0.58, 0.0], [1.0, -0.58, 0.0], [0.0, 1.15, 0.0]]) * size
        shape = polygon(corners + np.array([0, y, 0.06]), corners[:, :2])
    else:
        corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * (size, size * rng.uniform(0.8, 1.4), 0)
        shape = polygon(corners + np.array([0, y, 0.06]), np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size)
    mesh.add(shape, paint, SIGN, place)
    back = shape._replace(positions=shape.positions - np.array([0, 0, 0.02], np.float32))
    mesh.add(back, Paint(Material.PLAIN, (0.38, 0.39, 0.40), 0.3), SIGN, place)


def _signal(mesh: MeshBuilder, place: Placement, y: float, state: int) -> None:
    """A three-lamp head that looks along the placement's heading."""
    mesh.add(box((0.34, 0.95, 0.26), (0, y, 0.16)), _DARK, LIGHT, place)
    mesh.add(box((0.56, 1.2, 0.02), (0, y, 0.05)), _DARK, LIGHT, place)
    for lamp, color in enumerate(((0.95, 0.08, 0.05), (0.95, 0.55, 0.05), (0.08, 0.85, 0.35))):
        power = 3.0 if lamp == state else 0.03
        paint = Paint(Material.GLOWING, color, 0.3, (power, 0, 0, 0))
        mesh.add(disc((0, y + 0.30 * (1 - lamp), 0.30), 0.105, axis="z"), paint, LIGHT, place)
