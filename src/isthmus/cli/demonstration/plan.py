"""What the demo makes, in numbers, and where it puts it."""

import shlex
import sys
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


@dataclass(frozen=True, slots=True)
class Places:
    """Folders under the demo's output."""

    output: Path

    @property
    def run(self) -> Path:
        """The training run."""
        return self.output / "runs" / "source_only"

    @property
    def report(self) -> Path:
        """What `isthmus evaluate` wrote."""
        return self.output / "report"

    @property
    def export(self) -> Path:
        """ONNX, model card, weights."""
        return self.output / "exports" / "source_only"

    @property
    def mlflow(self) -> Path:
        """The demo's own tracking store and registry."""
        return self.output / "mlflow"

    @property
    def served(self) -> Path:
        """Masks and overlays that the server answered."""
        return self.output / "served"

    @property
    def street_frames(self) -> Path:
        """Images of the street world, one folder."""
        return self.output / "data" / "street" / "leftImg8bit" / "val" / "frankfurt"

    @property
    def store(self) -> str:
        """MLflow's URI."""
        return f"sqlite:///{self.mlflow.resolve()}/mlflow.db"

    def world(self, world: World) -> Path:
        """A rendered set."""
        return self.output / "data" / world.name

    def next_commands(self) -> list[str]:
        """What to type next, with the commands of this very environment."""
        program = shlex.quote(str(Path(sys.executable).with_name("isthmus")))
        mlflow = shlex.quote(str(Path(sys.executable).with_name("mlflow")))
        frames, masks = shlex.quote(str(self.street_frames)), shlex.quote(str(self.output / "masks"))
        return [
            f"export MLFLOW_TRACKING_URI={shlex.quote(self.store)}",
            f"{mlflow} ui --backend-store-uri {shlex.quote(self.store)}",
            f"{program} registry list {MODEL}",
            f"{program} serve --model {MODEL} --port 50051",
            f"{program} segment {frames} --server 127.0.0.1:50051 --out {masks}",
        ]
