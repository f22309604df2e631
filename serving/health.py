"""`grpc.health.v1.Health`, whose watches end with the server."""

import asyncio
from typing import Any, Final

from grpc_health.v1 import health, health_pb2

from isthmus.serving.identity import Context

_LAST_STATE_S: Final = 0.1
_Base: Any = health.aio.HealthServicer  # pyright: ignore[reportAttributeAccessIssue]


class HealthServicer(_Base):  # type: ignore[misc]  # grpc_health is untyped
    """Ends watches when the server stops; else each would hold up its end for as long as calls may still run.

    They outlive `enter_graceful_shutdown`, since a client whose watch ends while it can still connect asks again at
    once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[None]] = set()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """Tell a service's state whenever it changes, until the server stops."""
        watch = asyncio.get_running_loop().create_task(super().Watch(request, context))
        self._watches.add(watch)
        try:
            await asyncio.wait([watch])
        finally:
            self._watches.discard(watch)
            watch.cancel()
        if not watch.cancelled():
            watch.result()  # raises what went wrong

    async def end_watches(self) -> None:
        """End those that are open, after a moment in which they tell the last state."""
        if self._watches:
            await asyncio.wait(self._watches, timeout=_LAST_STATE_S)
        for watch in self._watches:
            watch.cancel()
