"""How a challenger's masks compare with the champion's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCompared:
    """A challenger has seen a frame that the champion answered."""

    champion_version: str
    challenger_version: str
    agreement: float
    """Share of the pixels that both label alike, in [0, 1]."""
    infer_s: float
    """Seconds that the challenger took, at low priority."""
    num_dropped: int
    """Frames since the last comparison that were meant for it but dropped, because an engine was busy."""
