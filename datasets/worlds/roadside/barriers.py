"""Fences and walls along lines of ground points [N, 3] in metres."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb, scaled
from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.shapes import box, grid

FENCE: Final = Thing(TRAIN_ID["fence"])
WALL: Final = Thing(TRAIN_ID["wall"])
_METALS: Final[tuple[Rgb, ...]] = (
    (0.42, 0.43, 0.44), (0.20, 0.22, 0.22), (0.30, 0.31, 0.30), (0.08, 0.09, 0.09), (0.55, 0.55, 0.53),
    (0.10, 0.20, 0.14), (0.75, 0.75, 0.73), (0.16, 0.18, 0.30),
)  # fmt: skip
_GALVANISED: Final = Paint(Material.PLAIN, (0.58, 0.59, 0.60), 0.4)
_CONCRETE: Final[tuple[Rgb, ...]] = ((0.62, 0.61, 0.58), (0.50, 0.50, 0.49), (0.72, 0.70, 0.66))
_W_PROFILE: Final = np.array([[0.0, 0.44], [0.07, 0.50], [0.0, 0.57], [0.0, 0.60], [0.07, 0.67], [0.0, 0.74]])
"""Offset towards the traffic and height of a guard rail's section."""
_JERSEY_PROFILE: Final = np.array([[-0.30, 0.0], [-0.17, 0.25], [-0.09, 0.85], [0.09, 0.85], [0.17, 0.25], [0.30, 0.0]])


def metal(rng: np.random.Generator) -> Paint:
    """Painted or galvanised steel."""
    return Paint(Material.PLAIN, _METALS[int(rng.integers(len(_METALS)))], 0.3)


def add_fence(mesh: MeshBuilder, points: Floats, rng: np.random.Generator, *, at_kerb: bool) -> None:
    """A fence of some kind: what stands at kerbs differs from what borders gardens and sites."""
    names = list(_FENCES)
    shares = np.array([_FENCES[name][0 if at_kerb else 1] for name in names])
    _FENCES[str(rng.choice(names, p=shares / shares.sum()))][2](mesh, points, rng)


def add_guard_rail(mesh: MeshBuilder, points: Floats, *, towards: float = 1.0) -> None:
    """A steel rail of W section on posts; `towards` is +1 where the traffic is to the right of the line."""
    mesh.add(_profiled(points, _W_PROFILE * (towards, 1.0)), _GALVANISED, FENCE)
    _posts(mesh, points, 0.72, _GALVANISED, width=0.10)


