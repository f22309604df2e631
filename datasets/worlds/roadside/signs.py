"""Traffic signs and direction boards: shapes, faces and what carries them."""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Floats, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.shapes import polygon, tube, tubes
from isthmus.datasets.worlds.roadside.barriers import metal
from isthmus.datasets.worlds.roadside.lamps import POLE

SIGN: Final = Thing(TRAIN_ID["traffic sign"])
_BACK: Final = Thing(IGNORE_INDEX)
"""Only the face of a sign counts."""
_RED: Final = (0.72, 0.06, 0.06)
_BLUE: Final = (0.06, 0.20, 0.55)
_YELLOW: Final = (0.88, 0.70, 0.08)
_WHITE: Final = (0.86, 0.86, 0.84)
_GREEN: Final = (0.04, 0.34, 0.16)
_BOARDS: Final[tuple[Rgb, ...]] = (
    (0.05, 0.18, 0.50),
    _GREEN,
    (0.82, 0.68, 0.10),
    (0.86, 0.86, 0.84),
    (0.42, 0.22, 0.12),
)


def _ring(corners: int, *, turn: float = 0.0) -> Floats:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turn
    return np.stack([np.cos(angle), np.sin(angle)], 1)


_SHAPES: Final = {
    "disc": _ring(18),
    "octagon": _ring(8, turn=np.pi / 8),
    "diamond": _ring(4),
    "up": np.array([[-1.0, -0.58], [1.0, -0.58], [0.0, 1.15]]),
    "down": np.array([[1.0, 0.58], [-1.0, 0.58], [0.0, -1.15]]),
    "square": np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]),
    "tall": np.array([[-0.7, -1.0], [0.7, -1.0], [0.7, 1.0], [-0.7, 1.0]]),
    "plate": np.array([[-1.0, -0.45], [1.0, -0.45], [1.0, 0.45], [-1.0, 0.45]]),
    "arrow": np.array([[-2.0, -0.5], [1.4, -0.5], [2.0, 0.0], [1.4, 0.5], [-2.0, 0.5]]),
}


class _Face(NamedTuple):
    """A kind of sign: how often, shape, number in `shaders/signs.glsl`, ground colour."""

    weight: float
    shape: str
    number: float
    color: Rgb


_FACES: Final = (
    _Face(1.6, "disc", 0.0, _RED),  # bans and limits
    _Face(1.2, "disc", 1.0, _BLUE),  # orders: an arrow
    _Face(0.8, "disc", 2.0, _RED),  # no entry
    _Face(1.3, "up", 3.0, _RED),  # warnings
    _Face(0.7, "square", 4.0, _BLUE),
    _Face(0.4, "tall", 4.0, _WHITE),
    _Face(0.5, "octagon", 6.0, _RED),
    _Face(0.7, "diamond", 7.0, _YELLOW),  # warnings where signs are yellow; priority roads
    _Face(0.8, "down", 8.0, _RED),  # give way
    _Face(0.5, "square", 9.0, _RED),  # chevrons
    _Face(0.7, "square", 11.0, _BLUE),  # parking
    _Face(0.5, "disc", 12.0, _WHITE),  # end of a limit
    _Face(0.7, "square", 13.0, _BLUE),  # pedestrian crossing
    _Face(0.7, "disc", 16.0, _BLUE),  # no stopping
    _Face(0.5, "tall", 17.0, _WHITE),  # American limit
    _Face(0.4, "arrow", 10.0, _YELLOW),  # direction
)
_WEIGHTS: Final = np.array([face.weight for face in _FACES]) / sum(face.weight for face in _FACES)


def add_sign(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi) -> None:
    """One to three traffic signs on a post; `facing` turns the faces against the placement's heading."""
    height = float(rng.uniform(1.9, 2.9))
    faces = int(rng.choice([1, 1, 1, 2, 2, 3]))
    top = height + 0.4 + 0.75 * (faces - 1)
    mesh.add(tube((0, 0, 0), (0, top, 0), float(rng.uniform(0.03, 0.05)), sides=6), metal(rng), POLE, place)
    _stack(mesh, place, rng, facing=facing, height=height, faces=faces)
    if rng.random() < 0.10:
        _street_name(mesh, Placement(place.position, place.heading + facing), rng, top)


