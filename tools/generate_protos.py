"""Generate the Python code of protos/ beside the .proto files, or into another tree.

`python tools/generate_protos.py` rewrites what is committed; `--out DIR` writes `DIR/isthmus/protos/…`, which a
test compares with it. The virtual path `isthmus/protos` makes the generated modules import each other by the
name they have in Python, while `protos` alone is the root that buf checks packages against.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run protoc on every .proto file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "src", help="root of the generated packages")
    out = parser.parse_args().out.resolve()
    names = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "protos").rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "isthmus/protos=protos"]
    command += [f"--{kind}={out}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    command += [f"isthmus/{name}" for name in names]
    sys.exit(subprocess.run(command, check=False, cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
