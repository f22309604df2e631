"""What all vehicles of a load share: the clock, the accounts, and the rules for asking."""

import asyncio
import random
import time

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.bench.load import Load
from isthmus.serving.bench.pictures import Picture
from isthmus.serving.bench.schedule import due_times
from isthmus.serving.bench.tally import Tally

_WAY_BACK = 0.05
"""Share of the budget that is kept for the answer's way to the client; the server is told of the rest."""
_MAX_PROBLEMS = 8
_ENCODINGS = {"raw": pb.FRAME_ENCODING_RGB8, "jpeg": pb.FRAME_ENCODING_JPEG}


class Road:
    """The load while it is driven.

    Args:
        load: It.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self.tallies = {fleet.group: Tally(load.budget_s) for fleet in load.fleets}
        self.start = 0.0
        self.stream_errors = 0
        self.problems: set[str] = set()

    @property
    def until(self) -> float:
        """No frame is due from then on."""
        return self.start + self.load.seconds

    def clock(self) -> float:
        """Seconds; the same clock for due times and answers."""
        return time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def times(self, fps: float, burst: int, chance: random.Random) -> list[float]:
        """Due times of a camera, from the start."""
        return due_times(fps, self.load.seconds, chance, burst=burst)

    def complain(self, problem: str) -> None:
        """Keep a few problems for the report."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.add(problem[:300])

    def useful_s(self, due: float) -> float:
        """Seconds from now for which the server's work on a frame is of use; never 0, which would mean forever."""
        left = self.load.budget_s * (1 - _WAY_BACK) - (self.clock() - due)
        return max(left, 0.001)

    def frame(self, picture: Picture, camera: str, number: int, due: float) -> pb.Frame:
        """A frame as our protocol has it."""
        frame = pb.Frame(
            camera_id=camera,
            sequence_number=number,
            width=picture.width,
            height=picture.height,
            encoding=_ENCODINGS[picture.kind],
            data=picture.data,
        )
        if self.load.tells_budget:
            frame.max_age.FromNanoseconds(int(self.useful_s(due) * 1e9))
        return frame


def verdict_name(verdict: "pb.Verdict") -> str:
    """Its name without the prefix, for example SEGMENTED."""
    return pb.Verdict.Name(verdict).removeprefix("VERDICT_")
