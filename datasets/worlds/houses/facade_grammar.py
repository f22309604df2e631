"""House fronts as grammars: which walls, windows, heights and roofs go together, and where the windows sit.

The pattern itself is painted by `shaders/facade.glsl`; `Front.window` gives the same rectangles to the builders
that put sills, frames and signs in relief upon it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.style import Range, StreetStyle

SHOP_FLOOR: Final = 1.15
"""Height of a ground floor with shops, in upper floors."""
_CODES: Final = 32.0
_STEEP_ROOFS: Final = 0.4
"""From this share of pitched roofs on, a world has half-timbered and shuttered houses."""


class Grammar(IntEnum):
    """Kinds of house fronts; the shader knows them by these numbers."""

    SASH = 0
    GEORGIAN = 1
    VICTORIAN = 2
    TIMBER = 3
    SHUTTERS = 4
    BANDS = 5
    CURTAIN = 6
    LOGGIAS = 7
    SHED = 8
    WORKS = 9
    CHURCH = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """Proportions of one grammar."""

    bay: Range
    """Width of a window's bay in metres."""
    floor: Range
    """Height of a floor in metres."""
    share: Range
    """The window's part of its bay."""
    pitched: float
    """How much likelier a pitched roof is than the world's own probability."""
    shops: float
    """How much likelier shops are."""


RULES: Final = {
    Grammar.SASH: Rule((1.9, 3.6), (2.7, 3.4), (0.34, 0.62), 1.0, 1.3),
    Grammar.GEORGIAN: Rule((2.0, 2.9), (3.0, 3.7), (0.36, 0.46), 0.9, 1.3),
    Grammar.VICTORIAN: Rule((1.9, 3.0), (2.9, 3.5), (0.34, 0.52), 1.2, 1.5),
    Grammar.TIMBER: Rule((1.5, 2.3), (2.5, 2.9), (0.42, 0.60), 2.0, 1.3),
    Grammar.SHUTTERS: Rule((2.4, 3.4), (2.8, 3.2), (0.30, 0.40), 1.3, 1.2),
    Grammar.BANDS: Rule((1.4, 2.6), (2.8, 3.5), (0.60, 0.90), 0.1, 1.1),
    Grammar.CURTAIN: Rule((1.1, 2.2), (3.1, 3.8), (0.90, 0.92), 0.0, 0.8),
    Grammar.LOGGIAS: Rule((2.6, 3.6), (2.7, 2.9), (0.40, 0.60), 0.1, 0.5),
    Grammar.SHED: Rule((4.0, 6.5), (5.0, 7.5), (0.60, 0.80), 0.6, 0.0),
    Grammar.WORKS: Rule((2.8, 4.2), (3.6, 4.6), (0.55, 0.74), 0.6, 0.6),
    Grammar.CHURCH: Rule((3.2, 4.8), (8.0, 11.0), (0.26, 0.40), 9.0, 0.0),
}
_BY_WALL: Final = {
    0: (Grammar.SASH, Grammar.SASH, Grammar.GEORGIAN, Grammar.SHUTTERS, Grammar.BANDS, Grammar.TIMBER),
    1: (Grammar.VICTORIAN, Grammar.VICTORIAN, Grammar.GEORGIAN, Grammar.SASH, Grammar.WORKS, Grammar.BANDS),
    2: (Grammar.GEORGIAN, Grammar.VICTORIAN, Grammar.SASH, Grammar.GEORGIAN, Grammar.WORKS),
    3: (Grammar.CURTAIN,),
    4: (Grammar.LOGGIAS, Grammar.LOGGIAS, Grammar.BANDS, Grammar.BANDS),
}
_COTTAGES: Final = (Grammar.SASH, Grammar.VICTORIAN, Grammar.SHUTTERS, Grammar.TIMBER)


