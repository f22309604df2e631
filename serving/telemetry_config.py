"""Configuration of what the server tells about itself: metrics, traces, logs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    """For people."""

    JSON = "json"
    """One JSON object a line, for programs."""


@config
class TelemetryConfig:
    """Who may look into the server, and how."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TCP port of the Prometheus endpoint; 0 takes any free one, none offers no endpoint."""
    metrics_host: str = "127.0.0.1"
    """Address of that endpoint. It speaks plain HTTP and shows numbers only, neither frames nor vehicles."""
    otlp_endpoint: str | None = None
    """OpenTelemetry collector (OTLP over gRPC) that gets traces, for example http://collector:4317; without it the
    environment's OTEL_EXPORTER_OTLP_ENDPOINT counts, and without that one nothing is traced."""
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the frames that are traced, where the caller has not decided it."""
    log_format: LogFormat = LogFormat.TEXT
    """How the log is written: text or json."""
