"""The first step of the set-up says in one line where it cannot go on."""

import platform
import runpy
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("version", "system", "machine", "message"),
    [
        ((3, 10, 9), "Linux", "x86_64", "needs Python 3.11 to 3.13"),
        ((3, 14, 0), "Linux", "x86_64", "needs Python 3.11 to 3.13"),
        ((3, 12, 1), "Darwin", "arm64", "is for Linux x86_64, this is Darwin arm64"),
        ((3, 12, 1), "Linux", "aarch64", "is for Linux x86_64, this is Linux aarch64"),
    ],
)
def test_other_pythons_and_platforms_are_named(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int, int],
    system: str,
    machine: str,
    message: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", str(tmp_path / "tools")])
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(repository / "tools" / "bootstrap.py"), run_name="__main__")
    assert not (tmp_path / "tools").exists()
