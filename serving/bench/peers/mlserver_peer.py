"""MLServer: writes its settings into a folder of its own, and runs it."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

from bare_session import options, say_when_ready  # type: ignore[import-not-found]  # pyright: ignore

MODEL = "segmenter"


def main() -> None:
    """Serve on the given port, with REST on another, which only tells when it is ready."""
    given = options()
    home = Path(tempfile.mkdtemp())
    rest, metrics = _free_port(), _free_port()
    settings = {
        "host": "127.0.0.1",
        "grpc_port": given.port,
        "http_port": rest,
        "metrics_port": metrics,
        "grpc_max_message_length": 64 << 20,
        "parallel_workers": 0,
    }
    model = {
        "name": MODEL,
        "implementation": "mlserver_runtime.SegmentRuntime",
        "parameters": {"extra": {"model_file": str(given.model_file), "num_threads": given.num_threads}},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    say_when_ready(f"http://127.0.0.1:{rest}/v2/models/{MODEL}/ready", f"127.0.0.1:{given.port}")
    sys.argv = ["mlserver", "start", str(home)]
    from mlserver.cli import main as run  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]

    run()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
