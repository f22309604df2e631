"""How the server's process ends: on a signal, on an error, with its engine, whatever hangs."""

import os
import signal
import subprocess
import sys

import pytest

from isthmus.errors import EngineLostError, ServingError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.probe import probe

TIMEOUT_S = 30.0


SERVE_AND_HANG = """
import sys, threading
from pathlib import Path
from isthmus.serving import engine, model_store, server
from isthmus.serving.config import ServerConfig

def hang(*_):
    print("hangs", flush=True)
    threading.Event().wait()

def hang_unless_golden(self, images, run=engine.OrtEngine.infer_now):
    return hang() if threading.current_thread().name.startswith("engine") else run(self, images)

if sys.argv[1] == "registry":
    model_store.ModelStore.load = hang
else:
    engine.OrtEngine.infer_now = hang_unless_golden
server.serve(ServerConfig(model_file=Path(sys.argv[2]), port=0, port_file=Path(sys.argv[3]), drain_timeout_s=0.1))
"""


@pytest.mark.parametrize("where", ["registry", "engine"])
def test_process_ends_on_sigterm_whatever_hangs(model_file, tmp_path, tiny, where):
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", SERVE_AND_HANG, where, str(model_file), str(port_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            if where == "engine":
                assert next(lines).startswith("isthmus listens")
                address = f"127.0.0.1:{port_file.read_text().strip()}"
                with SegmentationClient(address, timeout_s=0.5) as client, pytest.raises(ServingError):
                    client.segment(tiny.street())
            assert next(lines) == "hangs\n"
            assert port_file.exists()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert "still at work" in log
    assert not port_file.exists()


FAIL_WHILE_A_THREAD_HANGS = """
import sys, threading
from pathlib import Path
from isthmus.serving import server
from isthmus.serving.config import ServerConfig

threading.Thread(target=threading.Event().wait, name="engine-hangs").start()
server.serve(ServerConfig(model_file=Path(sys.argv[1]), port=0))
"""


def test_process_ends_after_an_error_whatever_hangs(tmp_path):
    command = [sys.executable, "-c", FAIL_WHILE_A_THREAD_HANGS, str(tmp_path / "missing.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1
    assert "engine-hangs is still at work" in done.stderr
    assert "missing.onnx" in done.stderr


def test_process_drains_on_sigterm(model_file, tmp_path, tiny):
    code = (
        "import sys; from pathlib import Path; from isthmus.serving.config import ServerConfig;"
        "from isthmus.serving.server import serve;"
        "serve(ServerConfig(model_file=Path(sys.argv[1]), port=0, port_file=Path(sys.argv[2]), num_threads=1))"
    )
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", code, str(model_file), str(port_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = int(port_file.read_text())
        assert line == f"isthmus listens on 127.0.0.1:{port}\n"
        probing = [sys.executable, "-m", "isthmus.serving.probe", "--port-file", str(port_file)]
        assert subprocess.run(probing, timeout=TIMEOUT_S, capture_output=True, check=False).returncode == 0
        with SegmentationClient(f"127.0.0.1:{port}") as client:
            assert client.segment(tiny.street()).model_version == "file"
        os.kill(process.pid, signal.SIGTERM)
        _, log = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, log
        assert "Traceback" not in log
        assert subprocess.run(probing, timeout=TIMEOUT_S, capture_output=True, check=False).returncode == 1
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


LOSE_THE_ENGINE = """
import sys, threading
from pathlib import Path
from onnxruntime.capi import _pybind_state
from isthmus.serving import server, session
from isthmus.serving.config import ServerConfig

class Lost:
    def __init__(self, inner): self.inner = inner
    def run(self, *arguments):
        if threading.current_thread().name.startswith("engine"):  # not the golden frame's check
            raise _pybind_state.EPFail("CUDA failure 700")
        return self.inner.run(*arguments)
    def __getattr__(self, name): return getattr(self.inner, name)

def card(session, where, read=session._card):
    session._sess = Lost(session._sess)
    return read(session, where)

session._card = card
server.serve(ServerConfig(model_file=Path(sys.argv[1]), port=0, num_threads=1))
"""


def test_lost_engine_ends_the_process(model_file, tiny):
    command = [sys.executable, "-c", LOSE_THE_ENGINE, str(model_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[-1]
            with SegmentationClient(address) as client, pytest.raises(EngineLostError, match="provider has failed"):
                client.segment(tiny.street())
            _, log = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "CUDA failure 700" in log
    with pytest.raises(ServingError, match="no health"):
        probe(address)
