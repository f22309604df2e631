"""Configuration of source-only training."""

from pathlib import Path
from typing import Literal

from isthmus.configuration import config


@config
class SourceOnlyConfig:
    """Supervised training on the labelled sources alone: the lower bound of every adaptation table."""

    name: Literal["source_only"]
    """Marks this method."""
    class_weights: Literal["none", "enet"] = "none"
    """`enet` weighs true classes by 1 / ln(1.02 + frequency in the sources), arXiv:1606.02147, section 5.2."""
    start_from: Path | None = None
    """A run or checkpoint whose segmenter this one begins with; null begins with the encoder's weights alone."""
