"""Keeps a camera's stream connected: tries, pauses, opens the circuit, and follows a server that asks to."""

import asyncio
import logging
import time
from collections.abc import Callable

from isthmus.errors import ServingError
from isthmus.serving.client.breaker import Backoff, Circuit, CircuitBreaker, RetryConfig
from isthmus.serving.client.connection import Connection

logger = logging.getLogger(__name__)


class Lifeline:
    """One connection after the other; an old one may still bring answers while the next one carries frames.

    Args:
        connect: Makes a connection.
        retry: Pauses and the circuit breaker.
        drain_s: Seconds that an old connection has to bring what is due.
        on_open_circuit: Called when the circuit opens, with the reason.
        name: For the log.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        retry: RetryConfig,
        drain_s: float,
        on_open_circuit: Callable[[str], None],
        name: str,
    ) -> None:
        self.num_connections = 0
        self.last_error = ""
        self.breaker = CircuitBreaker(retry.failures_to_open, retry.open_s, time.monotonic)
        self._connect = connect
        self._retry = retry
        self._backoff = Backoff(retry.first_pause_s, retry.longest_pause_s)
        self._drain_s = drain_s
        self._on_open_circuit = on_open_circuit
        self._name = name
        self._current: Connection | None = None
        self._open: set[Connection] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether frames can be sent now."""
        return self._current is not None

    def start(self) -> None:
        """Begin to connect."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep_alive(), name=f"camera-stream-{self._name}")

    def nudge(self) -> None:
        """A frame waits."""
        if self._current is not None:
            self._current.nudge()

    def alive(self) -> None:
        """The server said something on the stream."""
        self.breaker.succeeded()

    async def close(self, timeout_s: float) -> None:
        """Wait for the answers that are due, at most `timeout_s` seconds, and end all connections."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for connection in tuple(self._open):
            self._finish(connection, timeout_s)
        await asyncio.gather(*self._finishing)

    async def _keep_alive(self) -> None:
        while True:
            pause_s = await self._live_once()
            await asyncio.sleep(pause_s)
            while (wait_s := self.breaker.wait_s()) > 0:  # again, should the loop's timer be early by a nanosecond
                await asyncio.sleep(wait_s)

    async def _live_once(self) -> float:
        """Connect and carry frames until that ends; the seconds to pause before the next attempt."""
        self.breaker.attempt()
        began = time.monotonic()
        connection = self._connect()
        self._open.add(connection)
        drain_s = self._drain_s
        try:
            await connection.open()
            self._current = connection
            self.num_connections += 1
            await connection.run()
        except ServingError as error:
            drain_s = 0.0
            self._failed(error)
        except Exception as error:  # a fault of ours must not leave the frames without anybody who sends them
            logger.exception("stream %r: the connection failed", self._name)
            drain_s = 0.0
            self._failed(ServingError(f"{type(error).__name__}: {error}"))
        finally:
            self._current = None
        self._finish(connection, drain_s)
        if connection.num_results or time.monotonic() - began > self._retry.longest_pause_s:
            self._backoff.reset()
            if drain_s:  # it ended in order: go on at once
                return 0.0
        return self._backoff.next_s()

    def _failed(self, error: ServingError) -> None:
        self.last_error = str(error)
        was = self.breaker.state
        self.breaker.failed()
        now = self.breaker.state
        logger.warning("stream %r: %s (failure %d, circuit %s)", self._name, error, self.breaker.failures, now.value)
        if now is Circuit.OPEN and was is not Circuit.OPEN:
            self._on_open_circuit(self.last_error)

    def _finish(self, connection: Connection, timeout_s: float) -> None:
        """End a connection in the background."""
        if connection not in self._open:
            return

        async def finish() -> None:
            await connection.finish(timeout_s)
            self._open.discard(connection)

        task = asyncio.get_running_loop().create_task(finish())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
