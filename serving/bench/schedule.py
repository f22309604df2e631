"""When each frame is due: an open loop, which waits for nobody's answer."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

JITTER = 0.1
"""Share of a camera's period by which a frame may be early or late, both together."""


def due_times(fps: float, seconds: float, chance: random.Random, *, burst: int = 1) -> list[float]:
    """Seconds from the start at which a camera's frames are due.

    Args:
        fps: Frames a second, on average.
        seconds: All frames are due within them.
        chance: Chooses the camera's phase, and the jitter of each frame.
        burst: Frames that come at once; the average stays `fps`.

    Returns:
        Growing times in [0, seconds).
    """
    period = burst / fps
    phase = chance.random() * period
    times: list[float] = []
    for index in range(int(seconds / period) + 1):
        at = phase + period * (index + JITTER * (chance.random() - 0.5))
        times.extend([max(at, 0.0)] * burst)
    return [at for at in times if at < seconds]


async def paced(
    times: Sequence[float],
    start: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
) -> AsyncIterator[float]:
    """Wait for each due time and give it; a consumer that was held up gets the missed ones at once, undelayed in name.

    Args:
        times: Seconds after `start`, growing.
        start: The clock's time of the first.
        clock: Seconds.
        sleep: Waits for so many of them.
    """
    for offset in times:
        due = start + offset
        wait = due - clock()
        if wait > 0:
            await sleep(wait)
        yield due
