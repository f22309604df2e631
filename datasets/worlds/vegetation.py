"""Trees in leaf and bare, hedges and bushes."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Floats, Geometry, MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.shapes import ellipsoid, grid, tubes

_BLOBS: Final = ("low", "low", "medium")
_CORES: Final = ("low", "medium", "high")
VEGETATION: Final = Thing(TRAIN_ID["vegetation"])
_NEAR_M: Final = 22.0
_MIDDLE_M: Final = 55.0
_BARK: Final[tuple[Rgb, ...]] = ((0.24, 0.19, 0.15), (0.32, 0.28, 0.23), (0.18, 0.15, 0.13), (0.42, 0.39, 0.34))


def add_tree(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, bare: bool, height: float
) -> None:
    """A tree: trunk, branches, and a crown of clumps of leaves, or of twigs that only the labels close."""
    bark = Paint(Material.BARK, _BARK[int(rng.integers(len(_BARK)))], 0.02)
    trunk = height * float(rng.uniform(0.22, 0.38))
    radius = 0.016 * height * float(rng.uniform(0.8, 1.3))
    near = _detail(place)
    generations = (2, 3, 4)[near] if bare else (1, 1, 2)[near]
    skeleton, tips = _branches(rng, trunk, height, radius, generations=generations)
    mesh.add(skeleton, bark, VEGETATION, place)
    shape = float(rng.uniform(0.7, 1.3))  # slim to wide
    seed = float(rng.random())
    if bare:
        color = _mixed(bark.color, (0.36, 0.30, 0.24), 0.5)
        paint = Paint(Material.TWIGS, color, 0.0, (seed, float(rng.uniform(0, 1)), 0.0, 0.0))
        mesh.add(_twigs(rng, trunk, height, shape, tips=tips, near=near), paint, VEGETATION, place)
    else:
        tone = float(rng.uniform(0.75, 1.2))
        color = (leaf[0] * tone * float(rng.uniform(0.9, 1.15)), leaf[1] * tone, leaf[2] * tone)
        paint = Paint(Material.FOLIAGE, color, 0.0, (seed, float(rng.uniform(0.55, 0.85)), 0.0, 0.0))
        mesh.add(_leaves(rng, trunk, height, shape, near=near), paint, VEGETATION, place)


def _twigs(rng: np.random.Generator, trunk: float, height: float, shape: float, *, tips: Floats, near: int) -> Geometry:
    """Clumps about the branches' tips, and one about all of them."""
    crown = height - trunk
    size = crown * 0.26
    blobs = [
        ellipsoid(_point(tip), _radii(size * float(rng.uniform(0.8, 1.25)), rng), detail=_BLOBS[near])
        for tip in tips[:9]
    ]
    middle = (0.0, trunk + crown * 0.52, 0.0)
    blobs.append(ellipsoid(middle, (crown * 0.40 * shape, crown * 0.44, crown * 0.40 * shape), detail=_CORES[near]))
    return _crown(blobs, middle)


def _leaves(rng: np.random.Generator, trunk: float, height: float, shape: float, *, near: int) -> Geometry:
    """A core and clumps around it."""
    crown = height - trunk
    spread, middle = crown * 0.30 * shape, trunk + crown * 0.5
    blobs = [ellipsoid((0.0, middle, 0.0), (spread * 0.85, crown * 0.36, spread * 0.85), detail=_CORES[near])]
    for _ in range((5, 8, 13)[near] + int(rng.integers(3))):
        direction = rng.standard_normal(3)
        x, y, z = direction / np.linalg.norm(direction) * float(rng.uniform(0.55, 1.0))
        center = (float(x) * spread, middle + float(y) * crown * 0.30, float(z) * spread)
        blobs.append(ellipsoid(center, _radii(crown * float(rng.uniform(0.16, 0.27)), rng), detail=_BLOBS[near]))
    return _crown(blobs, (0.0, trunk + crown * 0.35, 0.0))


def add_conifer(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, height: float) -> None:
    """A fir or a cypress: a ragged cone of many flat tiers."""
    trunk = tubes(np.zeros((1, 3)), np.array([[0, height * 0.9, 0]]), np.array([0.18]), np.array([0.04]))
    mesh.add(trunk, Paint(Material.BARK, _BARK[0], 0.02), VEGETATION, place)
    needles = (leaf[0] * 0.6, leaf[1] * 0.7, leaf[2] * 0.8)
    paint = Paint(Material.FOLIAGE, needles, 0.0, (float(rng.random()), 0.85, 0.0, 0.0))
    width = height * float(rng.uniform(0.14, 0.26))
    tiers = (7, 9, 13)[_detail(place)]
    blobs = []
    for tier in range(tiers):
        share = tier / tiers
        size = (width * (1.0 - share) ** 0.8 + 0.25) * float(rng.uniform(0.85, 1.1))
        x, z = (float(v) for v in rng.normal(0, 0.06 * width, 2))
        center, radii = (x, height * (0.14 + 0.82 * share), z), (size, height * 0.9 / tiers, size)
        blobs.append(ellipsoid(center, radii, detail=_BLOBS[_detail(place)]))
    mesh.add(_crown(blobs, (0.0, height * 0.3, 0.0)), paint, VEGETATION, place)


