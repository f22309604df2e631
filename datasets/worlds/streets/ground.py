"""What the ground of a scene is made of: one draw of its surfaces."""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Thing
from isthmus.datasets.worlds.style import StreetStyle

ROAD: Final = Thing(TRAIN_ID["road"])
SIDEWALK: Final = Thing(TRAIN_ID["sidewalk"])
TERRAIN: Final = Thing(TRAIN_ID["terrain"])


class Ground(NamedTuple):
    """The surfaces of one scene."""

    asphalt: Paint
    paving: Paint
    kerb: Paint
    grass: Paint
    marking: Paint
    yard: Paint
    """Private ground beside the street."""
    soft: Thing
    """What grass counts as: terrain, or sidewalk in a world without terrain."""

    def road(self, lane_width: float) -> Paint:
        """The asphalt of a road whose wheel tracks and seams lie in lanes that wide."""
        if self.asphalt.material != Material.ASPHALT:
            return self.asphalt
        seed, _, damp, kind = self.asphalt.params
        return replace(self.asphalt, params=(seed, lane_width, damp, kind))


def draw_ground(style: StreetStyle, rng: np.random.Generator, *, has_terrain: bool) -> Ground:
    """Choose the surfaces of a scene."""
    seed = float(rng.random())
    tarmac = _scaled(style.asphalt[int(rng.integers(len(style.asphalt)))], float(np.exp(rng.uniform(-0.65, 0.45))))
    luck = rng.random()
    kind = 2.0 if luck < style.cobbles_probability else 1.0 if luck > 1.0 - style.concrete_probability else 0.0
    damp = float(rng.uniform(0.2, 0.7)) if rng.random() < 0.25 else 0.0
    asphalt = Paint(Material.ASPHALT, tarmac, 0.1, (seed, 3.2, damp, kind + float(rng.uniform(0.0, 0.95))))
    if style.cobbles_probability <= luck < 2 * style.cobbles_probability:  # bricks, as where everybody shares the road
        asphalt = Paint(Material.PAVING, tarmac, 0.05, (2.0, float(rng.uniform(0.4, 0.7)), seed, 0.0))
    paving = _draw_paving(style, rng, tarmac, seed)
    kerb = _scaled(paving.color, float(rng.uniform(0.85, 1.5)))
    red, green, blue = (float(rng.uniform(low, high)) for low, high in zip(*style.grass, strict=True))
    grass = Paint(Material.GRASS, (red, green, blue), 0.0)
    mark = style.markings[int(rng.integers(len(style.markings)))]
    wear = float(rng.uniform(*style.marking_wear))
    return Ground(
        asphalt=asphalt,
        paving=paving,
        kerb=Paint(Material.PAVING, kerb, 0.05, (1.0, 0.9, seed, 0.0)),
        grass=grass if has_terrain else paving,
        marking=Paint(Material.MARKING, mark, 0.15, (seed, wear, sum(tarmac) / 3, 0.0)),
        yard=paving if rng.random() < 0.4 or not has_terrain else grass,
        soft=TERRAIN if has_terrain else SIDEWALK,
    )


def _draw_paving(style: StreetStyle, rng: np.random.Generator, tarmac: Rgb, seed: float) -> Paint:
    """A sidewalk's surface: brightness alone must not tell it from the road, so it is as often darker as lighter."""
    grey = float(np.clip(sum(tarmac) / 3 * np.exp(rng.uniform(-0.55, 0.75)), 0.10, 0.80))
    if rng.random() < style.asphalt_sidewalk_probability:
        return Paint(Material.PAVING, _scaled(tarmac, grey / (sum(tarmac) / 3)), 0.05, (0.0, 1.0, seed, 0.0))
    hue = style.paving[int(rng.integers(len(style.paving)))]
    kind = float(rng.choice([1.0, 1.0, 2.0, 3.0, 4.0]))  # slabs, bricks, herringbone, small stones
    unit = float(rng.uniform(0.4, 0.9)) if kind < 3.5 else float(rng.uniform(0.09, 0.13))
    return Paint(Material.PAVING, _scaled(hue, grey / (sum(hue) / 3)), 0.05, (kind, unit, seed, 0.0))


def _scaled(color: Rgb, factor: float) -> Rgb:
    r, g, b = (float(np.clip(c * factor, 0.02, 0.85)) for c in color)
    return (r, g, b)