@dataclass(frozen=True, slots=True)
class Front:
    """One front's pattern, as numbers that the shader and the builders share."""

    grammar: Grammar
    wall_kind: int
    """0 plaster, 1 brick, 2 stone, 3 glass, 4 panels, 5 corrugated sheet."""
    seed: float
    """0..1, decides all variation inside the front."""
    bay: float
    floor_height: float
    floors: int
    share: float
    shops: bool

    @property
    def ground(self) -> float:
        """Height of the ground floor in metres."""
        return self.floor_height * (SHOP_FLOOR if self.shops else 1.0)

    @property
    def height(self) -> float:
        """Height of the walls in metres."""
        return self.ground + (self.floors - 1) * self.floor_height

    @property
    def has_single_windows(self) -> bool:
        """Whether upper floors show one framed window a bay."""
        return self.grammar not in (Grammar.BANDS, Grammar.CURTAIN, Grammar.SHED, Grammar.LOGGIAS, Grammar.CHURCH)

    def window(self) -> tuple[float, float]:
        """Lowest and highest point of an upper window above its floor, in metres; as in `facade.glsl`."""
        g = self.grammar
        tall = 0.46 + 0.16 * (self.seed * 13.7 % 1.0) + {Grammar.GEORGIAN: 0.06, Grammar.VICTORIAN: 0.04}.get(g, 0.0)
        tall += 0.10 if g is Grammar.WORKS else 0.0
        middle = 0.52 if g is Grammar.GEORGIAN else 0.55
        return (middle - tall / 2) * self.floor_height, (middle + tall / 2) * self.floor_height

    def door_columns(self, bays: int) -> list[int]:
        """Which bays of a ground floor without shops have a door; as in `facade.glsl`."""
        every = 2 + int(self.seed * 41.0 % 1.0 * 3.0)
        first = int(self.seed * 29.0 % 1.0 * every)
        return list(range(first, bays, every))

    def paint(self, color: Rgb, *, bay: float | None = None) -> Paint:
        """The wall's surface; other sides of the house may have other bays."""
        number = self.floors + self.share
        params = (bay or self.bay, self.floor_height, -number if self.shops else number, self.wall_kind + self.seed)
        return Paint(Material.FACADE, color, (self.grammar + 0.5) / _CODES, params)


def draw_front(style: StreetStyle, rng: np.random.Generator, *, width: float, low: bool) -> Front:
    """Draw a front's pattern for a house of a given width; `low` keeps it to a cottage's height."""
    floors = int(rng.integers(1, 3)) if low else int(rng.integers(style.floors[0], style.floors[1] + 1))
    kind = int(rng.choice(style.wall_kinds))
    grammar = _draw_grammar(style, rng, kind=kind, floors=floors, width=width, low=low)
    if low and kind >= 3:
        kind = 0
    if grammar is Grammar.SHED:
        kind, floors = (5 if rng.random() < 0.6 else 1), 1
    elif grammar is Grammar.CHURCH:
        kind, floors = 2, 1
    rule = RULES[grammar]
    shops = not low and floors > 1 and rng.random() < style.shop_probability * rule.shops
    return Front(
        grammar=grammar,
        wall_kind=kind,
        seed=float(rng.uniform(0.01, 0.97)),
        bay=fitting_bay(width, float(rng.uniform(*rule.bay))),
        floor_height=float(rng.uniform(*rule.floor)),
        floors=floors,
        share=float(rng.uniform(*rule.share)),
        shops=bool(shops),
    )


def fitting_bay(width: float, wanted: float) -> float:
    """A bay that divides a wall's width, so that no window is cut by an edge."""
    return width / max(1, round(width / wanted))


def _draw_grammar(
    style: StreetStyle, rng: np.random.Generator, *, kind: int, floors: int, width: float, low: bool
) -> Grammar:
    steep = style.pitched_roof_probability >= _STEEP_ROOFS
    luck = rng.random()
    choices: tuple[Grammar, ...]
    if low:
        choices = _COTTAGES if steep else _COTTAGES[:2]
    elif width > 12.0 and luck < 0.10:
        return Grammar.SHED
    elif 9.0 < width < 30.0 and luck > 0.985:
        return Grammar.CHURCH
    else:
        choices = _BY_WALL[kind]
    grammar = choices[int(rng.integers(len(choices)))]
    too_tall = grammar is Grammar.TIMBER and floors > 4
    return Grammar.SASH if too_tall or (grammar is Grammar.TIMBER and not steep) else grammar
