"""Dressed figures by slots: who wears what is drawn once a figure, its colours each time that it is met."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry, Point
from isthmus.datasets.worlds.geometry.sculpture import rods
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.traffic.figures import (
    Build,
    Skeleton,
    as_point,
    ball,
    between,
    cone,
    shifted,
    sweep,
    torso,
    tube_along,
)

Parts = list[tuple[str, Geometry]]
_HATS: Final[Mapping[str, tuple[Point, Point]]] = {
    "beanie": ((0.0, 0.060, -0.012), (0.094, 0.080, 0.102)),
    "cap": ((0.0, 0.062, -0.005), (0.092, 0.062, 0.100)),
    "hood": ((0.0, 0.012, -0.038), (0.110, 0.135, 0.105)),
    "helmet": ((0.0, 0.055, -0.01), (0.110, 0.092, 0.135)),
    "full helmet": ((0.0, 0.015, 0.0), (0.125, 0.145, 0.145)),
    "scarf": ((0.0, -0.135, -0.01), (0.088, 0.055, 0.085)),
}
"""Where each hat sits against the head's middle, and its radii."""


class Outfit(NamedTuple):
    """What somebody wears."""

    legs: str
    """trousers, shorts, skirt, dress."""
    top: str
    """shirt, jacket, coat."""
    hair: str
    """short, long, bun, bald."""
    hat: str
    """none, or one of `_HATS`."""

    @property
    def bulk(self) -> float:
        """Thickness of what covers the body, in shares of it."""
        return {"shirt": 1.0, "jacket": 1.14, "coat": 1.18}[self.top]


def draw_outfit(rng: np.random.Generator, *, helmet: float = 0.0) -> Outfit:
    """Draw clothes; `helmet` is how often a helmet is worn."""
    legs = str(rng.choice(["trousers", "shorts", "skirt", "dress"], p=(0.72, 0.08, 0.11, 0.09)))
    top = str(rng.choice(["shirt", "jacket", "coat"], p=(0.36, 0.40, 0.24) if legs != "shorts" else (1.0, 0.0, 0.0)))
    hair = str(rng.choice(["short", "long", "bun", "bald"], p=(0.5, 0.32, 0.08, 0.10)))
    hat = "helmet" if rng.random() < helmet else str(
        rng.choice(["none", "beanie", "cap", "hood", "scarf"], p=(0.64, 0.09, 0.07, 0.10, 0.10))
    )  # fmt: skip
    return Outfit(legs, top, hair, hat)


def dressed(skeleton: Skeleton, build: Build, outfit: Outfit, *, near: bool) -> Parts:
    """Slots: skin, hair, top, bottom, shoes, hat."""
    sides = 10 if near else 6
    bulk = outfit.bulk
    trunk = "bottom" if outfit.legs == "dress" and outfit.top == "shirt" else "top"
    parts: Parts = [(trunk, torso(skeleton, build, bulk=bulk, sides=sides + 2))]
    parts += _legs(skeleton, build, outfit, near=near)
    parts += _arms(skeleton, build, outfit, near=near, slot=trunk)
    parts += _head(skeleton, build, outfit, near=near)
    return parts


def _legs(skeleton: Skeleton, build: Build, outfit: Outfit, *, near: bool) -> Parts:
    sides, parts = 8 if near else 5, Parts()
    girth = build.girth
    bare = {"shorts": "skin", "skirt": "tights", "dress": "tights"}.get(outfit.legs, "bottom")
    for limb in skeleton.legs:
        radii = (0.090 * girth, 0.092 * girth, 0.062, 0.060, 0.058, 0.045)
        wide = 1.08 if bare == "bottom" else 0.95
        shares = (-0.08, 0.25, 0.95, 1.08, 1.35, 1.97)
        if outfit.legs == "shorts":
            parts.append(("bottom", tube_along(limb, (0.10, 0.105, 0.095), (-0.05, 0.3, 0.85), sides=sides)))
        loose = tuple(r * wide * (1.15 if bare == "bottom" and k == 5 else 1.0) for k, r in enumerate(radii))
        parts.append((bare, tube_along(limb, loose, shares, sides=sides)))
        x, y, z = limb.end
        tip = min(max(limb.end[2] - limb.joint[2], -0.2), 0.2)
        sole = max(y - 0.045, 0.035)
        parts.append(("shoes", ball(np.array([x, sole, z + 0.065]), (0.05, 0.047, 0.13 - abs(tip) * 0.1), near=False)))
    seat, hem = skeleton.pelvis, _hem(skeleton)
    reach_z = float(np.abs(np.array([limb.joint[2] - limb.root[2] for limb in skeleton.legs])).max())
    rings: tuple[tuple[float, float], ...]
    if outfit.legs in ("skirt", "dress"):
        rings = ((0.14, 0.105), (0.17 * build.hips, 0.13), (0.19, 0.15 + reach_z * 0.5), (0.21, 0.17 + reach_z * 0.8))
        parts.append(("bottom", cone(shifted(seat, 0, 0.14, 0), shifted(hem, 0, 0.03, 0), rings, sides=sides + 3)))
    if outfit.top == "coat":
        rings = (
            (0.155, 0.125),
            (0.185 * build.hips, 0.14),
            (0.20, 0.15 + reach_z * 0.55),
            (0.215, 0.16 + reach_z * 0.9),
        )
        parts.append(("top", cone(shifted(seat, 0, 0.16, 0), hem - (0, 0.06, 0), rings, sides=sides + 3)))
    elif outfit.top == "jacket":
        rings = ((0.150, 0.120), (0.178 * build.hips, 0.136), (0.180 * build.hips, 0.140))
        parts.append(("top", cone(shifted(seat, 0, 0.16, 0), seat - (0, 0.11, 0), rings, sides=sides + 3)))
    return parts