def add_signs_to_lamp(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float) -> None:
    """Signs that a lamp post or a signal's mast carries."""
    _stack(mesh, place, rng, facing=facing, height=float(rng.uniform(2.2, 3.2)), faces=int(rng.choice([1, 1, 2])))


def add_keep_side(mesh: MeshBuilder, place: Placement, rng: np.random.Generator) -> None:
    """The low sign at the head of a median or an island."""
    mesh.add(tube((0, 0, 0), (0, 1.2, 0), 0.05, sides=6), metal(rng), POLE, place)
    turned = Placement(place.position, place.heading + np.pi)
    _put_face(mesh, turned, rng, _FACES[1 if rng.random() < 0.6 else 9], size=0.32, y=1.0)


def add_board(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float = np.pi) -> None:
    """A direction board on two posts."""
    width, height, y = float(rng.uniform(1.0, 3.2)), float(rng.uniform(0.5, 1.8)), float(rng.uniform(1.6, 3.0))
    feet = np.array([[-0.38 * width, 0, 0], [0.38 * width, 0, 0]])
    radii = np.full(2, 0.05)
    mesh.add(tubes(feet, feet + np.array([0.0, y + height, 0.0]), radii, radii, sides=6), metal(rng), POLE, place)
    turned = Placement(place.position, place.heading + facing)
    board(mesh, turned._replace(position=turned.point(0, y, 0)), rng, width=width, height=height)


def board(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, width: float, height: float) -> None:
    """A board whose lower edge is at the placement and whose face looks along it."""
    color = _BOARDS[int(rng.integers(len(_BOARDS)))]
    corners = np.array([[-1, 0], [1, 0], [1, 1], [-1, 1]]) * (width / 2, height)
    uvs = (corners - (0, height / 2)).astype(np.float32)
    params = (18.0, height / 2, float(rng.random()), width / height)
    _plate(mesh, place, corners, uvs, Paint(Material.SIGN, color, 0.3, params))


def _stack(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, facing: float, height: float, faces: int
) -> None:
    """Faces one above the other, the lowest at times a small plate with words."""
    turned = Placement(place.position, place.heading + facing)
    y = height + 0.1
    if rng.random() < 0.25:
        _put_face(mesh, turned, rng, _Face(0.0, "plate", 15.0, _WHITE), size=0.28, y=y - 0.5)
    for _ in range(faces):
        face = _FACES[int(rng.choice(len(_FACES), p=_WEIGHTS))]
        size = float(rng.uniform(0.26, 0.46))
        _put_face(mesh, turned, rng, face, size=size * (0.7 if face.shape == "arrow" else 1.0), y=y)
        y += 0.78


def _street_name(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, top: float) -> None:
    color = (_GREEN, _BLUE, _WHITE)[int(rng.integers(3))]
    for turn in (0.0, np.pi / 2):
        turned = Placement(place.position, place.heading + turn)
        corners = np.array([[-0.55, -0.11], [0.55, -0.11], [0.55, 0.11], [-0.55, 0.11]])
        params = (10.0, 0.11, float(rng.random()), 5.0)
        shifted = turned._replace(position=turned.point(0.0, top, 0.0))
        _plate(mesh, shifted, corners, corners.astype(np.float32), Paint(Material.SIGN, color, 0.3, params))


def _put_face(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, face: _Face, *, size: float, y: float
) -> None:
    outline = _SHAPES[face.shape] * size
    paint = Paint(Material.SIGN, face.color, 0.3, (face.number, size, float(rng.random()), 1.0))
    _plate(mesh, place._replace(position=place.point(0.0, y, 0.0)), outline, outline.astype(np.float32), paint)


def _plate(mesh: MeshBuilder, place: Placement, outline: Floats, uvs: Floats, paint: Paint) -> None:
    """A face and, 2 cm behind it, its grey back."""
    flat = np.concatenate([outline, np.full((len(outline), 1), 0.06)], axis=1)
    front = polygon(flat, uvs * np.array([-1.0, 1.0], np.float32))  # its reader sees x run to the left
    mesh.add(front, paint, SIGN, place)
    back = front._replace(positions=front.positions - np.array([0, 0, 0.02], np.float32))
    mesh.add(back, Paint(Material.PLAIN, (0.38, 0.39, 0.40), 0.3), _BACK, place)
