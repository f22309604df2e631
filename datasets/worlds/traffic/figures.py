"""Human figures: a skeleton in some pose, and flesh and clothes swept around its bones.

Own coordinates: feet at y = 0, looking along +z, x to the right; metres for somebody of 1.75 m.
"""

from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, Point
from isthmus.datasets.worlds.geometry.shapes import cross, ellipsoid, grid

THIGH_M: Final = 0.43
SHIN_M: Final = 0.42
UPPER_ARM_M: Final = 0.29
FOREARM_M: Final = 0.26
SIDES: Final = (-1, 1)


class Limb(NamedTuple):
    """An arm (shoulder, elbow, wrist) or a leg (hip, knee, ankle); each [3]."""

    root: Floats
    joint: Floats
    end: Floats


class Skeleton(NamedTuple):
    """Where the joints are."""

    pelvis: Floats
    neck: Floats
    head: Floats
    arms: tuple[Limb, Limb]
    """Left and right."""
    legs: tuple[Limb, Limb]


class Build(NamedTuple):
    """How somebody is shaped, in shares of the usual."""

    shoulders: float
    hips: float
    girth: float
    head: float


def sweep(points: Floats, radii: Floats, *, sides: int) -> Geometry:
    """A smooth tube along a line, open at its ends.

    Args:
        points: [N, 3].
        radii: [N, 2]: sideways, and at right angles to that.
        sides: Points a ring.
    """
    points, radii = np.asarray(points, np.float64), np.asarray(radii, np.float64)
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    sideways = np.array([0.0, 0.0, 1.0]) if np.abs(tangent[:, 0]).mean() > 0.75 else np.array([1.0, 0.0, 0.0])
    first = sideways - tangent * (tangent @ sideways)[:, None]
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = cross(tangent, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[None, :, None] * (first * radii[:, :1])[:, None]
    ring = ring + np.sin(angle)[None, :, None] * (second * radii[:, 1:])[:, None]
    return grid((points[:, None] + ring).astype(np.float32), wrap=True)


def as_point(at: Floats) -> Point:
    """The same coordinates as plain numbers."""
    return (float(at[0]), float(at[1]), float(at[2]))


def shifted(at: Floats, x: float, y: float, z: float) -> Floats:
    """A point so many metres away."""
    return np.asarray(at + np.array([x, y, z]))


def between(a: Floats, b: Floats, *shares: float) -> list[Floats]:
    """Points on the line from `a` to `b`."""
    return [a + (b - a) * share for share in shares]


def reach(root: Floats, target: Floats, upper: float, lower: float, towards: Floats) -> Limb:
    """A limb of two bones from its root to a target, its joint bent `towards` a direction; it stretches at most."""
    line = target - root
    far = float(np.clip(np.linalg.norm(line), 0.05, (upper + lower) * 0.999))
    line = line / (np.linalg.norm(line) + 1e-9)
    along = (upper**2 - lower**2 + far**2) / (2 * far)
    out = towards - line * float(line @ towards)
    out /= np.linalg.norm(out) + 1e-9
    joint = root + line * along + out * np.sqrt(max(upper**2 - along**2, 0.0))
    return Limb(root, joint, root + line * far)


def swung(root: Floats, angles: tuple[float, float], bones: tuple[float, float], *, spread: float) -> Limb:
    """A hanging limb whose bones are turned forward by two angles (radians) and outward by `spread` metres."""
    (first, second), (upper, lower) = angles, bones
    joint = root + np.array([spread, -np.cos(first) * upper, np.sin(first) * upper])
    return Limb(root, joint, joint + np.array([spread * 0.4, -np.cos(second) * lower, np.sin(second) * lower]))


def standing(rng: np.random.Generator, build: Build, *, stride: float) -> Skeleton:
    """Somebody on foot; a stride of 0 stands, 0.55 rad walks fast."""
    swing = stride * float(rng.choice([-1, 1]))
    legs = []
    for side, turn in zip(SIDES, (swing, -swing), strict=True):
        root = np.array([side * 0.085 * build.hips, 0.90, 0.0])
        flex = 0.10 + (0.55 * stride if turn < 0 else 0.15 * stride)
        thigh = turn * (1.0 if turn > 0 else 0.75) + (0.0 if stride > 0.1 else float(rng.uniform(-0.04, 0.10)))
        legs.append(swung(root, (thigh, thigh - flex), (THIGH_M, SHIN_M), spread=side * 0.012))
    drop = min(limb.end[1] for limb in legs) - 0.075
    lean = 0.02 + 0.06 * stride
    pelvis = np.array([0.0, 0.92, 0.0])
    neck = np.array([0.0, 1.47, lean * 2])
    arms = []
    for side, turn in zip(SIDES, (-swing, swing), strict=True):
        root = np.array([side * 0.185 * build.shoulders, 1.405, lean * 1.8])
        first = turn * 0.75 + float(rng.uniform(-0.06, 0.06))
        second = first + float(rng.uniform(0.1, 0.4))
        arms.append(swung(root, (first, second), (UPPER_ARM_M, FOREARM_M), spread=side * 0.045))
    skeleton = Skeleton(pelvis, neck, shifted(neck, 0.0, 0.165, 0.02), (arms[0], arms[1]), (legs[0], legs[1]))
    return moved(skeleton, np.array([0.0, -drop, 0.0]))


def sitting(build: Build, *, seat: float) -> Skeleton:
    """Somebody on a seat of some height, hands in the lap."""
    pelvis, neck = np.array([0.0, seat + 0.10, 0.0]), np.array([0.0, seat + 0.66, -0.06])
    forward, up = np.array([0.0, 0.3, 1.0]), np.array([0.0, -1.0, -0.6])
    legs = [
        reach(np.array([s * 0.09, seat + 0.09, 0.02]), np.array([s * 0.11, 0.08, 0.46]), THIGH_M, SHIN_M, forward)
        for s in SIDES
    ]
    arms = [
        reach(np.array([s * 0.185 * build.shoulders, seat + 0.60, -0.05]), np.array([s * 0.08, seat + 0.22, 0.26]),
              UPPER_ARM_M, FOREARM_M, shifted(up, s * 0.5, 0, 0)) for s in SIDES
    ]  # fmt: skip
    return Skeleton(pelvis, neck, shifted(neck, 0.0, 0.165, 0.03), (arms[0], arms[1]), (legs[0], legs[1]))


def moved(skeleton: Skeleton, by: Floats) -> Skeleton:
    """The same pose elsewhere."""
    arms = tuple(Limb(*(joint + by for joint in limb)) for limb in skeleton.arms)
    legs = tuple(Limb(*(joint + by for joint in limb)) for limb in skeleton.legs)
    return Skeleton(
        skeleton.pelvis + by, skeleton.neck + by, skeleton.head + by, (arms[0], arms[1]), (legs[0], legs[1])
    )


def with_arm(skeleton: Skeleton, side: int, hand: Floats) -> Skeleton:
    """The same pose with one hand somewhere else."""
    arms = list(skeleton.arms)
    root = arms[side].root
    arms[side] = reach(root, hand, UPPER_ARM_M, FOREARM_M, np.array([SIDES[side] * 0.5, -1.0, -0.4]))
    return skeleton._replace(arms=(arms[0], arms[1]))


def torso(skeleton: Skeleton, build: Build, *, bulk: float, sides: int) -> Geometry:
    """From the seat to the neck; `bulk` is the thickness of the clothes in shares."""
    low, high = skeleton.pelvis, skeleton.neck
    along = (high - low) / np.linalg.norm(high - low)
    stops = [low - along * 0.10, *between(low, high, 0.0, 0.22, 0.45, 0.68, 0.86, 0.95, 1.0)]
    bow = np.array([0, 0, 0.0, -0.01, -0.02, -0.015, 0, 0.0])
    points = np.array(stops)
    points[:, 2] += bow
    wide = np.array([0.120, 0.158, 0.142, 0.155, 0.182, 0.178, 0.110, 0.062])
    deep = np.array([0.085, 0.118, 0.104, 0.112, 0.125, 0.105, 0.075, 0.058])
    share = np.array([build.hips, build.hips, build.girth, build.girth, *[build.shoulders] * 3, 1.0])
    radii = (
        np.stack([wide * share, deep * build.girth], 1) * np.array([1, bulk, bulk, bulk, bulk, bulk, bulk, 1])[:, None]
    )
    return sweep(points, radii, sides=sides)


def tube_along(limb: Limb, radii: tuple[float, ...], shares: tuple[float, ...], *, sides: int) -> Geometry:
    """A limb's flesh or sleeve; shares 0..1 lie on the upper bone, 1..2 on the lower one."""
    points = [
        limb.root + (limb.joint - limb.root) * s if s <= 1 else limb.joint + (limb.end - limb.joint) * (s - 1)
        for s in shares
    ]
    return sweep(np.array(points), np.repeat(np.array(radii)[:, None], 2, axis=1), sides=sides)


def cone(top: Floats, hem: Floats, radii: tuple[tuple[float, float], ...], *, sides: int) -> Geometry:
    """The hanging part of a coat, skirt or dress: rings from the top to the hem."""
    shares = np.linspace(0, 1, len(radii))
    return sweep(np.array(between(top, hem, *shares)), np.array(radii), sides=sides)


def ball(center: Floats, radii: tuple[float, float, float], *, near: bool) -> Geometry:
    """An ellipsoid about a joint."""
    x, y, z = (float(c) for c in center)
    return ellipsoid((x, y, z), radii, detail="medium" if near else "low")
