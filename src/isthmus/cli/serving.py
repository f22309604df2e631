"""The verb that serves a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.serving.engine_config import BackendConfig

_DEFAULT_STORE = "sqlite:///mlruns/mlflow.db"
"""Where `register` and `promote` keep models unless MLFLOW_TRACKING_URI says otherwise."""


def serve(
    *,
    model: str | None = None,
    model_file: Path | None = None,
    backend: str | None = None,
    backend_model: str | None = None,
    backend_card: Path | None = None,
    backend_ca: Path | None = None,
    backend_cert: Path | None = None,
    backend_key: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 50051,
    port_file: Path | None = None,
    provider: Literal["require_cuda", "prefer_cuda", "cpu"] = "cpu",
    gpu_mem_limit_mb: int | None = None,
    cache_dir: Path | None = None,
    num_threads: int | None = None,
    num_codec_threads: int | None = None,
    max_frame_pixels: int | None = None,
    max_batch_size: int | None = None,
    max_in_flight: int | None = None,
    max_streams: int | None = None,
    gather: int | None = None,
    gather_wait_ms: float | None = None,
    poll_interval_s: float | None = None,
    drain_timeout_s: float | None = None,
    reflection: bool = False,
    insecure: bool = False,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    otlp_endpoint: str | None = None,
    trace_ratio: float | None = None,
    log_format: Literal["text", "json"] = "text",
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    client_ca: Path | None = None,
    policy: Path | None = None,
    admin_socket: Path | None = None,
) -> None:
    """Serve a registered model's champion over gRPC.

    $ isthmus serve --model street-segmenter --port 50051
    $ isthmus serve --model-file exports/source_only/model.onnx --port 0 --port-file port.txt
    $ isthmus serve --backend 127.0.0.1:8001 --backend-model street-segmenter
    $ isthmus serve --model street-segmenter --host 0.0.0.0 --tls-cert server.pem --tls-key server.key
        --client-ca vehicles-ca.pem --policy policy.yaml

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder. SIGTERM drains and stops.

    Args:
        model: Registered model whose alias `champion` is served.
        model_file: An ONNX file instead, without a registry.
        backend: HOST:PORT of a server that computes instead: Triton, KServe or another of ours. This one then is a
            gateway, which decodes, schedules and packs.
        backend_model: The model's name there.
        backend_card: The model.onnx or model_card.json of its export, where the back end does not tell its card.
        backend_ca: PEM file of the authorities of the back end's certificate; without it the connection is plaintext.
        backend_cert: PEM file of this gateway's certificate, for a back end that asks for one.
        backend_key: PEM file of its private key.
        host: Address to listen on; one that other machines reach needs --tls-cert, or --insecure for plaintext.
        port: 0 takes any free port.
        port_file: The bound port is written here, for as long as the server listens.
        provider: require_cuda refuses to start without a GPU; prefer_cuda then warns and uses the CPU.
        gpu_mem_limit_mb: Most GPU memory of one model; under half the card, since two live during a swap.
        cache_dir: Where downloaded models are kept; this user's alone.
        num_threads: Threads of the engine on a CPU; by default what this process may use.
        num_codec_threads: Threads that decode frames and encode masks.
        max_frame_pixels: Largest frame that is decoded.
        max_batch_size: Most frames in one ModelInfer request.
        max_in_flight: Most unary requests at once; the next one is refused with a hint when to come back.
        max_streams: Most open streams, one for each camera.
        gather: Most frames of different callers in one batch; by default 1 on a CPU, max_batch_size on a GPU.
        gather_wait_ms: Longest that a free engine waits for a batch to fill up; by default 0 on a CPU, 2 on a GPU.
        poll_interval_s: Seconds between looks at the registry while there is no champion.
        drain_timeout_s: Seconds that running requests have to finish after SIGTERM.
        reflection: Offer gRPC server reflection.
        insecure: Allow plaintext on an address that other machines reach.
        metrics_port: Offer Prometheus metrics over HTTP on this port; 0 takes any free one and logs it.
        metrics_host: Address for the metrics; they hold numbers only, no frame and no vehicle.
        otlp_endpoint: Send traces to this OpenTelemetry collector, http://HOST:4317; else to
            OTEL_EXPORTER_OTLP_ENDPOINT if that is set.
        trace_ratio: Share of the frames that are traced, 0 to 1, where the caller has not decided it; 0.01 by default.
        log_format: text for people, or json: one object a line.
        tls_cert: The server's certificate, PEM; read again when it changes.
        tls_key: Its key, closed to other users.
        client_ca: Authorities of the vehicles' certificates; every caller needs one then.
        policy: Who may do what, and how much of it, YAML; read again when it changes.
        admin_socket: Unix socket for `isthmus admin`, in a folder that is this user's alone.
    """
    import os

    from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
    from isthmus.serving.engine_config import EngineConfig
    from isthmus.serving.scheduling.config import SchedulerConfig
    from isthmus.serving.security.config import SecurityConfig
    from isthmus.serving.server import serve as serve_forever
    from isthmus.serving.telemetry_config import LogFormat, TelemetryConfig

    limits = {
        "max_frame_pixels": max_frame_pixels,
        "max_batch_size": max_batch_size,
        "max_in_flight": max_in_flight,
    }
    telemetry: dict[str, Any] = {
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
        "otlp_endpoint": otlp_endpoint,
        "trace_ratio": trace_ratio,
        "log_format": LogFormat(log_format),
    }
    scheduler: dict[str, Any] = {
        "max_streams": max_streams,
        "max_batch_size": gather,
        "max_batch_wait_ms": gather_wait_ms,
    }
    given: dict[str, Any] = {
        "cache_dir": cache_dir,
        "num_threads": num_threads,
        "num_codec_threads": num_codec_threads,
        "poll_interval_s": poll_interval_s,
        "drain_timeout_s": drain_timeout_s,
    }
    serve_forever(
        ServerConfig(
            model_name=model,
            model_file=model_file,
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", _DEFAULT_STORE) if model else None,
            host=host,
            port=port,
            port_file=port_file,
            provider_policy=ProviderPolicy(provider),
            reflection=reflection,
            insecure=insecure,
            security=SecurityConfig(
                tls_cert=tls_cert, tls_key=tls_key, client_ca=client_ca, policy=policy, admin_socket=admin_socket
            ),
            limits=LimitsConfig(**{key: value for key, value in limits.items() if value is not None}),
            engine=EngineConfig(
                backend=_backend(
                    backend,
                    backend_model,
                    {"card": backend_card, "ca_file": backend_ca, "cert_file": backend_cert, "key_file": backend_key},
                ),
                **({} if gpu_mem_limit_mb is None else {"gpu_mem_limit_mb": gpu_mem_limit_mb}),
            ),
            telemetry=TelemetryConfig(**{key: value for key, value in telemetry.items() if value is not None}),
            scheduler=SchedulerConfig(**{key: value for key, value in scheduler.items() if value is not None}),
            **{key: value for key, value in given.items() if value is not None},
        )
    )


def _backend(address: str | None, model: str | None, files: dict[str, Any]) -> "BackendConfig | None":
    from isthmus.serving.engine_config import BackendConfig

    if address is None and model is None and not any(files.values()):
        return None
    if address is None or model is None:
        raise ConfigurationError(
            "a back end is an address and a model", remedy="Give --backend HOST:PORT and --backend-model NAME together."
        )
    return BackendConfig(address=address, model=model, **files)
