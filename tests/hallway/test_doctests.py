"""The examples in docstrings give what they show."""

import doctest
import importlib
from pathlib import Path

FOLDERS = ("datasets", "training", "serving", "src/isthmus/cli")


def test_the_examples_in_docstrings_run(repository: Path) -> None:
    files = [file for folder in FOLDERS for file in (repository / folder).rglob("*.py")]
    files += (repository / "src" / "isthmus").glob("*.py")
    shown = [file for file in files if ">>> " in file.read_text(encoding="utf-8")]
    results = [doctest.testmod(importlib.import_module(module_of(file.relative_to(repository)))) for file in shown]
    assert sum(result.attempted for result in results) >= 4
    assert [str(file) for file, result in zip(shown, results, strict=True) if result.attempted == 0] == []
    assert sum(result.failed for result in results) == 0


def module_of(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "src" else ("isthmus", *parts))
