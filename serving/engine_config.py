"""Configuration of the engines: fixed GPU buffers, and a remote server as the back end."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config
from isthmus.errors import ConfigurationError
from isthmus.serving.addresses import is_host_and_port


@config
class BackendConfig:
    """A server that speaks the Open Inference Protocol and computes in this one's place."""

    address: str
    """HOST:PORT of its gRPC endpoint."""
    model: str
    """The model's name there."""
    card: Path | None = None
    """A model.onnx or model_card.json that describes the model; without it the back end is asked for the card."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Most seconds that one request to the back end may take, whatever a frame's own deadline is."""
    probe_interval_s: Annotated[float, Field(gt=0)] = 1.0
    """Seconds between two questions whether the model there is ready."""
    ca_file: Path | None = None
    """PEM file of the authorities that sign the back end's certificate; without it the connection is plaintext."""
    cert_file: Path | None = None
    """PEM file of this gateway's own certificate, for a back end that asks for one."""
    key_file: Path | None = None
    """PEM file of the certificate's private key."""

    def __post_init__(self) -> None:
        port = self.address.rpartition(":")[2]
        if not port.isdigit() or not is_host_and_port(self.address):
            raise ConfigurationError(
                f"{self.address!r} is no HOST:PORT", where="--backend", remedy="Write for example 10.0.0.7:8001."
            )
        if (self.cert_file is None) != (self.key_file is None) or (self.cert_file and self.ca_file is None):
            raise ConfigurationError(
                "a certificate needs its key, and the authorities of the other side",
                where="--backend-key" if self.cert_file is None else "--backend-cert",
                remedy="Give --backend-ca, --backend-cert and --backend-key together, or --backend-ca alone.",
            )

    @property
    def host(self) -> str:
        """The address without its port and without the brackets of IPv6."""
        return self.address.rpartition(":")[0].strip("[]")


@config
class EngineConfig:
    """How models are run."""

    gpu_mem_limit_mb: Annotated[int, Field(gt=0)] = 4096
    """Most GPU memory that one model's arenas may take together; it has one for each batch size. Keep it under half the
    card, or a third with a challenger: two models live during a swap."""
    bound_shapes: Annotated[int, Field(gt=0)] = 16
    """How many shapes (batch size and frame size) keep their own fixed buffers on the GPU; the one that was used
    longest ago goes first."""
    backend: BackendConfig | None = None
    """Another server that computes; None computes in this process."""
