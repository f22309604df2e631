"""Virtual vehicles: a camera each, on a stream or with a call a frame."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.bench.load import Fleet, Manner
from isthmus.serving.bench.road import Road, verdict_name
from isthmus.serving.bench.schedule import paced
from isthmus.serving.bench.wires import Caller

READ_PAUSE_S: Final = 0.25
"""Between two reads of a slow reader."""


class Vehicle(Protocol):
    """One of a fleet."""

    async def ready(self) -> None:
        """Connect, before anything is measured."""
        ...

    async def drive(self) -> None:
        """Send frames and account for them, until all have a verdict or patience ends."""
        ...


class StreamVehicle:
    """A camera on a `StreamSegment` of ours.

    Args:
        road: What is shared.
        fleet: How it behaves.
        name: Unique in the load.
        channel: Its connection.
        chance: Its luck.
    """

    def __init__(self, road: Road, fleet: Fleet, name: str, channel: grpc.aio.Channel, chance: random.Random) -> None:
        self._road = road
        self._fleet = fleet
        self._name = name
        self._chance = chance
        self._tally = road.tallies[fleet.group]
        self._stub: Any = segmentation_pb2_grpc.SegmentationServiceStub(channel)  # type: ignore[no-untyped-call]
        self._number = 0
        self._is_leaving = False
        self._answered = asyncio.Event()

    async def ready(self) -> None:
        """Open the stream, and read which model will answer."""
        self._call = self._stub.StreamSegment()
        await self._call.read()

    async def drive(self) -> None:
        """Send, while a task of its own reads; then end the stream and wait for what is open."""
        if self._fleet.manner is Manner.IDLE:
            await self._road.sleep(self._road.until - self._road.clock())
            self._call.cancel()
            return
        reader = asyncio.get_running_loop().create_task(self._read())
        try:
            await (self._saturate() if self._fleet.manner is Manner.SATURATE else self._pace())
            await self._call.done_writing()
            await asyncio.wait([reader], timeout=self._road.load.patience_s)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader knows why
            await asyncio.wait([reader], timeout=1.0)
        finally:
            self._call.cancel()
            reader.cancel()
            await asyncio.wait([reader])
        if not reader.cancelled():
            reader.result()

    async def _pace(self) -> None:
        times = self._road.times(self._fleet.fps, self._fleet.burst, self._chance)
        async for due in paced(times, self._road.start, self._road.clock, self._road.sleep):
            if self._is_leaving:
                return
            await self._send(due)

    async def _saturate(self) -> None:
        while not self._is_leaving and self._road.clock() < self._road.until:
            self._answered.clear()
            await self._send(self._road.clock())
            await self._answered.wait()

    async def _send(self, due: float) -> None:
        self._number += 1
        self._tally.due(self._name, self._number, due, self._road.clock())
        await self._call.write(pb.StreamSegmentRequest(frame=self._frame(due)))

    def _frame(self, due: float) -> pb.Frame:
        picture = self._fleet.pictures[self._number % len(self._fleet.pictures)]
        return self._road.frame(picture, self._name, self._number, due)

    async def _read(self) -> None:
        try:
            while event := await self._call.read():  # grpc.aio.EOF is false, messages are not
                if event.HasField("result"):
                    self._note(event.result)
                elif event.HasField("reconnect"):
                    self._is_leaving = True
                if self._fleet.manner is Manner.SLOW_READER and self._road.clock() < self._road.until:
                    await self._road.sleep(READ_PAUSE_S)
        except grpc.aio.AioRpcError as error:
            self._road.stream_errors += 1
            self._road.complain(f"{error.code().name}: {error.details()}")
        finally:
            self._is_leaving = True
            self._answered.set()

    def _note(self, result: pb.FrameResult) -> None:
        self._tally.told(self._name, result.sequence_number, verdict_name(result.verdict), self._road.clock())
        if result.verdict == pb.VERDICT_FAILED:
            self._road.complain(f"FAILED {result.reason_code}: {result.reason}")
        self._answered.set()


class CallVehicle:
    """A camera that makes a call for each frame.

    Args:
        road: What is shared.
        fleet: How it behaves.
        name: Unique in the load.
        caller: Makes the calls.
        chance: Its luck.
    """

    def __init__(self, road: Road, fleet: Fleet, name: str, caller: Caller, chance: random.Random) -> None:
        self._road = road
        self._fleet = fleet
        self._name = name
        self._caller = caller
        self._chance = chance
        self._tally = road.tallies[fleet.group]
        self._number = 0
        self._calls: set[asyncio.Task[None]] = set()

    async def ready(self) -> None:
        """Nothing is needed: the first call connects."""

    async def drive(self) -> None:
        """Start a call for each due frame, whether or not those before are answered."""
        if self._fleet.manner is Manner.SATURATE:
            while self._road.clock() < self._road.until:
                await self._ask(self._road.clock())
            return
        times = self._road.times(self._fleet.fps, self._fleet.burst, self._chance)
        async for due in paced(times, self._road.start, self._road.clock, self._road.sleep):
            task = asyncio.get_running_loop().create_task(self._ask(due))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        if self._calls:
            await asyncio.wait(set(self._calls))

    async def _ask(self, due: float) -> None:
        self._number += 1
        number = self._number
        self._tally.due(self._name, number, due, self._road.clock())
        picture = self._fleet.pictures[number % len(self._fleet.pictures)]
        load = self._road.load
        timeout_s = self._road.useful_s(due) if load.tells_budget else load.patience_s
        verdict = await self._caller.ask(picture, self._name, number, due, timeout_s)
        self._tally.told(self._name, number, verdict, self._road.clock())


async def drive_all(vehicles: list[Vehicle]) -> None:
    """Let all drive, and raise what goes wrong in one of them."""
    await _all(vehicle.drive() for vehicle in vehicles)


async def ready_all(vehicles: list[Vehicle]) -> None:
    """Connect all."""
    await _all(vehicle.ready() for vehicle in vehicles)


async def _all(work: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            awaitable: Awaitable[None] = each
            group.create_task(_awaited(awaitable))


async def _awaited(work: Awaitable[None]) -> None:
    await work