def add_concrete_barrier(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """A barrier of the section that New Jersey made common: a wall."""
    tone = _CONCRETE[int(rng.integers(len(_CONCRETE)))]
    paint = Paint(Material.MASONRY, tone, 0.04, (4.0, float(rng.random()), 0.0, 0.0))
    mesh.add(_profiled(points, _JERSEY_PROFILE * (1.0, float(rng.uniform(0.95, 1.25)))), paint, WALL)


def add_noise_wall(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """A high wall of panels between steel posts."""
    height = float(rng.uniform(2.4, 4.8))
    color = (*_CONCRETE, (0.30, 0.40, 0.32), (0.42, 0.34, 0.26), (0.34, 0.42, 0.50))[int(rng.integers(6))]
    kind = float(rng.choice([0.0, 2.0, 4.0, 4.0]))
    mesh.add(
        upright(points, -0.1, height), Paint(Material.MASONRY, color, 0.04, (kind, float(rng.random()), 0, 0)), WALL
    )
    shape = box((0.22, height + 0.1, 0.22), (0, height / 2, 0))
    for x, y, z in points[::3].tolist():
        mesh.add(shape, Paint(Material.PLAIN, (0.36, 0.37, 0.37), 0.2), WALL, Placement((x, y, z)))


def add_wall(mesh: MeshBuilder, points: Floats, rng: np.random.Generator, color: Rgb) -> None:
    """A free-standing wall of brick, stone or concrete, with a coping, at times with piers, a plinth or a railing."""
    height = float(rng.uniform(0.6, 2.6))
    kind = float(rng.choice([0, 1, 1, 2, 2, 4]))
    paint = Paint(Material.MASONRY, color, 0.04, (kind, float(rng.random()), 0, 0))
    mesh.add(upright(points, -0.1, height), paint, WALL)
    coping = Paint(Material.PLAIN, scaled(color, float(rng.uniform(0.6, 1.3)), most=0.9), 0.05)
    cap = np.array([[-0.18, height - 0.08], [-0.18, height], [0.18, height], [0.18, height - 0.08]])
    mesh.add(_profiled(points, cap), coping, WALL)
    luck = rng.random()
    if luck < 0.45:
        pier = box((0.42, height + 0.25, 0.42), (0, height / 2 + 0.1, 0))
        top = box((0.52, 0.10, 0.52), (0, height + 0.27, 0))
        for x, y, z in points[:: max(2, len(points) // 5)].tolist():
            mesh.add(pier, paint, WALL, Placement((x, y, z)))
            mesh.add(top, coping, WALL, Placement((x, y, z)))
    if height < 1.3 and luck > 0.6:
        lifted = points + np.array([0.0, height, 0.0])
        _railing(mesh, lifted, rng)
    elif luck > 0.85:
        for _ in range(int(rng.integers(1, 4))):
            _paint_over(mesh, points, height, rng)


def _paint_over(mesh: MeshBuilder, points: Floats, height: float, rng: np.random.Generator) -> None:
    """A patch of colour that somebody sprayed or rolled onto a wall, on both faces."""
    first = int(rng.integers(0, max(1, len(points) - 2)))
    part = points[first : first + 3]
    color = tuple(float(c) for c in rng.uniform(0.1, 0.8, 3))
    low = float(rng.uniform(0.1, 0.4)) * height
    high = float(rng.uniform(0.55, 0.9)) * height
    paint = Paint(Material.CLOTH, (color[0], color[1], color[2]), 0.05, (float(rng.random()), 0.0, 0.0, 0.0))
    for offset in (-0.015, 0.015):
        mesh.add(_profiled(part, np.array([[offset, low], [offset, high]])), paint, WALL)


def _guard(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    add_guard_rail(mesh, points, towards=1.0 if rng.random() < 0.5 else -1.0)


def _railing(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """Upright bars between two rails."""
    height, steel = float(rng.uniform(0.8, 1.3)), metal(rng)
    bars = (float(rng.uniform(0.10, 0.18)), float(rng.uniform(0.02, 0.05)), height, 0.0)
    mesh.add(upright(points, 0.0, height), Paint(Material.RAILING, steel.color, 0.3, bars), FENCE)
    _posts(mesh, points, height + 0.06, steel)


def _park_railing(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """Bars that stand over their top rail like spears."""
    height, steel = float(rng.uniform(1.1, 2.2)), metal(rng)
    bars = (float(rng.uniform(0.11, 0.16)), float(rng.uniform(0.02, 0.03)), height + 9.0, 0.0)
    mesh.add(upright(points, 0.0, height), Paint(Material.RAILING, steel.color, 0.3, bars), FENCE)
    mesh.add(upright(points, height - 0.24, height - 0.18), steel, FENCE)
    _posts(mesh, points, height + 0.02, steel, width=0.08)


def _chain_link(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    height, steel = float(rng.uniform(1.2, 2.6)), metal(rng)
    wires = (float(rng.uniform(0.09, 0.14)), float(rng.uniform(0.012, 0.022)), height, 1.0)
    mesh.add(upright(points, 0.0, height), Paint(Material.RAILING, steel.color, 0.2, wires), FENCE)
    _posts(mesh, points, height + 0.08, steel, width=0.06)


def _boards(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """Wooden boards without gaps."""
    height, tone = float(rng.uniform(1.2, 2.0)), float(rng.uniform(0.6, 1.5))
    paint = Paint(Material.PLANKS, (0.36 * tone, 0.27 * tone, 0.19 * tone), 0.02)
    mesh.add(upright(points, 0.0, height), paint, FENCE)
    _posts(mesh, points, height + 0.06, paint)


def _picket(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """Wooden slats with gaps, often white."""
    height = float(rng.uniform(0.7, 1.2))
    color = ((0.85, 0.85, 0.82), (0.42, 0.30, 0.20), (0.30, 0.34, 0.28))[int(rng.integers(3))]
    slats = (float(rng.uniform(0.12, 0.17)), float(rng.uniform(0.07, 0.10)), height + 9.0, 0.0)
    mesh.add(upright(points, 0.05, height), Paint(Material.RAILING, color, 0.1, slats), FENCE)
    mesh.add(upright(points, height - 0.3, height - 0.2), Paint(Material.PLAIN, color, 0.1), FENCE)
    _posts(mesh, points, height, Paint(Material.PLAIN, color, 0.1))


def _site(mesh: MeshBuilder, points: Floats, rng: np.random.Generator) -> None:
    """A building site's hoarding, or red and white boards."""
    if rng.random() < 0.5:
        color = ((0.80, 0.80, 0.78), (0.20, 0.32, 0.55), (0.55, 0.50, 0.42), (0.32, 0.42, 0.34))[int(rng.integers(4))]
        mesh.add(upright(points, 0.0, float(rng.uniform(1.8, 2.4))), Paint(Material.PLANKS, color, 0.05), FENCE)
        return
    steel = metal(rng)
    for low, color in ((0.15, (0.85, 0.84, 0.80)), (0.75, (0.80, 0.14, 0.10))):
        mesh.add(upright(points, low, low + 0.25), Paint(Material.PLAIN, color, 0.2), FENCE)
    _posts(mesh, points, 1.05, steel)


_Builder = Callable[[MeshBuilder, Floats, np.random.Generator], None]
_FENCES: Final[Mapping[str, tuple[float, float, _Builder]]] = {
    "railing": (0.50, 0.22, _railing),
    "park": (0.12, 0.20, _park_railing),
    "guard": (0.22, 0.06, _guard),
    "chain link": (0.04, 0.18, _chain_link),
    "boards": (0.00, 0.16, _boards),
    "picket": (0.00, 0.12, _picket),
    "site": (0.12, 0.06, _site),
}
"""Shares at kerbs and elsewhere, and the builder."""


def upright(points: Floats, low: float, high: float) -> Geometry:
    """A vertical sheet over ground points; uv are (metres along, metres up)."""
    return _profiled(points, np.array([[0.0, low], [0.0, high]]))


def _profiled(points: Floats, profile: Floats) -> Geometry:
    """A section [K, 2] of (metres to the right, metres up), drawn along a line; uv are (along, up)."""
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    along = np.gradient(points, axis=0)
    across = np.stack([along[:, 2], np.zeros(len(along)), -along[:, 0]], 1)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    sheet = points[:, None] + across[:, None] * profile[None, :, :1]
    sheet[..., 1] += profile[None, :, 1]
    uvs = np.stack(np.broadcast_arrays(length[:, None], profile[None, :, 1]), -1)
    return grid(sheet.astype(np.float32), uvs.astype(np.float32))


def _posts(mesh: MeshBuilder, points: Floats, height: float, paint: Paint, *, width: float = 0.07) -> None:
    """Posts at every second point, all as one shape."""
    feet = points[::2]
    one = box((width, height, width), (0, height / 2, 0))
    positions = (one.positions[None] + feet[:, None].astype(np.float32)).reshape(-1, 3)
    faces = np.arange(len(feet), dtype=np.uint32)[:, None, None] * len(one.positions) + one.faces
    shape = Geometry(
        positions,
        np.tile(one.normals, (len(feet), 1)),
        np.tile(one.uvs, (len(feet), 1)),
        faces.reshape(-1, 3).astype(np.uint32),
    )
    mesh.add(shape, Paint(Material.PLAIN, paint.color, paint.gloss), FENCE)
