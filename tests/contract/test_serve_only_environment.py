"""The serving environment as the Dockerfile makes it: from the lock, by hash, without torch; and it answers."""

import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest

from isthmus.serving.client import SegmentationClient

INSTALL_TIMEOUT_S = 300
SERVE = """
import sys
from pathlib import Path
from isthmus.serving.config import ServerConfig
from isthmus.serving.server import serve
serve(ServerConfig(model_name="tiny", tracking_uri=sys.argv[1], cache_dir=Path(sys.argv[2]), port=0, num_threads=1))
"""
FORBIDDEN = ("torch", "torchvision", "onnx", "albumentations", "segmentation_models_pytorch", "matplotlib")


def find_uv(repository):
    """uv from $UV, the repository's tools or the path; a machine without it cannot run this test."""
    found = os.environ.get("UV") or shutil.which("uv", path=f"{repository / '.tools/bin'}:{os.environ['PATH']}")
    if found is None:
        assert "CI" not in os.environ, "uv is missing: run `make setup`, or name it in $UV"
        pytest.skip("uv is missing: run `make setup`, or name it in $UV")
    return found


@pytest.fixture(scope="module")
def python(repository, tmp_path_factory):
    """The interpreter of a new environment with only the extras serve and cpu."""
    uv, target = find_uv(repository), tmp_path_factory.mktemp("serve-only") / "venv"
    interpreter = str(target / "bin" / "python")
    for step in (
        ["venv", "--python", sys.executable, str(target)],
        ["pip", "sync", "--python", interpreter, "--require-hashes", "requirements-serve-cpu.lock"],
        ["pip", "install", "--python", interpreter, "--no-deps", "."],
    ):
        run = subprocess.run(
            [uv, *step],
            cwd=repository,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
            timeout=INSTALL_TIMEOUT_S,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"uv {step[:2]}: {run.stderr}"
    yield interpreter
    shutil.rmtree(target)


def test_training_packages_are_absent(python):
    code = f"import importlib.util as u; print([n for n in {FORBIDDEN!r} if u.find_spec(n)])"
    run = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


def test_serves_the_champion_of_a_registry(python, repository, tmp_path):
    tiny = runpy.run_path(str(repository / "tests" / "serving" / "conftest.py"))
    folder = tmp_path / "export"
    folder.mkdir()
    card = tiny["make_card"]()
    tiny["write_manifest"](tiny["write_onnx"](folder / "model.onnx", card), card)
    registry = tiny["Registry"](tmp_path)
    version = registry.register(folder, "tiny")
    tiny["forget_registry"]()
    image = tiny["street"]()
    command = [python, "-P", "-c", SERVE, registry.uri, str(tmp_path / "cache")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith("isthmus listens on "), server.stderr.read()
            with SegmentationClient(line.split()[-1]) as client:
                answer = client.segment(image)
        finally:
            server.terminate()
            _, log = server.communicate(timeout=60)
    np.testing.assert_array_equal(answer.mask, tiny["expected_labels"](image))
    assert answer.model_version == version
    assert server.returncode == 0, log
