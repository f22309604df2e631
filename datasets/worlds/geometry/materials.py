"""Surfaces by number: what the scene's builders name and the shaders paint."""

from dataclasses import dataclass, replace
from enum import IntEnum

Rgb = tuple[float, float, float]
"""A reflectance in sRGB, 0..1 a channel; the shaders turn it linear."""


def scaled(color: Rgb, factor: float, *, most: float = float("inf")) -> Rgb:
    """A colour so many times as bright, no channel of it above `most`."""
    r, g, b = (float(min(c * factor, most)) for c in color)
    return (r, g, b)


def mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    """Between two colours: `a` at share 0, `b` at share 1."""
    red, green, blue = (float(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return (red, green, blue)


class Material(IntEnum):
    """Procedural surface kinds; the shaders hold one branch for each of them."""

    PLAIN = 0
    ASPHALT = 1
    PAVING = 2
    FACADE = 3
    ROOF = 4
    FOLIAGE = 5
    TWIGS = 6
    GRASS = 7
    CAR_PAINT = 8
    GLASS = 9
    MARKING = 10
    GLOWING = 11
    CLOTH = 12
    SIGN = 13
    RAILING = 14
    BARK = 15
    MASONRY = 16
    PLANKS = 17
    LAMP = 18


SEE_THROUGH = frozenset({Material.FOLIAGE, Material.TWIGS, Material.RAILING})
"""Surfaces with holes: drawn by the programs that discard."""


@dataclass(frozen=True, slots=True)
class Paint:
    """How a piece of geometry looks.

    Args:
        material: Which branch of the shaders paints it.
        color: Base colour.
        gloss: 0 (chalk) to 1 (lacquer).
        params: Four numbers whose meaning each material documents in `shaders/surface.glsl`.
    """

    material: Material
    color: Rgb
    gloss: float = 0.1
    params: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def with_color(self, color: Rgb) -> "Paint":
        """The same surface in another colour."""
        return replace(self, color=color)
