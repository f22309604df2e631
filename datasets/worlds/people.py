"""People on foot, and people on two wheels, from rounded limbs in varied poses and clothes.

A person's own coordinates: feet at y = 0, looking along +z.
"""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.mesh import (
    Geometry,
    MeshBuilder,
    Placement,
    Point,
    Thing,
    box,
    ellipsoid,
    merged,
    polygon,
    tube,
    tubes,
)

_SKIN: Final[tuple[Rgb, ...]] = ((0.80, 0.62, 0.52), (0.70, 0.50, 0.40), (0.48, 0.32, 0.24), (0.30, 0.20, 0.15))
_CLOTHES: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.08), (0.12, 0.13, 0.18), (0.20, 0.20, 0.22), (0.16, 0.20, 0.34), (0.45, 0.42, 0.38),
    (0.50, 0.10, 0.12), (0.72, 0.70, 0.68), (0.24, 0.30, 0.20), (0.55, 0.45, 0.30), (0.30, 0.16, 0.30),
    (0.70, 0.35, 0.10), (0.15, 0.40, 0.45),
)  # fmt: skip
_TROUSERS: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.07), (0.13, 0.16, 0.26), (0.20, 0.24, 0.34), (0.30, 0.27, 0.22), (0.14, 0.13, 0.12),
)  # fmt: skip
_RUBBER: Final = Paint(Material.PLAIN, (0.07, 0.07, 0.07), 0.1)


def add_person(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, instance: int) -> None:
    """Somebody walking or standing."""
    thing = Thing(TRAIN_ID["person"], instance)
    tall = float(rng.choice([rng.uniform(1.55, 1.88), rng.uniform(1.1, 1.4)], p=[0.9, 0.1]))
    k = tall / 1.75
    stride = rng.uniform(0.05, 0.42) if rng.random() < 0.7 else 0.04
    wide = rng.uniform(0.9, 1.25)
    coat = bool(rng.random() < 0.35)
    top, legs, skin = _clothes(rng), _trousers(rng), _skin(rng)
    hip, shoulder = 0.92 * k, 1.44 * k
    limbs, shoes = [], []
    for side, swing in ((-1, stride), (1, -stride)):
        x = side * 0.09 * k * wide
        knee = (x, 0.50 * k, swing * 0.75 * k + 0.03)
        ankle = (x, 0.09 * k, (swing * 1.0 - (0.16 if swing < 0 else 0.0)) * k)
        limbs += [_limb((x, hip, 0), knee, 0.088 * k * wide, 0.062 * k), _limb(knee, ankle, 0.06 * k, 0.044 * k)]
        shoes.append(ellipsoid((x, 0.05 * k, ankle[2] + 0.06), (0.05 * k, 0.05 * k, 0.13 * k)))
    mesh.add(merged(*limbs), legs, thing, place)
    mesh.add(merged(*shoes), _RUBBER, thing, place)
    torso = [_torso(hip, shoulder, k, wide)]
    if coat:
        torso.append(tube((0, hip + 0.15 * k, 0), (0, 0.58 * k, 0), 0.17 * k * wide, 0.22 * k * wide, sides=10))
    hands = []
    for side, swing in ((-1, -stride), (1, stride)):
        x = side * 0.21 * k * wide
        elbow = (x * 1.12, 1.14 * k, swing * 0.35)
        hand = (x * 1.08, 0.90 * k, swing * 0.7 + 0.08)
        torso += [
            _limb((x * 0.9, shoulder - 0.05, 0), elbow, 0.062 * k * wide, 0.048 * k),
            _limb(elbow, hand, 0.046 * k, 0.036 * k),
        ]
        hands.append(ellipsoid(hand, (0.045 * k, 0.06 * k, 0.045 * k)))
    mesh.add(merged(*torso), top, thing, place)
    mesh.add(merged(*hands), skin, thing, place)
    _head(mesh, place, thing, (0.0, shoulder + 0.17 * k, 0.02), k, skin, rng)
    luck = rng.random()
    if luck < 0.25:
        mesh.add(ellipsoid((0, 1.22 * k, -0.19 * k), (0.15 * k, 0.21 * k, 0.11 * k)), _clothes(rng), thing, place)
    elif luck < 0.45:
        mesh.add(box((0.10, 0.28, 0.32), (0.30 * k, 0.72 * k, 0.05)), _clothes(rng), thing, place)


def add_cyclist(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int) -> None:
    """A rider on a bicycle: two instances."""
    add_bicycle(mesh, place, rng, machine)
    _seated(mesh, place, rng, Thing(TRAIN_ID["rider"], rider), seat=0.98, reach=0.52, bar=1.02, pedal=0.32, helmet=0.6)


