"""Options of `isthmus serve` in groups, as its help shows them; those of promotion are in `swap_options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.serving.config import LimitsConfig
    from isthmus.serving.engine_config import BackendConfig
    from isthmus.serving.scheduling.config import SchedulerConfig
    from isthmus.serving.security.config import SecurityConfig
    from isthmus.serving.telemetry_config import TelemetryConfig


@dataclass(frozen=True)
class BackendOptions:
    """Another server computes: this one is a gateway, which decodes, schedules and packs."""

    backend: str | None = None
    """HOST:PORT of Triton, KServe or another of ours."""
    backend_model: str | None = None
    """The model's name there."""
    backend_card: Path | None = None
    """The model.onnx or model_card.json of its export, where the back end does not tell its card."""
    backend_ca: Path | None = None
    """PEM file of the authorities of the back end's certificate; without it the connection is plaintext."""
    backend_cert: Path | None = None
    """PEM file of this gateway's certificate, for a back end that asks for one."""
    backend_key: Path | None = None
    """PEM file of its private key."""
    backend_timeout_s: float | None = None
    """Most seconds that one request there may take; 10 by default."""
    backend_probe_interval_s: float | None = None
    """Seconds between two questions whether the model there is ready; 1 by default."""

    def resolve(self) -> "BackendConfig | None":
        """What was given; None where nothing was.

        Raises:
            ConfigurationError: Address or model is missing.
        """
        from isthmus.serving.engine_config import BackendConfig

        if self == BackendOptions():
            return None
        if self.backend is None or self.backend_model is None:
            raise ConfigurationError(
                "a back end is an address and a model",
                remedy="Give --backend HOST:PORT and --backend-model NAME together.",
            )
        return BackendConfig(
            address=self.backend,
            model=self.backend_model,
            card=self.backend_card,
            ca_file=self.backend_ca,
            cert_file=self.backend_cert,
            key_file=self.backend_key,
            **given(timeout_s=self.backend_timeout_s, probe_interval_s=self.backend_probe_interval_s),
        )


@dataclass(frozen=True)
class LoadOptions:
    """How much is taken at once, what goes together, and how long a stream lives."""

    max_frame_pixels: int | None = None
    """Largest frame that is decoded."""
    max_batch_size: int | None = None
    """Most frames in one ModelInfer request."""
    max_in_flight: int | None = None
    """Most unary requests at once; the next one is refused with a hint when to come back."""
    max_streams: int | None = None
    """Most open streams, one for each camera."""
    gather: int | None = None
    """Most frames of different callers in one batch; by default 1 on a CPU, max_batch_size on a GPU."""
    gather_wait_ms: float | None = None
    """Longest that a free engine waits for a batch to fill up; by default 0 on a CPU, 2 on a GPU."""
    max_model_bytes: int | None = None
    """Largest ONNX file that is downloaded or opened; 1 GiB by default."""
    max_waiting_bytes: int | None = None
    """Most bytes that all frames hold from their arrival to their answer; 512 MiB by default."""
    bulk_share: float | None = None
    """Bulk frames for each live frame while both wait, between 0 and 1; 0.1 by default."""
    max_stream_age_s: float | None = None
    """Seconds after which a stream is asked to reconnect, so that vehicles spread over new servers; 480 by default."""
    reconnect_grace_s: float | None = None
    """Seconds that a client then has to end its stream; 2 by default."""
    outbox_size: int | None = None
    """Most masks that wait for a slow reader in a stream before the oldest is dropped; 4 by default."""

    def limits(self) -> "LimitsConfig":
        """What is refused."""
        from isthmus.serving.config import LimitsConfig

        return LimitsConfig(
            **given(
                max_frame_pixels=self.max_frame_pixels,
                max_batch_size=self.max_batch_size,
                max_in_flight=self.max_in_flight,
                max_model_bytes=self.max_model_bytes,
            )
        )

    def scheduler(self) -> "SchedulerConfig":
        """What goes together, and how long a stream lives."""
        from isthmus.serving.scheduling.config import SchedulerConfig

        return SchedulerConfig(
            **given(
                max_streams=self.max_streams,
                max_batch_size=self.gather,
                max_batch_wait_ms=self.gather_wait_ms,
                max_waiting_bytes=self.max_waiting_bytes,
                bulk_share=self.bulk_share,
                max_stream_age_s=self.max_stream_age_s,
                reconnect_grace_s=self.reconnect_grace_s,
                outbox_size=self.outbox_size,
            )
        )


@dataclass(frozen=True)
class TelemetryOptions:
    """Metrics, traces and log; docs/operations/observability.md."""

    metrics_port: int | None = None
    """Offer Prometheus metrics over HTTP on this port; 0 takes any free one and logs it."""
    metrics_host: str = "127.0.0.1"
    """Address for the metrics; they hold numbers only, no frame and no vehicle."""
    otlp_endpoint: str | None = None
    """Send traces to this OpenTelemetry collector, http://HOST:4317; else to OTEL_EXPORTER_OTLP_ENDPOINT if that is
    set."""
    trace_ratio: float | None = None
    """Share of the frames that are traced, 0 to 1, where the caller has not decided it; 0.01 by default."""
    log_format: Literal["text", "json"] = "text"
    """text for people, or json: one object a line."""

    def resolve(self) -> "TelemetryConfig":
        """What was given, with the server's defaults for the rest."""
        from isthmus.serving.telemetry_config import LogFormat, TelemetryConfig

        return TelemetryConfig(
            metrics_host=self.metrics_host,
            log_format=LogFormat(self.log_format),
            **given(metrics_port=self.metrics_port, otlp_endpoint=self.otlp_endpoint, trace_ratio=self.trace_ratio),
        )


@dataclass(frozen=True)
class SecurityOptions:
    """Who gets in; docs/operations/security.md."""

    tls_cert: Path | None = None
    """The server's certificate, PEM; read again when it changes."""
    tls_key: Path | None = None
    """Its key, closed to other users."""
    client_ca: Path | None = None
    """Authorities of the vehicles' certificates; every caller needs one then."""
    policy: Path | None = None
    """Who may do what, and how much of it, YAML; read again when it changes."""
    admin_socket: Path | None = None
    """Unix socket for `isthmus admin`, in a folder that is this user's alone."""

    def resolve(self) -> "SecurityConfig":
        """What was given."""
        from isthmus.serving.security.config import SecurityConfig

        return SecurityConfig(
            tls_cert=self.tls_cert,
            tls_key=self.tls_key,
            client_ca=self.client_ca,
            policy=self.policy,
            admin_socket=self.admin_socket,
        )


def given(**options: Any) -> dict[str, Any]:
    """Those that are not None: the configuration knows the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}
