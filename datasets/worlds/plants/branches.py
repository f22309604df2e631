"""Trunks and forking branches."""

import numpy as np

from isthmus.datasets.worlds.geometry.mesh import Floats, Geometry
from isthmus.datasets.worlds.geometry.shapes import tubes


def grow_branches(
    rng: np.random.Generator, trunk_height: float, height: float, radius: float, *, generations: int, reach: float = 1.0
) -> tuple[Geometry, Floats]:
    """Trunk and forking branches.

    Args:
        rng: Random numbers.
        trunk_height: Where the branches begin, in metres.
        height: About where they end.
        radius: Of the trunk, in metres.
        generations: How often they fork.
        reach: How far they lean outwards; below 1 for slim crowns.

    Returns:
        All of them as one shape, and the tips [N, 3] of the last fork but one.
    """
    lean = rng.normal(0, 0.04, 2)
    top = np.array([lean[0] * trunk_height, trunk_height, lean[1] * trunk_height])
    starts, ends = [np.zeros((1, 3))], [top[None]]
    first_radii, last_radii = [np.array([radius * 1.25])], [np.array([radius * 0.85])]
    origins, directions = top[None], np.array([[0.0, 1.0, 0.0]])
    length, thick = (height - trunk_height) * 0.42, radius * 0.7
    tips = top[None]
    for generation in range(generations):
        forks = int(rng.integers(3, 6)) if generation == 0 else 3
        origins, directions = origins.repeat(forks, axis=0), directions.repeat(forks, axis=0)
        directions = directions + rng.normal(0, 0.55, directions.shape)
        directions[:, ::2] *= reach
        directions[:, 1] = np.abs(directions[:, 1]) * 0.9 + 0.15
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        reached = origins + directions * length * rng.uniform(0.75, 1.15, (len(origins), 1))
        starts.append(origins)
        ends.append(reached)
        first_radii.append(np.full(len(origins), thick))
        last_radii.append(np.full(len(origins), thick * (0.5 if generation < generations - 1 else 0.15)))
        if generation == 1 or generations == 1:
            tips = reached
        origins, length, thick = reached, length * 0.66, thick * 0.5
    shape = tubes(
        np.concatenate(starts), np.concatenate(ends), np.concatenate(first_radii), np.concatenate(last_radii), sides=4
    )
    return shape, tips
