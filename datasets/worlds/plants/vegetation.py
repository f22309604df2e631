"""Trees in leaf and bare, conifers, palms, hedges, bushes, grasses and climbers."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb, mixed, scaled
from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, MeshBuilder, Placement, Thing, merged
from isthmus.datasets.worlds.geometry.shapes import ellipsoid, grid, tube, tubes
from isthmus.datasets.worlds.plants.branches import grow_branches
from isthmus.datasets.worlds.plants.crowns import cards, leaves_on, lobes_in
from isthmus.datasets.worlds.plants.species import PALM, Species, draw_species

VEGETATION: Final = Thing(TRAIN_ID["vegetation"])
_NEAR_M: Final = 22.0
_MIDDLE_M: Final = 55.0
_CORES: Final = ("low", "low", "medium")
_CARDS: Final = (46, 110, 230)
"""Cards of a crown, far to near."""
_CARD: Final = 1.0
"""Value of params.z that marks cards for the shaders; 0 are closed surfaces."""
_BARK: Final[tuple[Rgb, ...]] = ((0.24, 0.19, 0.15), (0.32, 0.28, 0.23), (0.18, 0.15, 0.13), (0.42, 0.39, 0.34))
_IVY: Final[Rgb] = (0.13, 0.22, 0.08)


def add_tree(
    mesh: MeshBuilder,
    place: Placement,
    rng: np.random.Generator,
    leaf: Rgb,
    *,
    bare: bool,
    height: float,
    species: Species | None = None,
) -> None:
    """A tree: trunk, branches, and a crown of leaves, or of twigs that only the labels close.

    Args:
        mesh: Receives the triangles.
        place: The trunk's foot.
        rng: Random numbers.
        leaf: Colour of the leaves.
        bare: A tree in winter.
        height: Metres; small kinds stay smaller.
        species: The kind; drawn when None.
    """
    kind = draw_species(rng, leaf) if species is None else species
    if bare:
        _add_bare_tree(mesh, place, rng, height)
    elif kind is PALM:
        _add_palm(mesh, place, rng, leaf, height)
    else:
        tallest = kind.tallest * float(rng.uniform(0.8, 1.0))
        _add_leafy_tree(mesh, place, rng, leaf, height=min(height, tallest), kind=kind)


def _add_leafy_tree(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, height: float, kind: Species
) -> None:
    near = _detail(place)
    trunk = height * float(rng.uniform(*kind.trunk))
    crown = height - trunk
    bark = Paint(Material.BARK, scaled(kind.bark, rng.uniform(0.75, 1.2)), 0.02)
    radius = 0.015 * height * float(rng.uniform(0.8, 1.3))
    spread = height * float(rng.uniform(*kind.spread))
    reach = min(1.0, 1.3 * spread / crown)
    skeleton, _ = grow_branches(rng, trunk, height * 0.8, radius, generations=(1, 1, 2)[near], reach=reach)
    mesh.add(skeleton, bark, VEGETATION, place)
    center = np.array([*rng.normal(0, 0.04 * spread, 2), 0.0])[[0, 2, 1]] + [0.0, trunk + crown * 0.48, 0.0]
    radii = np.array([spread * float(rng.uniform(0.85, 1.15)), crown * 0.56, spread * float(rng.uniform(0.85, 1.15))])
    lobes = lobes_in(center, radii, int(rng.integers(kind.lobes[0], kind.lobes[1] + 1)), rng)
    count = int(_CARDS[near] * kind.density)
    half = float(0.9 * np.sqrt(2.6 * spread * (crown * 0.5) * 4.0 / count / kind.hanging))
    color = _leafy(leaf, rng)
    thin = float(rng.uniform(*kind.thinness))
    blossoms = kind.blossoms * float(rng.random() < 0.5)
    params = (float(rng.random()), thin, _CARD, blossoms)
    if kind.core:
        core = [
            ellipsoid(_point(lobe[:3]), _point(lobe[3:] * 0.64), detail=_CORES[near]) for lobe in lobes[: 1 + 2 * near]
        ]
        dark = Paint(Material.FOLIAGE, scaled(color, 0.62), 0.0, (params[0], 0.9, 0.0, 0.0))
        mesh.add(merged(*core), dark, VEGETATION, place)
    inner = count // 4
    crown_leaves = leaves_on(lobes, count + inner, half * 0.88, rng, inner=inner, tall=kind.hanging)
    mesh.add(crown_leaves, Paint(Material.FOLIAGE, color, 0.0, params), VEGETATION, place)
    if kind.name == "young":
        _add_stakes(mesh, place)


def _add_stakes(mesh: MeshBuilder, place: Placement) -> None:
    foot = np.array([[-0.35, 0.0, 0.0], [0.35, 0.0, 0.0], [-0.35, 1.4, 0.0]])
    head = np.array([[-0.35, 1.6, 0.0], [0.35, 1.6, 0.0], [0.35, 1.4, 0.0]])
    radii = np.full(3, 0.035)
    mesh.add(
        tubes(foot, head, radii, radii, sides=4), Paint(Material.BARK, (0.45, 0.36, 0.25), 0.02), VEGETATION, place
    )


def _add_bare_tree(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, height: float) -> None:
    """Branches, clumps of twigs about their tips, and one clump about all of them."""
    near = _detail(place)
    bark = Paint(Material.BARK, _BARK[int(rng.integers(len(_BARK)))], 0.02)
    trunk = height * float(rng.uniform(0.22, 0.38))
    radius = 0.016 * height * float(rng.uniform(0.8, 1.3))
    skeleton, tips = grow_branches(rng, trunk, height, radius, generations=(2, 3, 4)[near])
    mesh.add(skeleton, bark, VEGETATION, place)
    crown, shape = height - trunk, float(rng.uniform(0.7, 1.3))
    size = crown * 0.26
    blobs = [
        ellipsoid(_point(tip), _radii(size * float(rng.uniform(0.8, 1.25)), rng), detail="low") for tip in tips[:9]
    ]
    middle = (0.0, trunk + crown * 0.52, 0.0)
    blobs.append(ellipsoid(middle, (crown * 0.40 * shape, crown * 0.44, crown * 0.40 * shape), detail=_CORES[near]))
    color = mixed(bark.color, (0.36, 0.30, 0.24), 0.5)
    paint = Paint(Material.TWIGS, color, 0.0, (float(rng.random()), float(rng.uniform(0, 1)), 0.0, 0.0))
    mesh.add(_wrapped(merged(*blobs), middle), paint, VEGETATION, place)


def _add_palm(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, height: float) -> None:
    """A leaning trunk and a crown of arching fronds."""
    lean = rng.normal(0, 0.05, 2) * height
    bends = np.linspace(0, 1, 5)
    path = np.stack([lean[0] * bends**2, height * 0.9 * bends, lean[1] * bends**2], 1)
    thick = np.linspace(0.22, 0.14, 5)
    trunk = tubes(path[:-1], path[1:], thick[:-1], thick[1:], sides=6)
    mesh.add(trunk, Paint(Material.BARK, scaled(PALM.bark, rng.uniform(0.8, 1.2)), 0.02), VEGETATION, place)
    count = (9, 14, 20)[_detail(place)]
    turn = np.arange(count) * 2.399 + rng.uniform(0, 6)
    length = height * rng.uniform(0.22, 0.32, (count, 1))
    rise = rng.uniform(-0.3, 0.9, (count, 1))
    steps = np.array([0.0, 0.35, 0.7, 1.0])
    out = np.stack([np.cos(turn), np.zeros(count), np.sin(turn)], 1)
    side = (
        np.stack([-np.sin(turn), np.zeros(count), np.cos(turn)], 1)[:, None]
        * np.array([0.05, 0.32, 0.28, 0.05])[:, None]
    )
    spine = path[-1] + out[:, None] * (length * steps)[..., None]
    spine[..., 1] += length * (rise * steps - 0.95 * steps**2)
    strips = []
    for frond, wing in zip(spine, side, strict=True):
        rows = np.stack([frond - wing - [0, 0.12, 0], frond, frond + wing - [0, 0.12, 0]])
        strips.append(grid(rows.astype(np.float32)))
    paint = Paint(Material.FOLIAGE, _leafy(leaf, rng), 0.0, (float(rng.random()), 0.55, 0.0, 0.0))
    mesh.add(_wrapped(merged(*strips), (0.0, height * 0.7, 0.0)), paint, VEGETATION, place)


def add_conifer(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, height: float) -> None:
    """A spruce, a cypress or a pine."""
    near, luck = _detail(place), rng.random()
    trunk = tubes(
        np.zeros((1, 3)), np.array([[0, height * 0.93, 0]]), np.array([0.02 * height]), np.array([0.03]), sides=5
    )
    red = (0.38, 0.24, 0.17) if luck > 0.8 else _BARK[0]
    mesh.add(trunk, Paint(Material.BARK, red, 0.02), VEGETATION, place)
    needles = scaled((leaf[0] * 0.7, leaf[1] * 0.8, leaf[2] * 0.95), rng.uniform(0.75, 1.15))
    params = (float(rng.random()), float(rng.uniform(0.5, 0.75)), _CARD, 0.0)
    paint = Paint(Material.FOLIAGE, needles, 0.0, params)
    count = _CARDS[near]
    if luck > 0.8:  # pine: flat clumps on the upper third
        level = rng.uniform(0.58, 0.95, 6)
        away = height * 0.18 * (1.1 - level)[:, None] * rng.standard_normal((6, 2)) * 2.0
        size = height * rng.uniform(0.10, 0.17, 6)
        lobes = np.stack([away[:, 0], level * height, away[:, 1], size, size * 0.45, size], 1)
        mesh.add(leaves_on(lobes, count, height * 0.055, rng), paint, VEGETATION, place)
        return
    slim = luck < 0.3
    width = height * float(rng.uniform(0.08, 0.12) if slim else rng.uniform(0.16, 0.26))
    core = [
        ellipsoid(
            (0.0, height * (0.12 + 0.8 * s), 0.0), (width * (0.9 - 0.8 * s), height * 0.17, width * (0.9 - 0.8 * s))
        )
        for s in (0.12, 0.38, 0.66)
    ]
    dark = Paint(Material.FOLIAGE, scaled(needles, 0.55), 0.0, (params[0], 0.8, 0.0, 0.0))
    mesh.add(merged(*core), dark, VEGETATION, place)
    share = 1.0 - rng.random(count) ** 0.62
    tier = share if slim else (np.floor(share * 11.0) + rng.uniform(0, 0.5, count)) / 11.0  # branches in tiers
    turn = rng.uniform(0, 2 * np.pi, count)
    radius = (width * ((1.0 - tier) ** 0.85) + 0.1) * rng.uniform(0.7, 1.0, count)
    out = np.stack([np.cos(turn), np.zeros(count), np.sin(turn)], 1)
    centers = out * radius[:, None]
    centers[:, 1] = height * (0.08 + 0.88 * tier)
    steep = np.array([0.0, 0.2 if slim else 0.9, 0.0])
    facing = out * (1.0 if slim else 0.5) + steep + 0.35 * rng.standard_normal((count, 3))
    half = np.maximum((1.0 - tier) * width * 0.55, width * 0.16) * rng.uniform(0.8, 1.2, count)
    mesh.add(cards(centers, facing, out + np.array([0, 0.35, 0]), half, rng), paint, VEGETATION, place)


def add_hedge(
    mesh: MeshBuilder, points: Floats, rng: np.random.Generator, leaf: Rgb, *, height: float, width: float
) -> None:
    """A hedge along a line of ground points [N, 3] (world coordinates): clipped, grown out, or in flower."""
    along = np.gradient(points, axis=0)
    across = np.stack([along[:, 2], np.zeros(len(along)), -along[:, 0]], 1)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    wild = float(rng.uniform(0.0, 1.0)) ** 2
    profile = np.array([[-0.5, 0.0], [-0.52, 0.6], [-0.42, 0.93], [0.0, 1.02], [0.42, 0.93], [0.52, 0.6], [0.5, 0.0]])
    bumps = 1.0 + rng.uniform(-1, 1, (len(points), len(profile))) * (0.05 + 0.16 * wild)
    surface = points[:, None] + across[:, None] * (profile[None, :, :1] * width) * bumps[..., None]
    surface[..., 1] += profile[None, :, 1] * height * bumps
    color = scaled(leaf, rng.uniform(0.6, 1.05))
    blossoms = float(rng.uniform(0.2, 0.7)) if rng.random() < 0.2 else 0.0
    seed = float(rng.random())
    body = Paint(Material.FOLIAGE, scaled(color, 1.0 - 0.3 * wild), 0.0, (seed, 0.3, 0.0, blossoms))
    mesh.add(grid(surface.astype(np.float32)), body, VEGETATION)
    middle = points.mean(0)
    if float(np.hypot(middle[0], middle[2])) > _MIDDLE_M:
        return
    count = int(len(points) * (4 + 10 * wild))
    row = rng.integers(0, len(points), count)
    column = rng.integers(1, len(profile) - 1, count)
    centers = surface[row, column] + rng.normal(0, 0.12 + 0.1 * wild, (count, 3))
    outward = across[row] * profile[column, :1] + np.array([0.0, 0.5, 0.0]) * profile[column, 1:]
    half = rng.uniform(0.16, 0.28 + 0.2 * wild, count)
    twigs = cards(centers, outward + 0.4 * rng.standard_normal((count, 3)), outward, half, rng)
    mesh.add(twigs, Paint(Material.FOLIAGE, color, 0.0, (seed, 0.6, _CARD, blossoms)), VEGETATION)


def add_bush(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, leaf: Rgb, *, size: float) -> None:
    """A round shrub, one in flower, or a tuft of tall grass."""
    near, luck = _detail(place), rng.random()
    color = scaled(leaf, rng.uniform(0.6, 1.1))
    seed = float(rng.random())
    if luck < 0.15:
        count = (8, 16, 26)[near]
        centers = np.stack(
            [rng.normal(0, 0.35 * size, count), np.full(count, 0.3), rng.normal(0, 0.35 * size, count)], 1
        )
        facing = rng.standard_normal((count, 3)) * [1.0, 0.05, 1.0]
        straw = mixed(color, (0.55, 0.46, 0.26), float(rng.uniform(0.2, 0.9)))
        half = rng.uniform(0.1, 0.2, count)
        tuft = cards(centers, facing, facing + np.array([0, 1.5, 0]), half, rng, tall=2.6)
        mesh.add(tuft, Paint(Material.FOLIAGE, straw, 0.0, (seed, 0.75, _CARD, 0.0)), VEGETATION, place)
        return
    count = int(rng.integers(2, 6))
    middle = np.stack([rng.uniform(-0.4, 0.4, count), rng.uniform(0.25, 0.5, count), rng.uniform(-0.4, 0.4, count)], 1)
    lobes = np.concatenate([middle, rng.uniform(0.32, 0.52, (count, 3))], 1) * size
    core = merged(*(ellipsoid(_point(lobe[:3]), _point(lobe[3:] * 0.9)) for lobe in lobes))
    blossoms = float(rng.uniform(0.3, 0.9)) if luck > 0.75 else 0.0
    mesh.add(core, Paint(Material.FOLIAGE, scaled(color, 0.7), 0.0, (seed, 0.5, 0.0, blossoms)), VEGETATION, place)
    if near:
        sprigs = leaves_on(lobes, (0, 24, 50)[near], 0.2 * size, rng)
        paint = Paint(Material.FOLIAGE, color, 0.0, (seed, 0.6, _CARD, blossoms))
        mesh.add(sprigs, paint, VEGETATION, place)


def add_climber(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, left: float, right: float, height: float
) -> None:
    """Ivy or a creeper on a wall at z = 0 between two points along x: dense at the foot, ragged above."""
    count = int(30 * (right - left) * height / 4.0)
    x = rng.uniform(left, right, count)
    y = height * (1.0 - np.sqrt(rng.random(count))) + 0.2
    centers = np.stack([x, y, rng.uniform(-0.22, -0.04, count)], 1)
    facing = np.array([0.0, 0.15, -1.0]) + 0.3 * rng.standard_normal((count, 3))
    color = mixed(_IVY, (0.45, 0.12, 0.07), 0.8 if rng.random() < 0.25 else 0.0)
    paint = Paint(Material.FOLIAGE, color, 0.0, (float(rng.random()), 0.5, _CARD, 0.0))
    mesh.add(cards(centers, facing, facing, rng.uniform(0.2, 0.45, count), rng), paint, VEGETATION, place)
    stem = tube(((left + right) / 2, 0.0, -0.04), ((left + right) / 2, height * 0.5, -0.04), 0.04, sides=4)
    mesh.add(stem, Paint(Material.BARK, _BARK[0], 0.02), VEGETATION, place)


def _wrapped(shape: Geometry, middle: tuple[float, float, float]) -> Geometry:
    """Normals that lean away from the crown's middle, so that light wraps around the whole of it."""
    outward = shape.positions - np.asarray(middle, np.float32)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-6
    normals = outward + 0.6 * shape.normals
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6
    return shape._replace(normals=normals.astype(np.float32))


def _detail(place: Placement) -> int:
    """2 close to the origin, where the camera is, to 0 far away or behind."""
    distance = float(np.hypot(place.position[0], place.position[2]))
    if place.position[2] < -8.0:
        return 0
    return 2 if distance < _NEAR_M else 1 if distance < _MIDDLE_M else 0


def _leafy(leaf: Rgb, rng: np.random.Generator) -> Rgb:
    tone = float(rng.uniform(0.75, 1.2))
    return (leaf[0] * tone * float(rng.uniform(0.9, 1.15)), leaf[1] * tone, leaf[2] * tone)


def _radii(size: float, rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = size * rng.uniform(0.8, 1.25, 3)
    return (float(x), float(y), float(z))


def _point(values: Floats) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))