def add_motorcyclist(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, *, rider: int, machine: int
) -> None:
    """A rider on a motorcycle or a scooter: two instances."""
    add_motorcycle(mesh, place, rng, machine)
    _seated(mesh, place, rng, Thing(TRAIN_ID["rider"], rider), seat=0.84, reach=0.48, bar=1.02, pedal=0.34, helmet=1.0)


def add_bicycle(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, instance: int) -> None:
    """A bicycle; its wheels are open in the image and solid in the labels."""
    thing = Thing(TRAIN_ID["bicycle"], instance)
    color = _CLOTHES[int(rng.integers(len(_CLOTHES)))]
    frame = Paint(Material.CAR_PAINT, color, 0.6)
    hub_b, hub_f, crank, saddle, head = (
        (0, 0.34, -0.52),
        (0, 0.34, 0.54),
        (0, 0.30, -0.05),
        (0, 0.88, -0.22),
        (0, 0.86, 0.36),
    )
    pairs = [(hub_b, crank), (hub_b, saddle), (crank, saddle), (crank, head), (saddle, head), (head, hub_f)]
    pairs += [((-0.28, 1.0, 0.36), (0.28, 1.0, 0.36)), (head, (0, 1.0, 0.36)), (saddle, (0, 0.98, -0.25))]
    starts, ends = np.array([a for a, _ in pairs], float), np.array([b for _, b in pairs], float)
    radii = np.full(len(pairs), 0.026)
    mesh.add(tubes(starts, ends, radii, radii, sides=5), frame, thing, place)
    mesh.add(ellipsoid((0, 0.99, -0.26), (0.07, 0.04, 0.14)), _RUBBER, thing, place)
    spokes = Paint(Material.RAILING, (0.5, 0.5, 0.5), 0.4, (0.22, 0.012, 99.0, 0.0))
    for z in (-0.52, 0.54):
        mesh.add(_ring((0, 0.34, z), 0.335, 0.028), _RUBBER, thing, place)
        angle = np.linspace(0, 2 * np.pi, 15)[:-1]
        plate = np.stack([np.zeros(14), 0.34 + 0.32 * np.sin(angle), z + 0.32 * np.cos(angle)], 1)
        mesh.add(polygon(plate, np.stack([0.32 * np.cos(angle), 0.3 + 0.05 * np.sin(angle)], 1)), spokes, thing, place)


def add_motorcycle(mesh: MeshBuilder, place: Placement, rng: np.random.Generator, instance: int) -> None:
    """A motorcycle or a scooter."""
    thing = Thing(TRAIN_ID["motorcycle"], instance)
    paint = Paint(Material.CAR_PAINT, _CLOTHES[int(rng.integers(len(_CLOTHES)))], 0.8)
    for z in (-0.66, 0.70):
        mesh.add(_ring((0, 0.31, z), 0.25, 0.075), _RUBBER, thing, place)
        mesh.add(
            tube((-0.05, 0.31, z), (0.05, 0.31, z), 0.16), Paint(Material.PLAIN, (0.4, 0.4, 0.42), 0.5), thing, place
        )
    tank = [
        ellipsoid((0, 0.78, 0.18), (0.17, 0.17, 0.34), detail="medium"),
        ellipsoid((0, 0.74, -0.62), (0.13, 0.10, 0.26)),
    ]
    mesh.add(merged(*tank), paint, thing, place)
    dark = [
        ellipsoid((0, 0.48, 0.05), (0.20, 0.24, 0.36)),
        ellipsoid((0, 0.80, -0.26), (0.14, 0.08, 0.34)),
        tube((-0.36, 1.02, 0.40), (0.36, 1.02, 0.40), 0.03),
        tube((0, 1.0, 0.42), (0, 0.31, 0.70), 0.05),
    ]
    mesh.add(merged(*dark), _RUBBER, thing, place)
    mesh.add(
        ellipsoid((0, 0.92, 0.52), (0.11, 0.11, 0.08)),
        Paint(Material.GLOWING, (0.9, 0.9, 0.8), 0.5, (0.5, 0, 0, 0)),
        thing,
        place,
    )


