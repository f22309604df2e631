"""People on foot: a cast of figures, sculpted once each, met in ever new clothes' colours."""

from functools import cache
from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Assembly, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.sculpture import Model, add_model, collected, ring, rods
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid
from isthmus.datasets.worlds.traffic.clothing import Parts, bag, draw_outfit, dressed
from isthmus.datasets.worlds.traffic.figures import Build, Skeleton, shifted, sitting, standing, with_arm
from isthmus.datasets.worlds.traffic.vehicle_parts import is_near

_SKIN: Final[tuple[Rgb, ...]] = (
    (0.82, 0.64, 0.54), (0.76, 0.56, 0.46), (0.70, 0.50, 0.40), (0.58, 0.40, 0.30), (0.44, 0.29, 0.21),
    (0.28, 0.18, 0.14),
)  # fmt: skip
CLOTHES: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.08), (0.12, 0.13, 0.18), (0.20, 0.20, 0.22), (0.16, 0.20, 0.34), (0.45, 0.42, 0.38),
    (0.50, 0.10, 0.12), (0.72, 0.70, 0.68), (0.24, 0.30, 0.20), (0.55, 0.45, 0.30), (0.30, 0.16, 0.30),
    (0.70, 0.35, 0.10), (0.15, 0.40, 0.45), (0.04, 0.04, 0.05), (0.85, 0.84, 0.82), (0.60, 0.62, 0.66),
    (0.75, 0.55, 0.58), (0.26, 0.34, 0.50), (0.36, 0.26, 0.18),
)  # fmt: skip
"""Colours of coats and bags; many are dark, as in real streets."""
_TROUSERS: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.07), (0.13, 0.16, 0.26), (0.20, 0.24, 0.34), (0.30, 0.27, 0.22), (0.14, 0.13, 0.12),
    (0.34, 0.40, 0.50), (0.55, 0.50, 0.42), (0.10, 0.10, 0.11),
)  # fmt: skip
_HIGH_VISIBILITY: Final[tuple[Rgb, ...]] = ((0.80, 0.85, 0.08), (0.95, 0.42, 0.05))
RUBBER: Final = Paint(Material.PLAIN, (0.07, 0.07, 0.07), 0.1)
_CAST: Final = 96
_REDRAWS: Final = 7
_CHILDREN: Final = 10
"""The first figures of the cast."""
_UMBRELLAS: Final = 0.45
"""Share of the grown-ups who hold one when it rains."""
_POSES: Final = ("walk", "walk", "walk", "walk", "stand", "stand", "talk", "phone", "wait")


def add_person(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, instance: int, moving: bool | None = None,
    worker: bool = False, raining: bool = False,
) -> None:  # fmt: skip
    """Somebody on foot.

    Args:
        mesh: Where they go.
        place: Between their feet, on the ground.
        rng: Draws figure and clothes.
        instance: Number of the object.
        moving: Walking, standing, or either.
        worker: In clothes that are seen from afar.
        raining: Some hold an umbrella.
    """
    number = _draw_number(rng, moving)
    body = Assembly(mesh, place, Thing(TRAIN_ID["person"], instance))
    tall = float(rng.uniform(0.60, 0.80) if number < _CHILDREN else rng.uniform(0.88, 1.08))
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    wide = tall * float(rng.uniform(0.95, 1.12))
    paints = clothes_paints(rng, bright=worker or rng.random() < 0.03)
    add_model(body, figure(number, near=is_near(place), raining=raining), paints, scale=(mirror * wide, tall, tall))


def _draw_number(rng: np.random.Generator, moving: bool | None) -> int:
    """One of the cast that moves, or does not, as wanted if a few draws find one."""
    number = int(rng.integers(_CAST))
    for _ in range(_REDRAWS):
        if moving is None or moving == (_POSES[number % len(_POSES)] == "walk"):
            break
        number = int(rng.integers(_CAST))
    return number


@cache
def figure(number: int, *, near: bool, raining: bool = False) -> Model:
    """A figure of the cast; slots skin, hair, top, bottom, tights, shoes, hat, bag, umbrella."""
    rng = np.random.default_rng([2026, number])
    child = number < _CHILDREN
    build = Build(
        shoulders=float(rng.uniform(0.90, 1.10)),
        hips=float(rng.uniform(0.92, 1.10)),
        girth=float(rng.uniform(0.90, 1.28)),
        head=1.3 if child else 1.0,
    )
    if number % 32 == 31:
        skeleton = sitting(build, seat=0.48)
        return collected(*dressed(skeleton, build, draw_outfit(rng), near=near), *_wheelchair())
    pose = _POSES[number % len(_POSES)]
    skeleton = standing(rng, build, stride=float(rng.uniform(0.25, 0.58)) if pose == "walk" else 0.0)
    if raining and not child and rng.random() < _UMBRELLAS:
        skeleton, extra = _with_umbrella(skeleton, build, near=near)
    else:
        skeleton, extra = _occupied(skeleton, build, pose, rng, near=near, child=child)
    return collected(*dressed(skeleton, build, draw_outfit(rng), near=near), *extra)


