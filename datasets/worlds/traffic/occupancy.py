"""Which ground is taken already: no two things of a street may stand in one place."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Rectangles in a street's own coordinates (s along it, t across it), in metres."""

    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Lowest and highest s, lowest and highest t."""

    def claim(self, s: float, t: float, size: tuple[float, float], *, turn: float = 0.0, margin: float = 0.25) -> bool:
        """Take the ground of a thing about (s, t) unless some of it is taken.

        Args:
            s: Its middle along the street.
            t: Its middle across the street.
            size: Its length and width.
            turn: Its heading against the street's, in radians.
            margin: Free ground that it wants around itself.

        Returns:
            Whether it may stand there.
        """
        c, n = abs(np.cos(turn)), abs(np.sin(turn))
        half_s = (c * size[0] + n * size[1]) / 2 + margin
        half_t = (n * size[0] + c * size[1]) / 2 + margin
        box = (s - half_s, s + half_s, t - half_t, t + half_t)
        if any(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in self.taken):
            return False
        self.taken.append(box)
        return True
