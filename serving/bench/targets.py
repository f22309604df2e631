"""Servers under test, each a process that is started, asked until it answers, and stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from isthmus.errors import ServingError
from isthmus.serving.bench.limit import EngineUnderTest
from isthmus.serving.bench.load import Wire
from isthmus.serving.bench.processes import cpu_seconds, family, resident_mib

_ADDRESS: Final = re.compile(r"listens on (\S+)")
_START_S: Final = 90.0
_STOP_S: Final = 15.0
_LOOK_S: Final = 0.05


class Target:
    """A server process. Use it as a context manager.

    Args:
        name: For tables.
        command: Starts it; it prints `listens on HOST:PORT` when it takes requests.
        wire: How frames reach it.
        model: Model's name, for OIP.
        environment: Variables beside those of this process.
        start_s: Seconds that it has until it listens.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        wire: Wire = Wire.STREAM,
        model: str = "",
        environment: Mapping[str, str] | None = None,
        start_s: float = _START_S,
    ) -> None:
        self.name = name
        self.wire = wire
        self.model = model
        self.address = ""
        self._command = list(command)
        self._start_s = start_s
        self._environment = {**os.environ, **(environment or {})}
        self._home = tempfile.TemporaryDirectory(prefix="isthmus-bench-", ignore_cleanup_errors=True)
        self._log = Path(self._home.name) / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are ours
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._home.name,
                process_group=0,  # Ctrl-C is ours; a session of its own would be weighed apart from the bare loop's
            )
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """It, once it was started."""
        assert self._process is not None
        return self._process

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        return cpu_seconds(self.process.pid)

    def memory_mib(self) -> float:
        """Memory that it holds."""
        return resident_mib(self.process.pid)

    def terminate(self) -> tuple[int | None, float]:
        """Ask it to stop.

        Returns:
            Its exit code, None where it had to be killed, and the seconds that it took.
        """
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            code = None
        return code, time.monotonic() - started

    def close(self) -> None:
        """End it, and whatever it leaves behind."""
        if self._process is not None:
            started = family(self._process.pid)
            if self._process.poll() is None:
                self.terminate()
            for pid in started:
                _kill(pid)
            self._process.wait()
        self._home.cleanup()

    def _wait_for_address(self) -> str:
        until = time.monotonic() + self._start_s
        while time.monotonic() < until:
            found = _ADDRESS.search(self.output())
            if found is not None:
                return found.group(1)
            if self.process.poll() is not None:
                raise ServingError(
                    f"it ended with code {self.process.returncode} before it listened",
                    where=self.name,
                    remedy=f"It said: {_last_words(self.output())}",
                )
            time.sleep(_LOOK_S)
        raise ServingError(
            f"it did not listen within {self._start_s:.0f} s",
            where=self.name,
            remedy=f"It said: {_last_words(self.output())}",
        )


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _last_words(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines()[-3:]) or "nothing"


def isthmus_server(engine: EngineUnderTest, *, swap_every_s: float | None = None, name: str = "isthmus") -> Target:
    """Ours: `isthmus serve` with a model file, or the bench's own server where the engine is fake or swapped.

    Args:
        engine: What computes.
        swap_every_s: Seconds from swap to swap, 0 for none; a number takes the bench's own server.
        name: For tables.
    """
    threads = ["--num-threads", str(engine.num_threads), "--provider", engine.provider]
    if engine.model_file is not None and swap_every_s is None:
        given = ["--model-file", str(engine.model_file.resolve()), "--port", "0", *threads]
        return Target(name, [sys.executable, "-P", "-m", "isthmus", "serve", *given])
    own = [sys.executable, "-P", "-m", "isthmus.serving.bench.own_server", *threads]
    if engine.model_file is not None:
        own += ["--model-file", str(engine.model_file.resolve())]
    else:
        own += ["--fake-ms", str(engine.fake_ms)]
    return Target(name, [*own, "--swap-every-s", str(swap_every_s or 0.0)])
