"""What the scenarios share: the generator, the bare loop, our server, and the figures that loads are made from."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from isthmus.errors import ServingError
from isthmus.serving.bench.config import BenchConfig
from isthmus.serving.bench.generator import Generator
from isthmus.serving.bench.limit import BareLoop
from isthmus.serving.bench.load import Driven, Fleet, Load, Manner, Wire
from isthmus.serving.bench.pictures import Kind, Picture, picture
from isthmus.serving.bench.rows import Figure
from isthmus.serving.bench.targets import Target, isthmus_server
from isthmus.serving.config import ProviderPolicy

SATURATING: Final = 6
"""Cameras with one frame each under way: enough that the engine never waits for the next."""
SATURATING_A_GPU: Final = 16
"""The same where batches of eight are formed: one runs, one waits."""

_GLANCE_S: Final = 2.0
_PICTURES: Final = 4
_BUDGET_FRAMES: Final = 8
_LEAST_BUDGET_S: Final = 0.04
_FAKE_SIZE_HW: Final = (240, 320)


class Laboratory:
    """Holds what is running. Use it as a context manager.

    Args:
        config: What to measure.
        say: Told what is being measured.
    """

    def __init__(self, config: BenchConfig, say: Callable[[str], None]) -> None:
        self.config = config
        self.say = say
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def generator(self) -> Generator:
        """The one process that sends."""
        return self._stack.enter_context(Generator())

    @cached_property
    def bare_loop(self) -> BareLoop:
        """The limit of the engine that all scenarios take."""
        return self._stack.enter_context(BareLoop(self.config.engine))

    @cached_property
    def server(self) -> Target:
        """Ours, which most scenarios share."""
        self.say("starting the server")
        return self._stack.enter_context(isthmus_server(self.config.engine))

    @cached_property
    def size_hw(self) -> tuple[int, int]:
        """Of the frames."""
        if self.config.size_hw is not None:
            return self.config.size_hw
        path = self.config.model_file
        if path is None:
            return _FAKE_SIZE_HW
        from isthmus.serving.session import open_session

        card = open_session(path.read_bytes(), ProviderPolicy.CPU, num_threads=1, where=path).card
        return card.network_size_hw

    @cached_property
    def frame_s(self) -> float:
        """Seconds that a frame takes in the bare loop, at a glance."""
        self.say("looking at the bare loop")
        return 1 / self.bare_loop.frames_per_second(self.pictures("jpeg")[0], _GLANCE_S)

    @cached_property
    def budget_s(self) -> float:
        """Age at which a mask is of no more use."""
        if self.config.budget_ms is not None:
            return self.config.budget_ms / 1e3
        return max(_LEAST_BUDGET_S, _BUDGET_FRAMES * self.frame_s)

    @cached_property
    def capacity_fps(self) -> float:
        """JPEG frames a second that our server answers at saturation; that scenario sets it where it is measured."""
        fleet = self.saturating("jpeg")
        found = []
        problems: set[str] = set()
        for each in range(self.config.rounds):
            self.say(f"measuring the capacity, {each + 1} of {self.config.rounds}")
            driven, _ = self.drive(self.server, (fleet,), seconds=self.config.seconds / 2, tells_budget=False)
            found.append(driven.groups["all"].throughput)
            problems.update(driven.problems)
        capacity_fps = statistics.median(found)
        if not capacity_fps:
            raise ServingError(
                "the server answers nothing",
                where=self.server.address,
                remedy=f"The clients say: {'; '.join(sorted(problems))}. It says: {self.server.output()[-500:]}",
            )
        return capacity_fps

    def pictures(self, kind: Kind, size_hw: tuple[int, int] | None = None) -> tuple[Picture, ...]:
        """A few different frames."""
        size_hw = size_hw or self.size_hw
        return tuple(picture(kind, size_hw, seed) for seed in range(_PICTURES))

    @property
    def known_capacity_fps(self) -> float | None:
        """The capacity, if a scenario needed it: no report measures anything."""
        found: float | None = self.__dict__.get("capacity_fps")
        return found

    def saturating(self, kind: Kind, vehicles: int | None = None) -> Fleet:
        """A closed loop."""
        vehicles = vehicles or (SATURATING if self.config.provider is ProviderPolicy.CPU else SATURATING_A_GPU)
        return Fleet("all", vehicles, self.pictures(kind), manner=Manner.SATURATE)

    def paced(
        self, share: float, *, group: str = "all", vehicles: int | None = None, kind: Kind = "jpeg", burst: int = 1
    ) -> Fleet:
        """An open loop that offers a share of the capacity."""
        vehicles = vehicles or self.config.vehicles
        return Fleet(group, vehicles, self.pictures(kind), fps=share * self.capacity_fps / vehicles, burst=burst)

    def load(
        self,
        target: Target,
        fleets: Sequence[Fleet],
        *,
        seconds: float | None = None,
        tells_budget: bool = True,
        wire: Wire | None = None,
    ) -> Load:
        """A load for a server."""
        return Load(
            address=target.address,
            wire=wire or target.wire,
            fleets=tuple(fleets),
            seconds=seconds or self.config.seconds,
            budget_s=self.budget_s,
            tells_budget=tells_budget,
            model=target.model,
            seed=self.config.seed,
        )

    def drive(
        self,
        target: Target,
        fleets: Sequence[Fleet],
        *,
        seconds: float | None = None,
        tells_budget: bool = True,
        wire: Wire | None = None,
    ) -> tuple[Driven, dict[str, Figure]]:
        """Drive a load, and tell what it cost."""
        load = self.load(target, fleets, seconds=seconds, tells_budget=tells_budget, wire=wire)
        before = target.cpu_s()
        driven = self.generator.drive(load)
        return driven, costs(driven, target.cpu_s() - before)


def costs(driven: Driven, server_cpu_s: float) -> dict[str, Figure]:
    """Figures that each row has."""
    frames = sum(sum(outcome.verdicts.values()) for outcome in driven.groups.values())
    return {
        "server_cpu_s": server_cpu_s,
        "generator_cpu_s": driven.generator_cpu_s,
        "server_cpu_ms_per_frame": 1e3 * server_cpu_s / frames if frames else None,
        "stream_errors": driven.stream_errors,
        "problems": "; ".join(driven.problems),
    }
