"""People on foot, from rounded limbs in varied poses and clothes; and the parts that riders share with them.

A person's own coordinates: feet at y = 0, looking along +z.
"""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import Assembly, Geometry, MeshBuilder, Placement, Point, Thing, merged
from isthmus.datasets.worlds.shapes import box, ellipsoid, tube

_SKIN: Final[tuple[Rgb, ...]] = ((0.80, 0.62, 0.52), (0.70, 0.50, 0.40), (0.48, 0.32, 0.24), (0.30, 0.20, 0.15))
CLOTHES: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.08), (0.12, 0.13, 0.18), (0.20, 0.20, 0.22), (0.16, 0.20, 0.34), (0.45, 0.42, 0.38),
    (0.50, 0.10, 0.12), (0.72, 0.70, 0.68), (0.24, 0.30, 0.20), (0.55, 0.45, 0.30), (0.30, 0.16, 0.30),
    (0.70, 0.35, 0.10), (0.15, 0.40, 0.45),
)  # fmt: skip
"""Colours of coats and bags; many are dark, as in real streets."""
_TROUSERS: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.07), (0.13, 0.16, 0.26), (0.20, 0.24, 0.34), (0.30, 0.27, 0.22), (0.14, 0.13, 0.12),
)  # fmt: skip
RUBBER: Final = Paint(Material.PLAIN, (0.07, 0.07, 0.07), 0.1)


def add_person(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int) -> None:
    """Somebody walking or standing; one in ten is a child."""
    body = Assembly(mesh, place, Thing(TRAIN_ID["person"], instance))
    tall = float(rng.uniform(1.1, 1.4) if rng.random() < 0.1 else rng.uniform(1.55, 1.88))
    k, wide = tall / 1.75, float(rng.uniform(0.9, 1.25))
    stride = float(rng.uniform(0.05, 0.42)) if rng.random() < 0.7 else 0.04
    hip, shoulder = 0.92 * k, 1.44 * k
    skin = skin_paint(rng)
    _add_legs(body, k, wide, stride, trousers_paint(rng))
    top = [_torso(hip, shoulder, k, wide)]
    if rng.random() < 0.35:  # a long coat
        top.append(tube((0, hip + 0.15 * k, 0), (0, 0.58 * k, 0), 0.17 * k * wide, 0.22 * k * wide, sides=10))
    hands = []
    for side, swing in ((-1, -stride), (1, stride)):
        x = side * 0.21 * k * wide
        elbow, hand = (x * 1.12, 1.14 * k, swing * 0.35), (x * 1.08, 0.90 * k, swing * 0.7 + 0.08)
        top.append(limb((x * 0.9, shoulder - 0.05, 0), elbow, 0.062 * k * wide, 0.048 * k))
        top.append(limb(elbow, hand, 0.046 * k, 0.036 * k))
        hands.append(ellipsoid(hand, (0.045 * k, 0.06 * k, 0.045 * k)))
    body.add(clothes_paint(rng), *top)
    body.add(skin, *hands)
    add_head(body, (0.0, shoulder + 0.17 * k, 0.02), k, skin, rng)
    luck = rng.random()
    if luck < 0.25:  # a backpack
        body.add(clothes_paint(rng), ellipsoid((0, 1.22 * k, -0.19 * k), (0.15 * k, 0.21 * k, 0.11 * k)))
    elif luck < 0.45:  # a shopping bag
        body.add(clothes_paint(rng), box((0.10, 0.28, 0.32), (0.30 * k, 0.72 * k, 0.05)))


def _add_legs(body: Assembly, k: float, wide: float, stride: float, paint: Paint) -> None:
    limbs, shoes = [], []
    for side, swing in ((-1, stride), (1, -stride)):
        x = side * 0.09 * k * wide
        knee = (x, 0.50 * k, swing * 0.75 * k + 0.03)
        ankle = (x, 0.09 * k, (swing - (0.16 if swing < 0 else 0.0)) * k)
        limbs.append(limb((x, 0.92 * k, 0), knee, 0.088 * k * wide, 0.062 * k))
        limbs.append(limb(knee, ankle, 0.06 * k, 0.044 * k))
        shoes.append(ellipsoid((x, 0.05 * k, ankle[2] + 0.06), (0.05 * k, 0.05 * k, 0.13 * k)))
    body.add(paint, *limbs)
    body.add(RUBBER, *shoes)


def add_head(body: Assembly, at: Point, k: float, skin: Paint, rng: np.random.Generator) -> None:
    """Head, neck and hair; `k` scales a grown-up of 1.75 m."""
    x, y, z = at
    neck = tube((x, y - 0.20 * k, z - 0.02), (x, y, z), 0.055 * k)
    body.add(skin, neck, ellipsoid(at, (0.085 * k, 0.115 * k, 0.10 * k), detail="medium"))
    tone = float(rng.uniform(0.04, 0.35))
    longer = 0.06 if rng.random() < 0.35 else 0.0
    hair = ellipsoid((x, y + 0.035 * k - longer, z - 0.028 * k), (0.096 * k, (0.10 + longer) * k, 0.098 * k))
    body.add(Paint(Material.CLOTH, (tone, tone * 0.75, tone * 0.5), 0.1), hair)


def limb(start: Point, end: Point, radius: float, end_radius: float) -> Geometry:
    """A tapered tube with round ends."""
    return merged(
        tube(start, end, radius, end_radius, sides=7),
        ellipsoid(start, (radius, radius, radius)),
        ellipsoid(end, (end_radius, end_radius, end_radius)),
    )


def _torso(hip: float, shoulder: float, k: float, wide: float) -> Geometry:
    waist, chest = (hip + shoulder) / 2 - 0.08, shoulder - 0.16 * k
    return merged(
        ellipsoid((0, hip + 0.02, 0), (0.165 * k * wide, 0.14 * k, 0.125 * k * wide), detail="medium"),
        ellipsoid((0, waist, 0), (0.155 * k * wide, 0.24 * k, 0.115 * k * wide), detail="medium"),
        ellipsoid((0, chest, 0), (0.205 * k * wide, 0.23 * k, 0.125 * k * wide), detail="medium"),
    )


def clothes_paint(rng: np.random.Generator) -> Paint:
    """Cloth in one of the usual colours; one in eight is striped."""
    striped = 1.0 if rng.random() < 0.12 else 0.0
    color = CLOTHES[int(rng.integers(len(CLOTHES)))]
    return Paint(Material.CLOTH, color, 0.05, (float(rng.random()), striped, 0.0, 0.0))


def trousers_paint(rng: np.random.Generator) -> Paint:
    """Denim and other dark cloth."""
    color = _TROUSERS[int(rng.integers(len(_TROUSERS)))]
    return Paint(Material.CLOTH, color, 0.05, (float(rng.random()), 0.0, 0.0, 0.0))


def skin_paint(rng: np.random.Generator) -> Paint:
    """One of several skin colours."""
    return Paint(Material.PLAIN, _SKIN[int(rng.integers(len(_SKIN)))], 0.2)
