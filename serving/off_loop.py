"""Work that blocks, on a thread of its own beside the event loop."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

T = TypeVar("T")

LOADER: Final = "load-model"
"""How the names of these threads begin."""
BACKGROUND: Final = 19
"""The lowest priority: about one seventieth of the CPU time of a thread that drives a vehicle."""


async def in_thread(work: Callable[[], T], *, nice: int = 0) -> T:
    """Like `asyncio.to_thread`, on a thread that no end of a loop or of the process waits for.

    Args:
        work: What blocks.
        nice: Priority of the thread and, on Linux, of all threads that it starts; 0 leaves it, 19 is the lowest.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            if nice:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name=LOADER, daemon=True).start()
    return await asyncio.wrap_future(future)