def _hem(skeleton: Skeleton) -> Floats:
    """Between the knees."""
    left, right = skeleton.legs
    return np.asarray((left.joint + right.joint) / 2)


def _arms(skeleton: Skeleton, build: Build, outfit: Outfit, *, near: bool, slot: str) -> Parts:
    sides, bulk, parts = 7 if near else 5, outfit.bulk, Parts()
    short = outfit.top == "shirt" and outfit.legs in ("shorts", "dress")
    for limb in skeleton.arms:
        radii = (0.058, 0.060, 0.050, 0.044, 0.042, 0.034)
        shares = (-0.10, 0.12, 0.9, 1.1, 1.4, 1.98)
        sleeve = tuple(r * bulk * (0.5 + 0.5 * build.girth) for r in radii)
        if short:
            parts.append(("skin", tube_along(limb, tuple(r * 0.85 for r in radii), shares, sides=sides)))
            parts.append((slot, tube_along(limb, (0.062, 0.066, 0.062), (-0.1, 0.2, 0.6), sides=sides)))
        else:
            parts.append((slot, tube_along(limb, sleeve, shares, sides=sides)))
        parts.append((slot, ball(limb.root, (0.062 * bulk, 0.055, 0.06 * bulk), near=False)))
        along = (limb.end - limb.joint) / (np.linalg.norm(limb.end - limb.joint) + 1e-9)
        parts.append(("skin", ball(limb.end + along * 0.06, (0.036, 0.062, 0.042), near=False)))
    return parts


def _head(skeleton: Skeleton, build: Build, outfit: Outfit, *, near: bool) -> Parts:
    head, k = skeleton.head, build.head
    neck = rods((as_point(skeleton.neck - (0, 0.03, 0)), as_point(head), 0.052, 0.050), sides=8 if near else 6)
    parts: Parts = [("skin", neck), ("skin", ball(head, (0.078 * k, 0.112 * k, 0.095 * k), near=near))]
    if near:
        parts.append(("skin", ball(shifted(head, 0, -0.015, 0.095 * k), (0.016, 0.022, 0.018), near=False)))
    if outfit.hair != "bald":
        crown = head + np.array([0, 0.030, -0.024]) * k
        parts.append(("hair", ball(crown, (0.088 * k, 0.098 * k, 0.092 * k), near=near)))
    if outfit.hair == "long":
        fall = head + np.array([0, -0.08, -0.045]) * k
        parts.append(("hair", ball(fall, (0.092 * k, 0.15 * k, 0.065 * k), near=near)))
    if outfit.hair == "bun":
        parts.append(("hair", ball(head + np.array([0, 0.06, -0.115]) * k, (0.045, 0.045, 0.045), near=False)))
    return parts + _hat(head, k, outfit.hat, near=near)


def _hat(head: Floats, k: float, kind: str, *, near: bool) -> Parts:
    """What covers the head; `k` is the head's size in shares of the usual."""
    if kind == "none":
        return []
    at, radii = _HATS[kind]
    slot = "top" if kind == "hood" else "hat"
    k = 1.0 if kind == "scarf" else k  # necks differ less than heads
    parts: Parts = [(slot, ball(head + np.array(at) * k, (radii[0] * k, radii[1] * k, radii[2] * k), near=near))]
    if kind == "cap":
        parts.append((slot, ball(head + np.array([0, 0.05, 0.11]) * k, (0.07, 0.012, 0.07), near=False)))
    if kind == "full helmet":
        visor = ball(shifted(head, 0, 0.02, 0.055), (0.108 * k, 0.055 * k, 0.10 * k), near=False)
        parts.append(("visor", visor))
    return parts


def bag(kind: str, skeleton: Skeleton, build: Build, *, near: bool) -> Parts:
    """What somebody carries: backpack, handbag, shopping bags, trolley, umbrella."""
    left, right = skeleton.arms
    if kind == "backpack":
        back = between(skeleton.pelvis, skeleton.neck, 0.62)[0] + (0, 0, -0.19 * build.girth)
        return [("bag", ball(back, (0.15, 0.22, 0.10), near=near))]
    if kind == "handbag":
        x, y, z = shifted(left.root, -0.06, -0.48, -0.02)
        shoulder = as_point(shifted(left.root, -0.02, 0.06, 0.0))
        strap = rods((shoulder, (float(x), float(y) + 0.1, float(z)), 0.013, 0.013), sides=4)
        return [("bag", box((0.11, 0.24, 0.30), (float(x), float(y), float(z)))), ("bag", strap)]
    if kind == "shopping":
        hands = [limb.end for limb in (left, right)]
        return [("bag", box((0.12, 0.34, 0.28), as_point(shifted(hand, 0, -0.27, 0.0)))) for hand in hands]
    if kind == "trolley":
        case = (float(right.end[0]) + 0.05, 0.32, -0.42)
        handle = rods((as_point(right.end), (case[0], 0.6, -0.40), 0.014, 0.014), sides=4)
        return [("bag", box((0.36, 0.56, 0.22), case)), ("bag", handle)]
    if kind == "umbrella":
        x, y, z = (float(c) for c in right.end)
        shaft = rods(((x, y - 0.15, z), (x, y + 0.72, z - 0.05), 0.012, 0.012), sides=4)
        shares = np.linspace(0.05, np.pi / 2 * 0.92, 5)
        rings = [(0.52 * np.sin(a), 0.52 * np.sin(a)) for a in shares]
        path = np.array([[x, y + 0.42 + 0.30 * np.cos(a), z - 0.05] for a in shares])
        return [("umbrella", sweep(path, np.array(rings), sides=8)), ("bag", shaft)]
    return []
