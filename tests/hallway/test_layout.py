"""The layout of the tree: links, bare names, import rules, the guard over tracked files."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("training", "serving", "datasets", "protos")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_a_real_folder_linked_relatively(repository: Path, room: str) -> None:
    assert (repository / room).is_dir()
    assert not (repository / room).is_symlink()
    link = repository / "src" / "isthmus" / room
    assert str(link.readlink()) == f"../../{room}"


@pytest.mark.parametrize("room", ROOMS)
def test_the_bare_name_does_not_find_ours(repository: Path, room: str) -> None:
    code = f"import {room}; print({room}.__file__)"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=repository, capture_output=True, text=True)
    assert str(repository) not in done.stdout.replace(str(repository / ".venv"), "")


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("isthmus.serving.wrong", "isthmus.training.method"),
        ("isthmus.serving.wrong", "mlflow"),
        ("isthmus.training.wrong", "mlflow"),
        ("isthmus.wrong", "mlflow"),
    ],
)
def test_a_forbidden_import_is_caught(repository: Path, tmp_path: Path, module: str, imported: str) -> None:
    """The import rules can fail: a room gets a module that imports what it must not."""
    source = tmp_path / "src"
    source.mkdir()
    subprocess.run(["cp", "-rL", str(repository / "src" / "isthmus"), str(source)], check=True)
    source.joinpath(*module.split(".")).with_suffix(".py").write_text(f"import {imported}\n")
    (tmp_path / ".importlinter").write_text((repository / ".importlinter").read_text())
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"{module} -> {imported}" in done.stdout


@pytest.mark.parametrize("room", ["isthmus.datasets", "isthmus.datasets.worlds", "isthmus.training", "isthmus.serving"])
def test_a_room_exports_at_most_a_dozen_names(room: str) -> None:
    assert len(getattr(importlib.import_module(room), "__all__", ())) <= 12


def test_the_guard_finds_a_registry_host_and_a_machine_path(repository: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    host = "https://" + "pypi" + ".org/simple"
    (tmp_path / "a.txt").write_text(f"--index-url {host}\n")
    (tmp_path / "b.md").write_text("see " + "/home" + "/somebody/x\n")
    (tmp_path / "c.onnx").write_bytes(b"x")
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    guard = repository / "tools" / "guard_files.py"
    done = subprocess.run([sys.executable, guard], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["a.txt", "b.md", "c.onnx"]
