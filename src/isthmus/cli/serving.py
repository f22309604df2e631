"""The verb that serves a model."""

from pathlib import Path
from typing import Literal

import tyro

from isthmus.cli.serve_options import BackendOptions, LoadOptions, SecurityOptions, TelemetryOptions, given
from isthmus.cli.swap_options import SwapOptions

_DEFAULT_STORE = "sqlite:///mlruns/mlflow.db"
"""Where `register` and `promote` keep models unless MLFLOW_TRACKING_URI says otherwise."""


def serve(
    *,
    model: str | None = None,
    model_file: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 50051,
    port_file: Path | None = None,
    provider: Literal["require_cuda", "prefer_cuda", "cpu"] = "cpu",
    gpu_mem_limit_mb: int | None = None,
    bound_shapes: int | None = None,
    cache_dir: Path | None = None,
    num_threads: int | None = None,
    num_codec_threads: int | None = None,
    poll_interval_s: float | None = None,
    drain_timeout_s: float | None = None,
    reflection: bool = False,
    insecure: bool = False,
    load: tyro.conf.OmitArgPrefixes[LoadOptions] = LoadOptions(),  # noqa: B008 - frozen, as are the others
    swap: tyro.conf.OmitArgPrefixes[SwapOptions] = SwapOptions(),  # noqa: B008
    security: tyro.conf.OmitArgPrefixes[SecurityOptions] = SecurityOptions(),  # noqa: B008
    telemetry: tyro.conf.OmitArgPrefixes[TelemetryOptions] = TelemetryOptions(),  # noqa: B008
    backend: tyro.conf.OmitArgPrefixes[BackendOptions] = BackendOptions(),  # noqa: B008
) -> None:
    """Serve a registered model's champion over gRPC, and follow it as it changes.

    $ isthmus serve --model street-segmenter --port 50051 --trust ~/.config/isthmus/gate.key.pub
    $ isthmus serve --model-file exports/source_only/model.onnx --port 0 --port-file port.txt
    $ isthmus serve --backend 127.0.0.1:8001 --backend-model street-segmenter
    $ isthmus serve --model street-segmenter --host 0.0.0.0 --tls-cert server.pem --tls-key server.key
        --client-ca vehicles-ca.pem --policy policy.yaml

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder. SIGTERM drains and stops.

    Args:
        model: Registered model whose alias `champion` is served.
        model_file: An ONNX file instead, without a registry.
        host: Address to listen on; one that other machines reach needs --tls-cert, or --insecure for plaintext.
        port: 0 takes any free port.
        port_file: The bound port is written here, for as long as the server listens.
        provider: require_cuda refuses to start without a GPU; prefer_cuda then warns and uses the CPU.
        gpu_mem_limit_mb: Most GPU memory of one model; under half the card, since two live during a swap.
        bound_shapes: How many batch and frame sizes keep buffers of their own on the GPU.
        cache_dir: Where downloaded models are kept; this user's alone.
        num_threads: Threads of the engine on a CPU; by default what this process may use.
        num_codec_threads: Threads that decode frames and encode masks.
        poll_interval_s: Seconds between looks at the registry.
        drain_timeout_s: Seconds that running requests have to finish after SIGTERM.
        reflection: Offer gRPC server reflection.
        insecure: Allow plaintext on an address that other machines reach.
        load: How much is taken at once.
        swap: What a promoted version must show before it serves; docs/operations/hot_swap.md.
        security: Who gets in.
        telemetry: What people see of it.
        backend: A server that computes instead.
    """
    import os

    from isthmus.serving.config import ProviderPolicy, ServerConfig
    from isthmus.serving.engine_config import EngineConfig
    from isthmus.serving.server import serve as serve_forever

    if model is None and (model_file is not None or backend != BackendOptions()):
        swap.check_unused()
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
            limits=load.limits(),
            scheduler=load.scheduler(),
            swap=swap.resolve(),
            security=security.resolve(),
            telemetry=telemetry.resolve(),
            engine=EngineConfig(
                backend=backend.resolve(), **given(gpu_mem_limit_mb=gpu_mem_limit_mb, bound_shapes=bound_shapes)
            ),
            **given(
                cache_dir=cache_dir,
                num_threads=num_threads,
                num_codec_threads=num_codec_threads,
                poll_interval_s=poll_interval_s,
                drain_timeout_s=drain_timeout_s,
            ),
        )
    )
