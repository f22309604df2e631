"""What virtual vehicles shall do: everything that the generator's process is told."""

from dataclasses import dataclass
from enum import StrEnum

from isthmus.serving.bench.pictures import Picture
from isthmus.serving.bench.tally import Outcome


class Wire(StrEnum):
    """How frames reach a server."""

    STREAM = "stream"
    """Our StreamSegment, a stream a camera."""
    SEGMENT = "segment"
    """Our Segment, a call a frame."""
    OIP = "oip"
    """The Open Inference Protocol's ModelInfer, a call a frame."""
    HTTP = "http"
    """POST /predict with the file's bytes, a request a frame."""


class Manner(StrEnum):
    """How a vehicle behaves."""

    PACED = "paced"
    """Frames at their due times, whatever becomes of them."""
    SATURATE = "saturate"
    """The next frame as soon as the one before is answered."""
    SLOW_READER = "slow reader"
    """Paced, but answers are read seldom until the last frame is sent."""
    FLAPPING = "flapping"
    """Paced, but each call and stream is cancelled a random part of the budget after its frame."""
    IDLE = "idle"
    """A stream without a frame."""


@dataclass(frozen=True)
class Fleet:
    """Vehicles that are alike.

    Args:
        group: Whose frames are counted together.
        vehicles: How many, a camera each.
        pictures: They are sent in turn.
        fps: Of each vehicle; unused by those that saturate or idle.
        manner: See `Manner`; calls instead of streams know only the first two.
        burst: Frames that are due at once.
    """

    group: str
    vehicles: int
    pictures: tuple[Picture, ...]
    fps: float = 0.0
    manner: Manner = Manner.PACED
    burst: int = 1


@dataclass(frozen=True)
class Load:
    """Fleets that drive at the same time, against one server.

    Args:
        address: HOST:PORT.
        wire: How frames reach it.
        fleets: Who drives.
        seconds: For how long frames are due.
        budget_s: Within it a mask is of use.
        tells_budget: Whether the server is told: max_age in our own messages, a deadline in calls.
        model: Model's name, for OIP.
        seed: Of phases, jitter and cancellations.
        patience_s: Longest wait for what is still open after the last frame was due.
    """

    address: str
    wire: Wire
    fleets: tuple[Fleet, ...]
    seconds: float
    budget_s: float
    tells_budget: bool = True
    model: str = ""
    seed: int = 0
    patience_s: float = 10.0


@dataclass(frozen=True)
class Driven:
    """What came of a load.

    Args:
        groups: By the fleets' groups.
        generator_cpu_s: CPU time of the generator's process while frames were due and answers open.
        elapsed_s: From the first due time to the last answer.
        stream_errors: Streams that ended with an error.
        problems: What those and failed calls said, without repetition, at most a few.
    """

    groups: dict[str, Outcome]
    generator_cpu_s: float
    elapsed_s: float
    stream_errors: int
    problems: tuple[str, ...]
