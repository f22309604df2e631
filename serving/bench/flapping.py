"""Clients that go away before they are answered."""

import asyncio
import random
from typing import Any

import grpc.aio

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.bench.load import Fleet
from isthmus.serving.bench.road import Road, verdict_name
from isthmus.serving.bench.schedule import paced
from isthmus.serving.bench.tally import CANCELLED
from isthmus.serving.bench.wires import verdict_of


class FlappingVehicle:
    """Each frame is a call, or a stream of its own, in turn; it is cancelled a random part of the budget later.

    Args:
        road: What is shared.
        fleet: Pictures and rate.
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
        self._visits: set[asyncio.Task[None]] = set()

    async def ready(self) -> None:
        """Nothing is needed."""

    async def drive(self) -> None:
        """Come and go at each due time."""
        times = self._road.times(self._fleet.fps, self._fleet.burst, self._chance)
        number = 0
        async for due in paced(times, self._road.start, self._road.clock, self._road.sleep):
            number += 1
            self._tally.due(self._name, number, due, self._road.clock())
            visit = asyncio.get_running_loop().create_task(self._visit(number, due))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)
        if self._visits:
            await asyncio.wait(set(self._visits))

    async def _visit(self, number: int, due: float) -> None:
        picture = self._fleet.pictures[number % len(self._fleet.pictures)]
        frame = self._road.frame(picture, self._name, number, due)
        if number % 2:
            call = self._stub.Segment(pb.SegmentRequest(frame=frame))
            asking = asyncio.ensure_future(_answer(call))
        else:
            call = self._stub.StreamSegment()
            asking = asyncio.ensure_future(_first_result(call, frame))
        await asyncio.wait([asking], timeout=self._chance.random() * self._road.load.budget_s)
        verdict = CANCELLED
        if asking.done():
            verdict = self._verdict(asking)
        else:
            asking.cancel()
            await asyncio.wait([asking])
        call.cancel()
        self._tally.told(self._name, number, verdict, self._road.clock())

    def _verdict(self, asking: "asyncio.Future[pb.FrameResult]") -> str:
        try:
            return verdict_name(asking.result().verdict)
        except grpc.aio.AioRpcError as error:
            return verdict_of(error, self._road)


async def _answer(call: Any) -> pb.FrameResult:
    response = await call
    result: pb.FrameResult = response.result
    return result


async def _first_result(call: Any, frame: pb.Frame) -> pb.FrameResult:
    await call.write(pb.StreamSegmentRequest(frame=frame))
    async for event in call:
        if event.HasField("result"):
            result: pb.FrameResult = event.result
            return result
    raise EOFError("the stream ended without a result")
