"""Kinds of trees: what their crowns, trunks and leaves are like."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import Rgb
from isthmus.datasets.worlds.style import Range

_PALM_GREEN: Final = 0.30
"""How much greener than blue a leaf must be for its world to be warm enough for palms."""


@dataclass(frozen=True, slots=True)
class Species:
    """A broad-leaved tree, in shares of its height."""

    name: str
    trunk: Range
    """Height of the lowest branches."""
    spread: Range
    """Radius of the crown."""
    lobes: tuple[int, int]
    density: float
    """Cards of leaves, 1 is the usual number."""
    thinness: Range
    """0 closed to 1 airy."""
    hanging: float = 1.0
    """Height over width of the cards."""
    core: bool = True
    """Whether a dark middle closes the crown."""
    bark: Rgb = (0.24, 0.19, 0.15)
    blossoms: float = 0.0
    tallest: float = 30.0
    """Metres."""


SPECIES: Final = (
    Species("lime", (0.22, 0.30), (0.24, 0.30), (5, 8), 1.0, (0.45, 0.65)),
    Species("plane", (0.28, 0.38), (0.32, 0.44), (7, 11), 1.1, (0.55, 0.75), bark=(0.46, 0.43, 0.36)),
    Species("maple", (0.20, 0.30), (0.28, 0.38), (6, 9), 1.1, (0.45, 0.70), bark=(0.30, 0.27, 0.24)),
    Species("ball", (0.38, 0.48), (0.24, 0.30), (1, 2), 0.9, (0.30, 0.45), tallest=6.5),
    Species("poplar", (0.08, 0.14), (0.10, 0.14), (3, 5), 1.0, (0.45, 0.60), bark=(0.33, 0.31, 0.27)),
    Species("birch", (0.25, 0.35), (0.18, 0.25), (6, 9), 0.75, (0.75, 0.95), 1.7, core=False, bark=(0.72, 0.71, 0.67)),
    Species("willow", (0.20, 0.26), (0.36, 0.46), (5, 8), 1.0, (0.60, 0.80), 2.8, bark=(0.27, 0.23, 0.18)),
    Species("cherry", (0.22, 0.30), (0.34, 0.44), (4, 7), 0.9, (0.60, 0.80), core=False, bark=(0.22, 0.15, 0.13),
            blossoms=0.8, tallest=6.0),
    Species("young", (0.40, 0.50), (0.16, 0.24), (1, 3), 0.45, (0.75, 0.95), core=False, bark=(0.36, 0.30, 0.22),
            tallest=4.5),
)  # fmt: skip
_WEIGHTS: Final = np.array([0.22, 0.20, 0.18, 0.07, 0.06, 0.10, 0.05, 0.05, 0.07])
PALM: Final = Species("palm", (0.85, 0.92), (0.20, 0.28), (1, 1), 1.0, (0.5, 0.6), bark=(0.38, 0.32, 0.26))


def draw_species(rng: np.random.Generator, leaf: Rgb) -> Species:
    """Draw a kind of tree; palms where leaves are of a saturated green."""
    if leaf[1] - leaf[2] > _PALM_GREEN and leaf[1] > leaf[0] + 0.1 and rng.random() < 0.35:
        return PALM
    return SPECIES[int(rng.choice(len(SPECIES), p=_WEIGHTS))]
