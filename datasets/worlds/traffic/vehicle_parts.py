"""What cars, trucks, buses, trams and two-wheelers share: paints, wheels and lights."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Geometry, Placement, Point
from isthmus.datasets.worlds.geometry.shapes import disc, polygon, tube

TYRE: Final = Paint(Material.PLAIN, (0.06, 0.06, 0.06), 0.05)
TRIM: Final = Paint(Material.PLAIN, (0.09, 0.09, 0.10), 0.2)
CHROME: Final = Paint(Material.CAR_PAINT, (0.45, 0.46, 0.47), 0.8)
GLASS: Final = Paint(Material.GLASS, (0.10, 0.12, 0.13), 0.95)
_RIMS: Final[tuple[Rgb, ...]] = ((0.55, 0.55, 0.56), (0.34, 0.34, 0.35), (0.12, 0.12, 0.13), (0.66, 0.66, 0.66))
_PLATES: Final[tuple[Rgb, ...]] = ((0.80, 0.80, 0.78), (0.80, 0.80, 0.78), (0.82, 0.68, 0.16))
_HEAD: Final = (0.92, 0.92, 0.88)
_TAIL: Final = (0.62, 0.04, 0.03)
_AMBER: Final = (0.95, 0.50, 0.08)
_SPOKES: Final = 5
_LARGEST_ALLOY_M: Final = 0.4
NEAR_M: Final = 24.0
"""Closer to the camera than this, things are drawn in full detail."""


def is_near(place: Placement) -> bool:
    """Whether a thing deserves detail; every camera stands within a few metres of the origin."""
    x, _, z = place.position
    return x * x + z * z < NEAR_M**2


def lacquer(color: Rgb, rng: np.random.Generator, *, gloss: float = 0.8) -> Paint:
    """Car paint, more or less dirty along its lower edge."""
    return Paint(Material.CAR_PAINT, color, gloss, (float(rng.uniform(0, 0.8)), 0.65, 0.0, 0.0))


def head_light(*, lit: bool) -> Paint:
    """White lamps; at night they are always lit."""
    return Paint(Material.LAMP, _HEAD, 0.8, (1.6 if lit else 0.12, 3.0, 0.0, 0.0))


def tail_light(*, braking: bool) -> Paint:
    """Red lamps."""
    return Paint(Material.LAMP, _TAIL, 0.8, (1.8, 3.0, 0.0, 0.0) if braking else (0.22, 1.2, 0.0, 0.0))


def hazard_light() -> Paint:
    """Amber lamps that blink."""
    return Paint(Material.LAMP, _AMBER, 0.8, (2.2, 3.0, 0.0, 0.0))


def vehicle_paints(rng: np.random.Generator, *, lit: bool, braking: bool) -> Mapping[str, Paint]:
    """Paints of the slots that every vehicle has."""
    return {
        "trim": TRIM,
        "tyre": TYRE,
        "chrome": CHROME,
        "glass_side": _window(1.0, rng),
        "glass_end": _window(2.0, rng),
        "head": head_light(lit=lit),
        "tail": tail_light(braking=braking),
        "rim": Paint(Material.CAR_PAINT, _RIMS[int(rng.integers(len(_RIMS)))], 0.5),
        "plate": Paint(Material.PLAIN, _PLATES[int(rng.integers(len(_PLATES)))], 0.2),
    }


def _window(kind: float, rng: np.random.Generator) -> Paint:
    """Glass whose uv are (along or across, over the belt): the shader shows seats and heads behind it."""
    return Paint(Material.GLASS, GLASS.color, 0.95, (kind, float(rng.random()), 0.0, 0.0))


def wheel(hub: Point, radius: float, *, side: int, near: bool, width: float = 0.20) -> list[tuple[str, Geometry]]:
    """A wheel whose outer face looks to `side`; its tyre touches y = hub − radius."""
    x, y, z = hub
    outer, sides = x + side * width / 2, 16 if near else 10
    parts = [
        ("tyre", tube((x - side * width / 2, y, z), (outer, y, z), radius, radius * 0.97, sides=sides)),
        ("tyre", disc((outer, y, z), radius * 0.97, sides=sides)),
    ]
    if not near or radius > _LARGEST_ALLOY_M:
        return [*parts, ("rim", disc((outer + side * 0.012, y, z), radius * 0.62, sides=8))]
    face = outer + side * 0.012
    parts.append(("trim", disc((face, y, z), radius * 0.66, sides=14)))
    parts.append(("rim", disc((face + side * 0.01, y, z), radius * 0.16, sides=8)))
    for turn in np.arange(_SPOKES) * 2 * np.pi / _SPOKES:
        along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
        corners = [(0.05, -0.09), (0.66, -0.15), (0.66, 0.15), (0.05, 0.09)]
        flat = np.array([along * a + across * b for a, b in corners]) * radius + (y, z)
        parts.append(("rim", polygon(np.column_stack([np.full(4, face + side * 0.008), flat]))))
    return parts


def is_lit(rng: np.random.Generator) -> bool:
    """Whether a vehicle drives with its lamps on by day."""
    return bool(rng.random() < 0.3)
