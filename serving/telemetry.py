"""What the server tells about itself, put together: metrics, traces, and the log of frames."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from isthmus.errors import ServingError
from isthmus.serving.events import Events
from isthmus.serving.logs import FrameLog
from isthmus.serving.metrics import Load, Metrics
from isthmus.serving.rpc_telemetry import RpcTelemetry
from isthmus.serving.telemetry_config import TelemetryConfig
from isthmus.serving.tracing import Tracing, build_tracing

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

logger = logging.getLogger(__name__)


class Telemetry:
    """Listens to the server's events, from `start` to `stop`.

    Args:
        config: Who may look.
        events: What happens.
        load: What the gauges read; the pipeline.
        has_registry: Whether models come from a registry.
        certificate_ends: End of the server's certificate, in seconds since the epoch; None without one.
    """

    def __init__(
        self,
        config: TelemetryConfig,
        events: Events,
        load: Load,
        *,
        has_registry: bool,
        certificate_ends: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._config = config
        self._events = events
        self.calls = RpcTelemetry(events)
        """The interceptor; it comes first."""
        self.metrics = Metrics(
            load, self.calls.open_streams, has_registry=has_registry, certificate_ends=certificate_ends
        )
        """Its setter is for whoever asks the registry."""
        self._tracing: Tracing | None = None
        self._endpoint: tuple[WSGIServer, threading.Thread] | None = None

    @property
    def metrics_port(self) -> int | None:
        """Port of the metrics' endpoint; None where there is none."""
        return None if self._endpoint is None else self._endpoint[0].server_port

    def start(self) -> None:
        """Listen to events, and answer Prometheus.

        Raises:
            ConfigurationError: The trace collector's address is none.
            ServingError: The metrics' address is taken.
        """
        self._tracing = build_tracing(self._config)
        self._events.subscribe(FrameLog())
        if self._tracing is not None:
            self._events.subscribe(self._tracing)
        if self._config.metrics_port is not None:
            self._events.subscribe(self.metrics)
            self._open_endpoint(self._config.metrics_host, self._config.metrics_port)

    async def stop(self) -> None:
        """Close the endpoint and send the last spans; a second call does nothing."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await asyncio.to_thread(_close, *endpoint)
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)

    def _open_endpoint(self, host: str, port: int) -> None:
        from prometheus_client import start_http_server

        try:
            self._endpoint = start_http_server(port, host, self.metrics.registry)
        except OSError as error:  # taken, or no address of this machine
            raise ServingError(
                f"cannot offer metrics: {error.strerror or error}",
                where=f"{host}:{port}",
                remedy="Choose another --metrics-host or --metrics-port, or 0 for any free one.",
            ) from error
        shown = f"[{host}]" if ":" in host else host
        logger.info("metrics on http://%s:%d/metrics", shown, self._endpoint[0].server_port)


def _close(server: "WSGIServer", thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
