"""Verbs that serve a model and ask a server."""

from pathlib import Path
from typing import Any, Literal

import tyro

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
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    client_ca: Path | None = None,
    policy: Path | None = None,
    admin_socket: Path | None = None,
) -> None:
    """Serve a registered model's champion over gRPC.

    $ isthmus serve --model street-segmenter --port 50051
    $ isthmus serve --model-file exports/source_only/model.onnx --port 0 --port-file port.txt
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
        cache_dir: Where downloaded models are kept; this user's alone.
        num_threads: Threads of the engine on a CPU; by default what this process may use.
        num_codec_threads: Threads that decode frames and encode masks.
        max_frame_pixels: Largest frame that is decoded.
        max_batch_size: Most frames in one ModelInfer request.
        max_in_flight: Most requests at once; the next one is refused with a hint when to come back.
        poll_interval_s: Seconds between looks at the registry while there is no champion.
        drain_timeout_s: Seconds that running requests have to finish after SIGTERM.
        reflection: Offer gRPC server reflection.
        insecure: Allow plaintext on an address that other machines reach.
        tls_cert: The server's certificate, PEM; read again when it changes.
        tls_key: Its key, closed to other users.
        client_ca: Authorities of the vehicles' certificates; every caller needs one then.
        policy: Who may do what, and how much of it, YAML; read again when it changes.
        admin_socket: Unix socket for `isthmus admin`, in a folder that is this user's alone.
    """
    import os

    from isthmus.serving.config import LimitsConfig, ProviderPolicy, ServerConfig
    from isthmus.serving.security.config import SecurityConfig
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
            security=SecurityConfig(
                tls_cert=tls_cert, tls_key=tls_key, client_ca=client_ca, policy=policy, admin_socket=admin_socket
            ),
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
