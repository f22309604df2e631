"""Ask a server again and again, and show what it says."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.live import Live

from isthmus.errors import ServingError
from isthmus.serving.client import AsyncSegmentationClient, Change, ModelChange
from isthmus.serving.client.asyncio_unary import open_channel
from isthmus.serving.config import LimitsConfig
from isthmus.serving.transport import channel_options
from isthmus.serving.watch.metrics_page import check_url, read_metrics
from isthmus.serving.watch.state import NOT_ASKED, WatchState
from isthmus.serving.watch.view import change_line, draw, line

_TIMEOUT_S: Final = 3.0


def watch(
    address: str,
    *,
    metrics_url: str | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    interval_s: float = 1.0,
    once: bool = False,
    console: Console | None = None,
) -> bool:
    """Show a server until Ctrl-C, or once; where there is no terminal, write a line for whatever changes.

    Args:
        address: `HOST:PORT`.
        metrics_url: Its metrics page, for frames by verdict.
        credentials: For TLS; None for plaintext.
        interval_s: Seconds between two looks.
        once: Look once, print, and return.
        console: Where to; the terminal by default.

    Returns:
        Whether the server was serving at the last look.

    Raises:
        ConfigurationError: metrics_url is no http or https address.
    """
    if metrics_url is not None:
        check_url(metrics_url)
    state = WatchState(address, metrics_url=metrics_url)
    where = console or Console()
    if once:
        asyncio.run(_look_once(state, credentials))
        where.print(draw(state))
    elif not where.is_terminal:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_follow(state, credentials, interval_s, _Lines(state, where).show))
    else:
        with Live(draw(state), console=where, auto_refresh=False) as live, contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_follow(state, credentials, interval_s, lambda: live.update(draw(state), refresh=True)))
    return state.is_serving


class _Lines:
    """Writes a line when the state, or the last change of the model, is another than before."""

    def __init__(self, state: WatchState, console: Console) -> None:
        self._state = state
        self._console = console
        self._last = ""
        self._last_change: ModelChange | None = None

    def show(self) -> None:
        change = self._state.changes[-1][1] if self._state.changes else None
        if change is not None and change is not self._last_change and change.change is not Change.CURRENT:
            self._write(change_line(change))
        self._last_change = change
        if self._state.health != NOT_ASKED and (now := line(self._state)) != self._last:
            self._write(now)
            self._last = now

    def _write(self, text: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        self._console.print(f"{stamp} {text}", markup=False, highlight=False, soft_wrap=True)


async def _look_once(state: WatchState, credentials: grpc.ChannelCredentials | None) -> None:
    async with (
        AsyncSegmentationClient(state.address, timeout_s=_TIMEOUT_S, credentials=credentials) as client,
        open_channel(state.address, credentials, channel_options(LimitsConfig())) as channel,
    ):
        await _look(state, client, channel)


async def _follow(
    state: WatchState, credentials: grpc.ChannelCredentials | None, interval_s: float, show: Callable[[], None]
) -> None:
    """Look every `interval_s`, hear of changes in between; never returns."""
    async with (
        AsyncSegmentationClient(state.address, timeout_s=_TIMEOUT_S, credentials=credentials) as client,
        open_channel(state.address, credentials, channel_options(LimitsConfig())) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_listen(state, client, interval_s, show))
        while True:
            await _look(state, client, channel)
            show()
            await asyncio.sleep(interval_s)


async def _look(state: WatchState, client: AsyncSegmentationClient, channel: grpc.aio.Channel) -> None:
    state.health = await _health(channel)
    try:
        state.model, state.problem = await client.model_info(), ""
    except ServingError as error:
        state.model, state.problem = None, error.problem
    if state.metrics_url is not None:
        try:
            page = await asyncio.to_thread(read_metrics, state.metrics_url)
        except ServingError as error:
            state.metrics_problem = str(error)
        else:
            state.read(time.monotonic(), page)


async def _listen(
    state: WatchState, client: AsyncSegmentationClient, interval_s: float, show: Callable[[], None]
) -> None:
    """Hear of changes; a server that goes, or cannot tell them, is asked again."""
    while True:
        try:
            async for change in client.watch_model():
                state.changes.append((change.changed_at or datetime.now(UTC), change))
                state.model, state.problem, state.changes_problem = change.model, "", ""
                show()
        except ServingError as error:
            state.changes_problem = error.problem
        await asyncio.sleep(interval_s)


async def _health(channel: grpc.aio.Channel) -> str:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
    except grpc.RpcError as error:
        return f"no health to be had ({error.code().name})"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
