"""The event loop of all streams that are used without asyncio, on a thread of its own.

There is one for the process, and it lives as long: gRPC hands its events to whichever loop wakes up first, and stumbles
over those that belong to a loop which was closed meanwhile.
"""

import asyncio
import atexit
import threading
from typing import Final

_ENDING_S: Final = 5.0
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


def background_loop() -> asyncio.AbstractEventLoop:
    """The running loop; the first call starts it."""
    with _lock:
        if not _loops:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="camera-streams", daemon=True)
            thread.start()
            atexit.register(_end, loop, thread)
            _loops.append(loop)
        return _loops[0]


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Leave nothing behind when the process ends, whatever streams are still open."""
    asyncio.run_coroutine_threadsafe(_cancel_tasks(), loop).result(_ENDING_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_ENDING_S)
    loop.close()


async def _cancel_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_ENDING_S / 2)
