"""Configuration of adaptation by statistics alone."""

from pathlib import Path
from typing import Literal

from isthmus.configuration import config


@config
class TargetStatisticsConfig:
    """A finished segmenter whose normalisation layers collect their statistics again, on frames of the target.

    No weight moves and no label is read. It takes seconds, and is what every adaptation should be held against.
    """

    name: Literal["target_statistics"]
    """Marks this method."""
    start_from: Path
    """The run or checkpoint whose segmenter it is: of source-only training, randomization or MADAN."""
    source_share: float = 0.5
    """Share of source frames among those that are counted: 0 is AdaBN as published; half and half keeps what the
    weights were trained with in sight."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.source_share < 1.0:
            raise ValueError(f"source_share is {self.source_share}: write a share from 0 to below 1")

    def source_frames(self, batch_size: int) -> int:
        """Source frames beside `batch_size` of the target, of all sources together, to the nearest whole number."""
        return round(batch_size * self.source_share / (1.0 - self.source_share))