def _seated(
    mesh: MeshBuilder, place: Placement, rng: np.random.Generator, thing: Thing,
    *, seat: float, reach: float, bar: float, pedal: float, helmet: float,
) -> None:  # fmt: skip
    """A person leaning from the saddle to the handlebar."""
    top, legs, skin = _clothes(rng), _trousers(rng), _skin(rng)
    hip = (0.0, seat + 0.08, -0.24)
    shoulder = (0.0, seat + 0.56, -0.24 + reach * rng.uniform(0.3, 0.6))
    limbs = []
    for side, lift in ((-1, 0.20), (1, 0.0)):
        knee = (side * 0.12, (seat + pedal) / 2 + 0.10 + lift * 0.5, 0.14 + lift * 0.2)
        foot = (side * 0.12, pedal - 0.14 + lift, 0.02)
        limbs += [_limb((side * 0.09, hip[1], hip[2]), knee, 0.095, 0.065), _limb(knee, foot, 0.06, 0.045)]
        limbs.append(ellipsoid((foot[0], foot[1] - 0.03, foot[2] + 0.07), (0.05, 0.05, 0.13)))
    mesh.add(merged(*limbs), legs, thing, place)
    back = tubes(
        np.array([hip, hip]), np.array([shoulder, shoulder]), np.array([0.16, 0.13]), np.array([0.18, 0.12]), sides=10
    )
    chest = ellipsoid((0, shoulder[1] - 0.06, shoulder[2]), (0.21, 0.13, 0.13))
    arms = []
    for side in (-1, 1):
        elbow = (side * 0.29, (shoulder[1] + bar) / 2 - 0.02, (shoulder[2] + 0.30) / 2)
        arms += [
            _limb((side * 0.2, shoulder[1] - 0.05, shoulder[2]), elbow, 0.06, 0.05),
            _limb(elbow, (side * 0.24, bar, 0.34), 0.048, 0.038),
        ]
    mesh.add(merged(back, chest, ellipsoid(hip, (0.17, 0.12, 0.15)), *arms), top, thing, place)
    _head(mesh, place, thing, (0.0, shoulder[1] + 0.18, shoulder[2] + 0.06), 1.0, skin, rng)
    if rng.random() < helmet:
        cap = Paint(Material.CAR_PAINT, _CLOTHES[int(rng.integers(len(_CLOTHES)))], 0.7)
        mesh.add(ellipsoid((0, shoulder[1] + 0.24, shoulder[2] + 0.05), (0.125, 0.11, 0.15)), cap, thing, place)


def _head(
    mesh: MeshBuilder, place: Placement, thing: Thing, at: Point, k: float, skin: Paint, rng: np.random.Generator
) -> None:
    x, y, z = at
    neck = tube((x, y - 0.20 * k, z - 0.02), (x, y, z), 0.055 * k)
    mesh.add(merged(neck, ellipsoid(at, (0.085 * k, 0.115 * k, 0.10 * k), detail="medium")), skin, thing, place)
    tone = rng.uniform(0.04, 0.35)
    hair = Paint(Material.CLOTH, (tone, tone * 0.75, tone * 0.5), 0.1)
    long = 0.06 if rng.random() < 0.35 else 0.0
    mesh.add(
        ellipsoid((x, y + 0.035 * k - long, z - 0.028 * k), (0.096 * k, (0.10 + long) * k, 0.098 * k)),
        hair,
        thing,
        place,
    )


def _torso(hip: float, shoulder: float, k: float, wide: float) -> Geometry:
    waist, chest = (hip + shoulder) / 2 - 0.08, shoulder - 0.16 * k
    return merged(
        ellipsoid((0, hip + 0.02, 0), (0.165 * k * wide, 0.14 * k, 0.125 * k * wide), detail="medium"),
        ellipsoid((0, waist, 0), (0.155 * k * wide, 0.24 * k, 0.115 * k * wide), detail="medium"),
        ellipsoid((0, chest, 0), (0.205 * k * wide, 0.23 * k, 0.125 * k * wide), detail="medium"),
    )


def _limb(start: Point, end: Point, radius: float, end_radius: float) -> Geometry:
    """A tapered tube with round ends."""
    return merged(
        tube(start, end, radius, end_radius, sides=7),
        ellipsoid(start, (radius, radius, radius)),
        ellipsoid(end, (end_radius, end_radius, end_radius)),
    )


def _ring(center: Point, radius: float, thick: float) -> Geometry:
    """A wheel's tyre about the x axis."""
    angle = np.linspace(0, 2 * np.pi, 13)
    points = np.stack(
        [np.full(13, center[0]), center[1] + radius * np.sin(angle), center[2] + radius * np.cos(angle)], 1
    )
    return tubes(points[:-1], points[1:], np.full(12, thick), np.full(12, thick), sides=5)


def _clothes(rng: np.random.Generator) -> Paint:
    pattern = 1.0 if rng.random() < 0.12 else 0.0
    return Paint(Material.CLOTH, _CLOTHES[int(rng.integers(len(_CLOTHES)))], 0.05, (float(rng.random()), pattern, 0, 0))


def _trousers(rng: np.random.Generator) -> Paint:
    return Paint(Material.CLOTH, _TROUSERS[int(rng.integers(len(_TROUSERS)))], 0.05, (float(rng.random()), 0, 0, 0))


def _skin(rng: np.random.Generator) -> Paint:
    return Paint(Material.PLAIN, _SKIN[int(rng.integers(len(_SKIN)))], 0.2)
