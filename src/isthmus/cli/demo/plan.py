"""What the demo makes, in numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class World:
    """A set of rendered frames."""

    name: str
    layout: str
    split: str
    num_frames: int
    seed: int
    role: str
    """What the page says about it."""


MODEL: Final = "demo-segmenter"
TRAINING_CONFIG: Final = Path("configs/source_only/demo.yaml")
GATE_CONFIG: Final = Path("configs/gate/demo.yaml")
SIZE_HW: Final = (128, 256)

WORLDS: Final = (
    World("arcade", "gta5", "all", 120, 1, "labelled source"),
    World("studio", "synthia", "all", 120, 2, "labelled source"),
    World("street", "cityscapes", "val", 30, 3, "stand-in for the real street, never trained on"),
)
