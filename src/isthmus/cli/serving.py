"""Verbs that serve a model and ask a server."""

from pathlib import Path
from typing import Any, Literal

import tyro

from isthmus.cli.swap_options import SwapOptions
from isthmus.errors import ConfigurationError

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
    cache_dir: Path | None = None,
    num_threads: int | None = None,
    num_codec_threads: int | None = None,
    max_frame_pixels: int | None = None,
    max_batch_size: int | None = None,
    max_in_flight: int | None = None,
    poll_interval_s: float | None = None,
    drain_timeout_s: float | None = None,
    reflection: bool = False,
    insecure: bool = False,
    swap: tyro.conf.OmitArgPrefixes[SwapOptions] = SwapOptions(),  # noqa: B008 - frozen
) -> None:
    """Serve a registered model's champion over gRPC, and follow it as it changes.

    $ isthmus serve --model street-segmenter --port 50051 --trust ~/.config/isthmus/gate.key.pub
    $ isthmus serve --model-file exports/source_only/model.onnx --port 0 --port-file port.txt

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder. SIGTERM drains and stops.

    Args:
        model: Registered model whose alias `champion` is served.
        model_file: An ONNX file instead, without a registry.
        host: Address to listen on; one that other machines reach needs --insecure, since this is plaintext.
        port: 0 takes any free port.
        port_file: The bound port is written here, for as long as the server listens.
        provider: require_cuda refuses to start without a GPU; prefer_cuda then warns and uses the CPU.
        cache_dir: Where downloaded models are kept; this user's alone.
        num_threads: Threads of the engine on a CPU; by default what this process may use.
        num_codec_threads: Threads that decode frames and encode masks.
        max_frame_pixels: Largest frame that is decoded.
        max_batch_size: Most frames in one ModelInfer request.
        max_in_flight: Most requests at once; the next one is refused with a hint when to come back.
        poll_interval_s: Seconds between looks at the registry.
        drain_timeout_s: Seconds that running requests have to finish after SIGTERM.
        reflection: Offer gRPC server reflection.
        insecure: Allow plaintext on an address that other machines reach.
        swap: What a promoted version must show before it serves; docs/operations/hot_swap.md.
    """
    import os

    from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
    from isthmus.serving.server import serve as serve_forever

    limits = {
        "max_frame_pixels": max_frame_pixels,
        "max_batch_size": max_batch_size,
        "max_in_flight": max_in_flight,
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
            swap=swap.resolve(),
            limits=LimitsConfig(**{key: value for key, value in limits.items() if value is not None}),
            **{key: value for key, value in given.items() if value is not None},
        )
    )


def segment(
    images: tyro.conf.Positional[tuple[Path, ...]], *, server: str, out: Path, timeout_s: float | None = None
) -> None:
    """Segment pictures through a server: id masks and colour overlays.

    $ isthmus segment frames/ --server 127.0.0.1:50051 --out masks

    Writes OUT/masks/NAME.png (8-bit ids, 255 unlabelled) and OUT/overlays/NAME.png.

    Args:
        images: JPEG or PNG files, or folders of them.
        server: HOST:PORT.
        out: Folder for what is made.
        timeout_s: Seconds that one picture may take.
    """
    from rich.console import Console

    if not images:
        raise ConfigurationError("no pictures named", remedy="Name JPEG or PNG files, or folders of them.")
    from isthmus.serving.client import DEFAULT_TIMEOUT_S
    from isthmus.serving.segment_files import segment_paths

    made = segment_paths(images, server, out, timeout_s=timeout_s or DEFAULT_TIMEOUT_S)
    Console().print(f"{len(made)} masks in {out / 'masks'}, overlays in {out / 'overlays'}")
