"""Engines that wait for the test, and patience."""

import threading

import pytest

from isthmus.serving.engine import OrtEngine

TIMEOUT_S = 30.0


@pytest.fixture
def held_engine(monkeypatch):
    """Engines that wait until `release` is set; `running` says that one does."""

    class Gate:
        running = threading.Event()
        release = threading.Event()

    original = OrtEngine.infer_now

    def infer_now(self, images):
        if threading.current_thread().name.startswith("engine"):  # not the golden frame's check
            Gate.running.set()
            assert Gate.release.wait(2 * TIMEOUT_S)  # longer than any test waits
        return original(self, images)

    monkeypatch.setattr(OrtEngine, "infer_now", infer_now)
    yield Gate
    Gate.release.set()
