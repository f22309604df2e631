"""Refuse what must never be committed: registry host names, machine paths, large or generated files.

Run by `make check`; exits 1 with one line a finding.
"""

import re
import subprocess
import sys
from pathlib import Path

MAX_KIB = 300
HOSTS = re.compile(rb"https?://[^\s\"')>]*(?:pypi|pythonhosted|/simple\b|npmjs|deb\.debian)[^\s\"')>]*", re.IGNORECASE)
MACHINE_PATHS = re.compile(rb"(?<![\w.])/(?:home|root|Users)/[\w.-]+/|\.\./sha" + rb"red/")
WEIGHTS = {".pt", ".pth", ".ckpt", ".onnx", ".safetensors", ".db", ".npz"}


def findings(path: Path) -> list[str]:
    """What is wrong with one tracked file."""
    rows = []
    data = path.read_bytes()
    if len(data) > MAX_KIB * 1024 and path.suffix != ".lock":
        rows.append(f"{path}: {len(data) // 1024} KiB, the limit is {MAX_KIB}")
    if path.suffix in WEIGHTS:
        rows.append(f"{path}: weights and databases are made, not committed")
    for number, line in enumerate(data.splitlines(), 1):
        if HOSTS.search(line):
            rows.append(f"{path}:{number}: names a package registry's host")
        if MACHINE_PATHS.search(line):
            rows.append(f"{path}:{number}: names a path of somebody's machine")
    return rows


def main() -> None:
    """Check all tracked files."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout
    paths = [Path(name.decode()) for name in listed.split(b"\0") if name]
    rows = [row for path in paths if path.is_file() and not path.is_symlink() for row in findings(path)]
    print("\n".join(rows) or f"{len(paths)} tracked files are clean")
    sys.exit(1 if rows else 0)


if __name__ == "__main__":
    main()
