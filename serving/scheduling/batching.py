"""Which work runs together, and how long a free engine waits for more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.scheduling.line import Line
from isthmus.serving.scheduling.work import Work

W = TypeVar("W", bound=Work)

CPU_PROVIDER: Final = "CPUExecutionProvider"
_WAIT_BESIDE_CPU_MS: Final = 2.0


@dataclass(frozen=True)
class BatchRules:
    """How batches are made for one model.

    Args:
        max_size: Most frames that are gathered. The batch of one request may be larger, and then runs alone.
        max_wait_s: Longest that a free engine waits for more.
        largest: Most frames in any batch.
        pads: Whether batches are filled up to a power of two, or to `largest`: an accelerator prepares itself for
            each size that it meets. On a CPU padding would only cost time.
    """

    max_size: int
    max_wait_s: float
    largest: int
    pads: bool

    @classmethod
    def of(cls, config: SchedulerConfig, provider: str, largest: int) -> "BatchRules":
        """The rules for a model that `provider` runs; `largest` is the server's limit."""
        on_cpu = provider == CPU_PROVIDER
        wanted = config.max_batch_size or (1 if on_cpu else largest)
        wait_ms = config.max_batch_wait_ms
        if wait_ms is None:
            wait_ms = 0.0 if on_cpu else _WAIT_BESIDE_CPU_MS
        return cls(min(wanted, largest), wait_ms / 1e3, largest, pads=not on_cpu)

    def padded(self, count: int) -> int:
        """Frames in a batch of `count` real ones."""
        return min(1 << (count - 1).bit_length(), max(self.largest, count)) if self.pads else count


def batch_sizes(largest: int, provider: str) -> list[int]:
    """Sizes that batches of up to `largest` frames are filled up to on an accelerator; on a CPU single frames alone.

    >>> batch_sizes(6, "CUDAExecutionProvider"), batch_sizes(6, "CPUExecutionProvider")
    ([1, 2, 4, 6], [1])
    """
    if provider == CPU_PROVIDER:
        return [1]
    return sorted({*(1 << exponent for exponent in range(largest.bit_length())), largest})


@dataclass(frozen=True)
class Formed(Generic[W]):
    """What came out of forming a batch.

    Args:
        batch: Work of one group, in the order of its turns; may be empty.
        late: Work that no batch can finish in time.
    """

    batch: list[W]
    late: list[W]


def form_batch(line: Line[W], rules: BatchRules, seconds: Callable[[int], float], start: float) -> Formed[W]:
    """Take the next batch out of `line`.

    Args:
        line: What waits.
        rules: Sizes.
        seconds: From the start of a batch of so many frames, padding included, to its answers.
        start: The clock's time at which the batch will start.
    """
    late = line.drop_late(start + seconds(rules.padded(1)))
    first = line.best()
    if first is None:
        return Formed([], late)
    line.take(first)
    batch, count, tightest = [first], first.count, first.deadline
    while count < rules.max_size:
        more = line.best(first.group, rules.max_size - count)
        if more is None or min(tightest, more.deadline) < start + seconds(rules.padded(count + more.count)):
            break  # a larger batch takes longer, and somebody in it would be late
        line.take(more)
        batch.append(more)
        count += more.count
        tightest = min(tightest, more.deadline)
    return Formed(batch, late)


def wait_s(line: Line[W], rules: BatchRules, seconds: Callable[[int], float], now: float) -> float:
    """Seconds that a free engine should wait for more work before it forms a batch; 0 to form it now.

    Args:
        line: What waits; not empty.
        rules: Sizes, and the longest wait.
        seconds: As in `form_batch`.
        now: The clock's time.
    """
    first = line.best() if rules.max_wait_s else None
    if first is None:
        return 0.0
    group = [work for work in line if work.group == first.group]
    count = sum(work.count for work in group)
    if count >= rules.max_size:
        return 0.0
    waited = now - min(work.arrived for work in group)
    slack = min(work.deadline for work in group) - now - seconds(rules.padded(count))
    return max(0.0, min(rules.max_wait_s - waited, slack))
