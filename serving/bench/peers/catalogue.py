"""Which peers there are, and how each is started."""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.errors import ServingError
from isthmus.serving.bench.config import BenchConfig
from isthmus.serving.bench.load import Wire
from isthmus.serving.bench.targets import Target
from isthmus.serving.config import ProviderPolicy

MODEL: Final = "segmenter"
_SCRIPTS: Final = Path(__file__).parent
_START_S: Final = 180.0  # Ray starts half a dozen processes first
_NOT_FOR_PEERS: Final = ("PYTHONPATH", "PYTHONSAFEPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Peer:
    """Another server.

    Args:
        name: For tables.
        wire: How frames reach it.
        environment: Folder of its environment, in that of all peers; empty for our own.
    """

    name: str
    wire: Wire
    environment: str = ""

    def start(self, config: BenchConfig) -> Target:
        """Its process, not yet started.

        Raises:
            ServingError: There is no model, or no environment.
        """
        if config.model_file is None:
            raise ServingError("peers need a model", where=self.name, remedy="Give --model-file.")
        given = ["--model-file", str(config.model_file.resolve()), "--num-threads", str(config.num_threads)]
        if not self.environment:
            module = "isthmus.serving.bench.peers.naive_grpc"
            return Target(self.name, [sys.executable, "-P", "-m", module, *given], wire=self.wire)
        python = (config.peers or Path()).resolve() / self.environment / "bin" / "python"
        if not python.exists():
            raise ServingError(
                "it has no environment", where=python, remedy="Make it with tools/bench_peers.sh, or leave out --peers."
            )
        script = str(_SCRIPTS / f"{self.environment}_peer.py")
        command = ["env", *(f"--unset={name}" for name in _NOT_FOR_PEERS), str(python), script, *given]
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        return Target(
            self.name,
            [*command, "--port", str(_free_port())],
            wire=self.wire,
            model=MODEL,
            environment=quiet,
            start_s=_START_S,
        )


PEERS: Final = (
    Peer("naive grpc.aio", Wire.SEGMENT),
    Peer("LitServe", Wire.HTTP, "litserve"),
    Peer("MLServer", Wire.OIP, "mlserver"),
    Peer("Ray Serve", Wire.HTTP, "ray"),
)


def peers_for(config: BenchConfig) -> Iterator[Peer]:
    """Those that a run measures: none without a model or on a GPU, only the naive one without environments."""
    if config.model_file is None or config.provider is not ProviderPolicy.CPU:
        return
    for peer in PEERS:
        if not peer.environment or config.peers is not None:
            yield peer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