def add_hedge(
    mesh: MeshBuilder, points: Floats, rng: np.random.Generator, leaf: Rgb, *, height: float, width: float
) -> None:
    """A clipped hedge along a line of ground points [N, 3] (world coordinates)."""
    along = np.gradient(points, axis=0)
    across = np.stack([along[:, 2], np.zeros(len(along)), -along[:, 0]], 1)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    profile = np.array([[-0.5, 0.0], [-0.52, 0.6], [-0.42, 0.93], [0.0, 1.02], [0.42, 0.93], [0.52, 0.6], [0.5, 0.0]])
    bumps = 1.0 + rng.uniform(-0.12, 0.12, (len(points), len(profile)))
    surface = points[:, None] + across[:, None] * (profile[None, :, :1] * width) * bumps[..., None]
    surface[..., 1] += profile[None, :, 1] * height * bumps
    tone = rng.uniform(0.6, 1.05)
    paint = Paint(
        Material.FOLIAGE, (leaf[0] * tone, leaf[1] * tone, leaf[2] * tone), 0.0, (float(rng.random()), 0.3, 0.0, 0.0)
    )
    mesh.add(grid(surface.astype(np.float32)), paint, VEGETATION)


def add_bush(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, size: float) -> None:
    """A round shrub of a few clumps."""
    tone = rng.uniform(0.6, 1.1)
    paint = Paint(
        Material.FOLIAGE, (leaf[0] * tone, leaf[1] * tone, leaf[2] * tone), 0.0, (float(rng.random()), 0.6, 0.0, 0.0)
    )
    blobs = []
    for _ in range(int(rng.integers(3, 6))):
        x, z = rng.uniform(-0.5, 0.5, 2) * size
        blobs.append(
            ellipsoid(
                (x, size * rng.uniform(0.25, 0.5), z),
                _radii(size * rng.uniform(0.35, 0.6), rng),
                detail=_BLOBS[_detail(place)],
            )
        )
    mesh.add(merged(*blobs), paint, VEGETATION, place)


def _crown(blobs: list[Geometry], middle: tuple[float, float, float]) -> Geometry:
    """Clumps whose normals lean away from the crown's middle, so that light wraps around the whole of it."""
    shape = merged(*blobs)
    outward = shape.positions - np.asarray(middle, np.float32)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-6
    normals = outward + 0.6 * shape.normals
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6
    return shape._replace(normals=normals.astype(np.float32))


def _detail(place: Placement) -> int:
    """2 close to the origin, where the camera is, to 0 far away."""
    distance = float(np.hypot(place.position[0], place.position[2]))
    return 2 if distance < _NEAR_M else 1 if distance < _MIDDLE_M else 0


def _branches(
    rng: np.random.Generator, trunk_height: float, height: float, radius: float, *, generations: int
) -> tuple[Geometry, Floats]:
    """Trunk and forking branches as one shape, and the tips of the last fork but one."""
    starts, ends, first_radii, last_radii = [], [], [], []
    lean = rng.normal(0, 0.04, 2)
    top = np.array([lean[0] * trunk_height, trunk_height, lean[1] * trunk_height])
    starts.append(np.zeros(3))
    ends.append(top)
    first_radii.append(radius * 1.25)
    last_radii.append(radius * 0.85)
    level = [(top, np.array([0.0, 1.0, 0.0]), (height - trunk_height) * 0.42, radius * 0.7)]
    tips: list[Floats] = []
    for generation in range(generations):
        following = []
        for origin, direction, length, thick in level:
            for _ in range(int(rng.integers(3, 6)) if generation == 0 else 3):
                turned = direction + rng.normal(0, 0.55, 3)
                turned[1] = abs(turned[1]) * 0.9 + 0.15
                turned /= np.linalg.norm(turned)
                end = origin + turned * length * rng.uniform(0.75, 1.15)
                starts.append(origin)
                ends.append(end)
                first_radii.append(thick)
                last_radii.append(thick * 0.5)
                following.append((end, turned, length * 0.66, thick * 0.5))
        tips = [end for end, *_ in following] if generation == 1 or generations == 1 else tips
        level = following
    shape = tubes(np.array(starts), np.array(ends), np.array(first_radii), np.array(last_radii), sides=4)
    return shape, np.array(tips)


def _radii(size: float, rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = size * rng.uniform(0.8, 1.25, 3)
    return (float(x), float(y), float(z))


def _point(values: Floats) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def _mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)
