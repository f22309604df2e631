"""A server of its own process for the length of a step."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from isthmus.errors import ServingError

_START_S: Final = 120.0
_STOP_S: Final = 30.0


@contextmanager
def running_server(model: str, output: Path, *, trust: Path | None = None) -> Iterator[str]:
    """`isthmus serve --model MODEL` on a free port of loopback, stopped at the end; gives its address.

    Args:
        model: The registered model.
        output: The demo's folder.
        trust: The public key whose verdicts count; None asks for none.

    Raises:
        ServingError: It ended or did not answer in time; its log is named.
    """
    port_file, log = output / "server.port", output / "server.log"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "isthmus", "serve", "--model", model, "--port", "0"]
    command += ["--port-file", str(port_file), "--cache-dir", str(output / "model_cache")]
    if trust is not None:
        command += ["--trust", str(trust)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=os.environ)  # noqa: S603
    try:
        yield _address(process, port_file, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", port_file: Path, log: Path) -> str:
    from isthmus.serving.probe import probe

    said = "no port"
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if port_file.is_file():
            address = f"127.0.0.1:{port_file.read_text().strip()}"
            try:
                said = probe(address)
            except ServingError as error:
                said = str(error)
            if said == "SERVING":
                return address
            if "no model:" in log.read_text():
                said = "it found no model"
                break
        time.sleep(0.2)
    raise ServingError(f"the server did not come up ({said})", where=log, remedy="Its log says why.")