def _occupied(
    skeleton: Skeleton, build: Build, pose: str, rng: np.random.Generator, *, near: bool, child: bool
) -> tuple[Skeleton, Parts]:
    """What the hands do, and what they hold."""
    chest = skeleton.neck
    if pose == "phone":
        return with_arm(skeleton, 1, shifted(chest, 0.10, -0.12, 0.27)), []
    if pose == "talk":
        raised = with_arm(skeleton, 1, shifted(chest, 0.22, -0.30, 0.26))
        return with_arm(raised, 0, shifted(chest, -0.12, -0.34, 0.20)), []
    if pose == "walk" and not child and rng.random() < 0.10:
        both = with_arm(with_arm(skeleton, 0, np.array([-0.2, 0.98, 0.42])), 1, np.array([0.2, 0.98, 0.42]))
        return both, _pram()
    luck = rng.random()
    kinds = ("backpack", "handbag", "shopping", "trolley")
    weights = (0.40, 0.28, 0.15, 0.06)
    for kind, weight in zip(kinds, np.cumsum(weights), strict=True):
        if luck < weight and not (child and kind != "backpack"):
            return skeleton, bag(kind, skeleton, build, near=near)
    return skeleton, []


def _with_umbrella(skeleton: Skeleton, build: Build, *, near: bool) -> tuple[Skeleton, Parts]:
    held = with_arm(skeleton, 1, shifted(skeleton.neck, 0.16, -0.20, 0.22))
    return held, bag("umbrella", held, build, near=near)


def _pram() -> Parts:
    handle = rods(
        ((-0.22, 1.0, 0.42), (0.22, 1.0, 0.42), 0.018, 0.018),
        ((-0.22, 1.0, 0.42), (-0.2, 0.22, 1.05), 0.018, 0.018),
        ((0.22, 1.0, 0.42), (0.2, 0.22, 1.05), 0.018, 0.018),
        ((-0.2, 0.62, 0.75), (-0.2, 0.2, 0.55), 0.018, 0.018),
        ((0.2, 0.62, 0.75), (0.2, 0.2, 0.55), 0.018, 0.018),
    )
    wheels = [ring((x, 0.15, z), 0.12, 0.03) for x in (-0.24, 0.24) for z in (0.55, 1.08)]
    hood = ellipsoid((0, 0.86, 0.74), (0.23, 0.25, 0.24), detail="medium")
    return [("bag", ellipsoid((0, 0.62, 0.86), (0.22, 0.18, 0.40), detail="medium")), ("bag", hood),
            ("shoes", handle), *(("shoes", wheel) for wheel in wheels)]  # fmt: skip


def _wheelchair() -> Parts:
    wheels = [ring((x, 0.30, -0.05), 0.28, 0.025, parts=16) for x in (-0.31, 0.31)]
    small = [ring((x, 0.09, 0.40), 0.065, 0.025) for x in (-0.22, 0.22)]
    rests = rods(
        ((-0.24, 0.42, -0.24), (-0.24, 0.98, -0.30), 0.02, 0.02),
        ((0.24, 0.42, -0.24), (0.24, 0.98, -0.30), 0.02, 0.02),
        ((-0.24, 0.45, 0.25), (-0.2, 0.09, 0.5), 0.02, 0.02),
        ((0.24, 0.45, 0.25), (0.2, 0.09, 0.5), 0.02, 0.02),
    )
    seat = [box((0.50, 0.06, 0.48), (0, 0.45, 0.02)), box((0.46, 0.42, 0.05), (0, 0.72, -0.24))]
    return [("shoes", shape) for shape in (*wheels, *small, rests, *seat)]


def clothes_paints(rng: np.random.Generator, *, bright: bool = False) -> dict[str, Paint]:
    """Colours of everything that somebody wears."""
    tone = float(rng.uniform(0.03, 0.40))
    grey = rng.random() < 0.15
    hair = (tone + 0.3, tone + 0.29, tone + 0.27) if grey else (tone, tone * 0.75, tone * 0.5)
    skin = Paint(Material.PLAIN, _SKIN[int(rng.integers(len(_SKIN)))], 0.15)
    trousers = cloth(_one_of(_TROUSERS, rng), rng, patterned=False)
    bottom = trousers if rng.random() < 0.8 else cloth(_one_of(CLOTHES, rng), rng)
    top = cloth(_one_of(CLOTHES, rng), rng)
    if bright:
        yellow = _HIGH_VISIBILITY[int(rng.integers(len(_HIGH_VISIBILITY)))]
        top = Paint(Material.CLOTH, yellow, 0.05, (float(rng.random()), 3.0, 1.0, 0.0))
    shoe = RUBBER if rng.random() < 0.7 else Paint(Material.PLAIN, _one_of(CLOTHES, rng), 0.2)
    return {
        "skin": skin,
        "hair": Paint(Material.CLOTH, hair, 0.15, (float(rng.random()), 0.0, 0.6, 0.0)),
        "top": top,
        "bottom": bottom,
        "tights": skin if rng.random() < 0.5 else Paint(Material.CLOTH, (0.05, 0.05, 0.06), 0.1),
        "shoes": shoe,
        "hat": cloth(_one_of(CLOTHES, rng), rng),
        "bag": cloth(_one_of(CLOTHES, rng), rng, patterned=False),
        "umbrella": cloth(_one_of(CLOTHES, rng) if rng.random() < 0.5 else (0.04, 0.04, 0.05), rng, patterned=False),
        "visor": Paint(Material.GLASS, (0.05, 0.05, 0.06), 0.9),
    }


def cloth(color: Rgb, rng: np.random.Generator, *, patterned: bool = True) -> Paint:
    """Cloth with folds; now and then striped or checked."""
    luck = rng.random()
    pattern = (1.0 if luck < 0.08 else 2.0 if luck < 0.13 else 0.0) if patterned else 0.0
    return Paint(Material.CLOTH, color, 0.05, (float(rng.random()), pattern, 1.0, 0.0))


def _one_of(colors: tuple[Rgb, ...], rng: np.random.Generator) -> Rgb:
    return colors[int(rng.integers(len(colors)))]
