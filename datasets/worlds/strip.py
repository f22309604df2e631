"""Bands of ground along a street."""

from typing import Final

import numpy as np

from isthmus.datasets.worlds.layout import Curve
from isthmus.datasets.worlds.mesh import Geometry
from isthmus.datasets.worlds.shapes import grid

_STEP_M: Final = 3.0


def strip(
    curve: Curve, along: tuple[float, float], across: tuple[float, float], y: float, y1: float | None = None
) -> Geometry:
    """A band between two positions along a street and two lateral offsets; uv are (t, s).

    Args:
        curve: The street's middle line.
        along: First and last s.
        across: First and second t.
        y: Height of the first edge.
        y1: Height of the second edge, the same by default; kerbs stand upright.
    """
    rows = max(2, int(np.ceil((along[1] - along[0]) / _STEP_M)) + 1)
    s = np.linspace(*along, rows)
    edges = ((across[0], y), (across[1], y if y1 is None else y1))
    points = np.stack([curve.at(s, t, height) for t, height in edges], 1)
    # An upright band has one t: its height takes the part of the lateral offset.
    uvs = np.stack([np.stack([np.full(rows, t + height), s], 1) for t, height in edges], 1)
    return grid(points, uvs)
