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
    folder: str
    """Under `data/`: frames with and without a use for their labels never share one."""


MODEL: Final = "demo-segmenter"
SOURCE_ONLY: Final = "source_only"
MADAN: Final = "madan"
RANDOMIZATION: Final = "randomization"
METHODS: Final = (SOURCE_ONLY, MADAN, RANDOMIZATION)
TRAINING_CONFIGS: Final = {method: Path("configs") / method / "demo.yaml" for method in METHODS}
"""What is trained, in this order."""
SHUFFLED: Final = "shuffled"
"""Bad on purpose, see `spoiled`."""
GATE_CONFIG: Final = Path("configs/gate/demo.yaml")
SIZE_HW: Final = (128, 256)

WORLDS: Final = (
    World("arcade", "gta5", "all", 120, 1, "labelled source", "arcade"),
    World("studio", "synthia", "all", 120, 2, "labelled source", "studio"),
    World("street", "cityscapes", "train", 60, 3, "unlabelled target that MADAN adapts to", "target"),
    World("street", "cityscapes", "val", 30, 3, "stand-in for the real street, never trained on", "street"),
    World("street-night", "bdd100k", "val", 16, 4, "never seen, by day or by night", "night"),
    World("street-rain", "bdd100k", "val", 16, 5, "never seen, in any weather", "rain"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """Folders under the demo's output."""

    output: Path

    def run(self, method: str) -> Path:
        """A training run."""
        return self.output / "runs" / method

    def report(self, method: str) -> Path:
        """What `isthmus evaluate` wrote of a run."""
        return self.output / "reports" / method

    def export(self, method: str) -> Path:
        """ONNX, model card, weights of a run."""
        return self.output / "exports" / method

    @property
    def generalisation(self) -> Path:
        """What `isthmus generalisation` wrote of all runs."""
        return self.output / "reports" / "generalisation.md"

    @property
    def key(self) -> Path:
        """Signs the demo's verdicts."""
        return self.output / "keys" / "gate.key"

    @property
    def public_key(self) -> Path:
        """Checks them."""
        return self.output / "keys" / "gate.key.pub"

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
        return self.output / "data" / world.folder

    def next_commands(self) -> list[str]:
        """What to type next, with the commands of this very environment."""
        program = shlex.quote(str(Path(sys.executable).with_name("isthmus")))
        mlflow = shlex.quote(str(Path(sys.executable).with_name("mlflow")))
        key = shlex.quote(str(self.public_key))
        frames, out = shlex.quote(str(self.street_frames)), shlex.quote(str(self.output / "segmented"))
        return [
            f"export MLFLOW_TRACKING_URI={shlex.quote(self.store)}",
            f"{mlflow} ui --backend-store-uri {shlex.quote(self.store)}",
            f"{program} registry list {MODEL}",
            f"{program} registry show {MODEL} --public-key {key}",
            f"{program} serve --model {MODEL} --port 50051 --trust {key}",
            f"{program} segment {frames} --server 127.0.0.1:50051 --out {out}",
        ]
