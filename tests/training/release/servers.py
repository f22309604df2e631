"""Real MLflow servers on loopback, on sqlite and on PostgreSQL: started, waited for, and ended with their children.

Tests reach them through the fixtures `server_uri` and `postgres_uri`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER_START_S = 600
SERVER_STOP_S = 30


@contextmanager
def running_mlflow(home: Path, backend: str) -> Iterator[str]:
    """`mlflow server` on a free port of loopback; its files are served through it, as in production."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", backend, "--artifacts-destination", (home / "artifacts").as_uri()]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # helpers of its own that nothing here uses
    uri = f"http://127.0.0.1:{port}"
    with running(command, home / "server.log", cwd=home, env=env) as process:
        wait_until(lambda: answers(f"{uri}/health"), process, home / "server.log")
        yield uri


@contextmanager
def running_postgres(home: Path) -> Iterator[str]:
    """A new PostgreSQL cluster on a free port of loopback; gives its SQLAlchemy address."""
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        home = Path(shutil.copytree(home, f"/tmp/isthmus-postgres-{os.getpid()}"))
        shutil.chown(home, user)
    as_user = {"user": user} if os.getuid() == 0 else {}
    data, port, log = home / "data", free_port(), home / "postgres.log"
    make = ["initdb", "--pgdata", str(data), "--username", "isthmus", "--auth", "trust", "--no-sync"]
    subprocess.run(make, cwd=home, check=True, capture_output=True, timeout=SERVER_START_S, **as_user)
    command = ["postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(home), "-F"]
    try:
        with running(command, log, cwd=home, env=dict(os.environ), **as_user) as process:
            wait_until(lambda: connects(port), process, log)
            yield f"postgresql+psycopg2://isthmus@127.0.0.1:{port}/postgres"
    finally:
        if as_user:
            shutil.rmtree(home)


@contextmanager
def running(command: list[str], log: Path, **how: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A process and its children for the length of a block, ended by the id of their own session."""
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, **how)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(SERVER_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SERVER_START_S
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def connects(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
