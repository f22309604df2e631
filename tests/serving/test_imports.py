"""What serving must never import, seen in a process of its own."""

import subprocess
import sys

import pytest

PROBE = """
import importlib, pkgutil, sys
import isthmus.serving
names = [item.name for item in pkgutil.iter_modules(isthmus.serving.__path__, "isthmus.serving.")]
for name in names:
    importlib.import_module(name)
print(len(names))
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def loaded(*candidates, code=PROBE):
    run = subprocess.run(
        [sys.executable, "-c", code, *candidates], capture_output=True, text=True, timeout=120, check=True
    )
    count, found = run.stdout.split("\n")[:2]
    return int(count), found.split()


def test_no_module_of_serving_needs_training():
    count, found = loaded(
        "torch", "torchvision", "isthmus.datasets", "isthmus.training", "mlflow", "onnx", "albumentations"
    )
    assert count >= 15
    assert found == []


RUNTIME = ("onnxruntime", "mlflow", "torch", "sqlalchemy", "onnx", "prometheus_client", "opentelemetry", "cryptography")


@pytest.mark.parametrize("module", ["segment_files", "segment_video", "watch"])
def test_what_asks_a_server_needs_no_runtime(module):
    code = PROBE.replace("for name in names", f'for name in ["isthmus.serving.{module}"]')
    assert loaded(*RUNTIME, code=code)[1] == []


def test_client_is_small():
    code = PROBE.replace("for name in names", 'for name in ["isthmus.serving.client"]')
    assert loaded(*RUNTIME, "rich", "tyro", "PIL", "matplotlib", "rclpy", code=code)[1] == []
