"""What a bench run is asked to do."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config
from isthmus.errors import ConfigurationError
from isthmus.serving.bench.limit import EngineUnderTest
from isthmus.serving.config import ProviderPolicy

Positive = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(gt=0)]


class Scenario(StrEnum):
    """What can be measured, in the order in which it is."""

    SATURATION = "saturation"
    SINGLE_STREAM = "single-stream"
    CONSTANT_STREAM = "constant-stream"
    OVERLOAD = "overload-2x"
    BURST = "burst"
    MIXED_SIZES = "mixed-sizes"
    SLOW_READER = "slow-reader"
    FLAPPING = "flapping"
    IDLE_STREAMS = "idle-streams"
    HOSTILE = "hostile"
    SWAP = "swap"
    DRAIN = "drain"
    SWEEP = "sweep"
    SOAK = "soak"


@config
class BenchConfig:
    """A run of `isthmus bench serve`."""

    model_file: Path | None = None
    """An ONNX file of ours; without it all scenarios take the fake engine."""
    fake_engine_ms: Amount | None = None
    """Milliseconds that a fake engine sleeps for a batch; beside a model, only saturation is measured with it too."""
    scenarios: tuple[Scenario, ...] = tuple(each for each in Scenario if each is not Scenario.SOAK)
    """What to measure."""
    seconds: Amount = 6.0
    """Of load, for each figure."""
    swap_seconds: Amount = 60.0
    """Of load, with swaps and without."""
    soak_seconds: Amount = 600.0
    """Of load, for the slope of memory."""
    rounds: Positive = 3
    """How often what is compared is measured in turn."""
    vehicles: Positive = 4
    """Cameras that share the load."""
    size_hw: tuple[Positive, Positive] | None = None
    """Height and width of the frames; by default the network's own size, 240x320 with a fake engine."""
    budget_ms: Amount | None = None
    """Age at which a mask is of no more use; by default eight frames of the bare loop, at least 40 ms."""
    num_threads: Positive = 1
    """Threads of the engine: in the server, in the peers and in the bare loop."""
    provider: ProviderPolicy = ProviderPolicy.CPU
    """Where the model computes, in the server and in the bare loop; peers know the CPU alone."""
    idle_streams: Positive = 1000
    """Streams without frames, in the scenario of that name."""
    swap_every_s: Amount = 5.0
    """Seconds from swap to swap."""
    peers: Path | None = None
    """Folder with the environments that tools/bench_peers.sh makes; without it, only the naive server is a peer."""
    seed: int = 0
    """Of phases, jitter and cancellations."""

    def __post_init__(self) -> None:
        if self.model_file is None and self.fake_engine_ms is None:
            raise ConfigurationError(
                "there is nothing to serve",
                remedy="Give --model-file exports/NAME/model.onnx, --fake-engine-ms 5, or both.",
            )
        if self.provider is ProviderPolicy.PREFER_CUDA:
            raise ConfigurationError(
                "with prefer_cuda nobody knows what was measured",
                where="provider",
                remedy="Write require_cuda, or cpu.",
            )
        if self.provider is not ProviderPolicy.CPU and (self.model_file is None or self.peers is not None):
            raise ConfigurationError(
                f"provider is {self.provider}, and fake engines and peers run on the CPU alone",
                remedy="Give --model-file and no --peers with it.",
            )
        if self.model_file is not None and not self.model_file.is_file():
            raise ConfigurationError("no such file", where=self.model_file, remedy="Make it with `isthmus export`.")

    @property
    def engine(self) -> EngineUnderTest:
        """What computes in all scenarios."""
        return EngineUnderTest(self.model_file, self.fake_engine_ms or 0.0, self.num_threads, self.provider)
