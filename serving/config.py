"""Configuration of the server.

Limits here are safety limits: what lies above them is refused before work or memory is spent on it.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config
from isthmus.errors import ConfigurationError
from isthmus.serving.engine_config import EngineConfig
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.security.config import SecurityConfig
from isthmus.serving.swap.config import SwapConfig
from isthmus.serving.telemetry_config import TelemetryConfig

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
MESSAGE_MARGIN_BYTES = 64 * 1024
"""What a gRPC message may hold beside a frame's pixels: names, numbers, tensor headers."""

DEFAULT_MAX_FRAME_PIXELS = 3840 * 2160

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class ProviderPolicy(StrEnum):
    """Where onnxruntime may run the model."""

    REQUIRE_CUDA = "require_cuda"
    """On the GPU; without one the server refuses to start."""

    PREFER_CUDA = "prefer_cuda"
    """On the GPU; without one on the CPU, with a warning and a mark in the model's metadata."""

    CPU = "cpu"
    """On the CPU, even if there is a GPU."""


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/isthmus/models`, or the same under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isthmus" / "models"


@config
class LimitsConfig:
    """What the server refuses."""

    max_frame_pixels: Positive = DEFAULT_MAX_FRAME_PIXELS
    """Most pixels a frame may have, and all frames of one ModelInfer request together, each counted at its own or at
    the network's size, whichever is larger."""
    max_batch_size: Positive = 8
    """Most frames in one ModelInfer request."""
    max_in_flight: Positive = 64
    """Most requests decoding, waiting or running at once, beside those of streams; the next one is answered
    RESOURCE_EXHAUSTED."""
    max_model_bytes: Positive = 1 << 30
    """Largest ONNX file that is downloaded or opened."""

    @property
    def max_message_bytes(self) -> int:
        """Largest gRPC message: the largest legal frame as raw RGB, and a margin."""
        return 3 * self.max_frame_pixels + MESSAGE_MARGIN_BYTES


@config
class ServerConfig:
    """Everything `isthmus serve` needs to know."""

    model_name: str | None = None
    """Registered model whose alias `champion` is served. Exactly one of model_name, model_file and engine.backend is
    given."""
    model_file: Path | None = None
    """An ONNX file to serve without a registry, to try it."""
    tracking_uri: str | None = None
    """MLflow server or sqlite URI of the registry; required with model_name."""
    cache_dir: Path = Field(default_factory=default_cache_dir)
    """Where downloaded models are kept, readable by this user alone."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 50051
    """TCP port; 0 takes any free one."""
    port_file: Path | None = None
    """Where the bound port is written once the server has started."""
    insecure: bool = False
    """Allow plaintext on an address other machines can reach."""
    reflection: bool = False
    """Offer gRPC server reflection, so that generic clients can list the services."""
    provider_policy: ProviderPolicy = ProviderPolicy.CPU
    """Where the model may run: require_cuda, prefer_cuda or cpu."""
    num_threads: Positive | None = None
    """Threads of the engine on a CPU; by default as many as the process may use."""
    num_codec_threads: Positive = 2
    """Threads that decode frames and encode masks."""
    poll_interval_s: Seconds = 2.0
    """Seconds between looks at the registry, give or take a fifth."""
    drain_timeout_s: Seconds = 10.0
    """Seconds that running requests have to finish after SIGTERM."""
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    """Sizes and counts above which the server refuses."""
    engine: EngineConfig = Field(default_factory=EngineConfig)
    """GPU buffers, and a remote back end."""
    scheduler: SchedulerConfig = Field(default_factory=SchedulerConfig)
    """Who goes first, how many go together."""
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    """Metrics, traces and logs."""
    security: SecurityConfig = Field(default_factory=SecurityConfig)
    """Certificates, policy and the operator's socket."""
    swap: SwapConfig = Field(default_factory=SwapConfig)
    """What a promoted version must show, and what happens around it; only for a registered model."""

    def __post_init__(self) -> None:
        backend = self.engine.backend
        if sum(source is not None for source in (self.model_name, self.model_file, backend)) != 1:
            raise ConfigurationError(
                "exactly one must be given: a registered model, a model file, or a server that computes",
                remedy="Name a registered model with --model, a model.onnx with --model-file, or a server that "
                "computes with --backend.",
            )
        if backend is not None and backend.ca_file is None and not (self.insecure or backend.host in LOOPBACK_HOSTS):
            raise ConfigurationError(
                f"frames for {backend.address} would leave this machine, and the connection is not encrypted",
                where="--backend",
                remedy="Name the authorities of its certificate with --backend-ca, or accept plaintext on a trusted "
                "network with --insecure.",
            )
        if self.model_name is None and self.swap != SwapConfig():
            raise ConfigurationError(
                "verdicts, guard and shadow belong to a registered model, and nothing would heed them here",
                where="--trust, --require-verdict, --guard-… and their like",
                remedy="Serve a registered model with --model, or leave them out.",
            )
        if self.model_name is not None and self.tracking_uri is None:
            raise ConfigurationError(
                "a registered model is given, but no registry",
                remedy="Name the registry in MLFLOW_TRACKING_URI, for example sqlite:///mlruns/mlflow.db.",
            )
        if self.security.is_encrypted and self.insecure:
            raise ConfigurationError(
                "plaintext is allowed, but there is a certificate", where="--insecure", remedy="Leave out one of them."
            )
        if self.host not in LOOPBACK_HOSTS and not self.insecure and not self.security.is_encrypted:
            raise ConfigurationError(
                f"{self.host} can be reached from other machines, and the connection is not encrypted",
                where="--host",
                remedy="Give --tls-cert, --tls-key and --client-ca, or listen on 127.0.0.1, or accept plaintext on a "
                "trusted network with --insecure.",
            )
