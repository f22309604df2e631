"""The load generator: virtual vehicles on an event loop, in a process of its own: it shares no lock."""

import asyncio
import gc
import multiprocessing
import random
import resource
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

import grpc.aio

from isthmus.errors import ServingError
from isthmus.serving.bench.flapping import FlappingVehicle
from isthmus.serving.bench.load import Driven, Fleet, Load, Manner, Wire
from isthmus.serving.bench.road import Road
from isthmus.serving.bench.vehicles import CallVehicle, StreamVehicle, Vehicle, drive_all, ready_all
from isthmus.serving.bench.wires import Caller, caller_for, open_channel

_HEAD_START_S: Final = 0.1
_IDLE_PER_CHANNEL: Final = 50
_STARTED: Final = "started"
_CONNECT_S: Final = 60.0
_MARGIN_S: Final = 60.0


class Generator:
    """A process that drives one load after the other.

    Use it as a context manager.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="load-generator", daemon=True)
        self._load: Load | None = None

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()  # the process ends with it
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def begin(self, load: Load) -> None:
        """Return when all vehicles are connected and drive."""
        self._load = load
        self._pipe.send(load)
        self._next(_CONNECT_S)

    def end(self) -> Driven:
        """Wait until the load is over, and tell what came of it.

        Raises:
            ServingError: The generator failed or hangs.
        """
        assert self._load is not None
        driven = self._next(self._load.seconds + self._load.patience_s + _MARGIN_S)
        assert isinstance(driven, Driven)
        return driven

    def drive(self, load: Load) -> Driven:
        """`begin` and `end`."""
        self.begin(load)
        return self.end()

    def _next(self, timeout_s: float) -> object:
        try:
            answer = self._pipe.recv() if self._pipe.poll(timeout_s) else f"no word from it for {timeout_s:.0f} s"
        except EOFError:
            answer = "its process has ended"
        if isinstance(answer, str) and answer != _STARTED:
            raise ServingError("the load generator failed", where=self._where(), remedy=answer)
        return answer

    def _where(self) -> str:
        return self._load.address if self._load is not None else "start"


def _serve(pipe: Connection) -> None:
    while True:
        try:
            load: Load = pipe.recv()
        except EOFError:
            return
        gc.collect()
        gc.freeze()
        try:
            pipe.send(asyncio.run(drive(load, lambda: pipe.send(_STARTED))))
        except Exception:
            pipe.send(traceback.format_exc())


async def drive(load: Load, on_start: Callable[[], None] = lambda: None) -> Driven:
    """Drive a load on this event loop."""
    road = Road(load)
    channels: list[grpc.aio.Channel] = []
    callers: list[Caller] = []
    vehicles: list[Vehicle] = []
    for index, fleet in enumerate(load.fleets):
        vehicles.extend(_fleet(road, fleet, f"{index}", channels, callers))
    try:
        await ready_all(vehicles)
        on_start()
        spent = _cpu_s()
        road.start = road.clock() + _HEAD_START_S
        await drive_all(vehicles)
        elapsed_s = road.clock() - road.start
        spent = _cpu_s() - spent
    finally:
        for closing in (*callers, *channels):
            await closing.close()
    groups = {name: tally.outcome(load.seconds) for name, tally in road.tallies.items()}
    return Driven(groups, spent, elapsed_s, road.stream_errors, tuple(sorted(road.problems)))


def _fleet(
    road: Road, fleet: Fleet, prefix: str, channels: list[grpc.aio.Channel], callers: list[Caller]
) -> list[Vehicle]:
    vehicles: list[Vehicle] = []
    for index in range(fleet.vehicles):
        name = f"{fleet.group}-{prefix}-{index}"
        chance = random.Random(f"{road.load.seed}/{name}")
        if road.load.wire is not Wire.STREAM:
            callers.append(caller_for(road))
            vehicles.append(CallVehicle(road, fleet, name, callers[-1], chance))
            continue
        if fleet.manner is not Manner.IDLE or index % _IDLE_PER_CHANNEL == 0:
            channels.append(open_channel(road.load.address))
        kind = FlappingVehicle if fleet.manner is Manner.FLAPPING else StreamVehicle
        vehicles.append(kind(road, fleet, name, channels[-1], chance))
    return vehicles


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
