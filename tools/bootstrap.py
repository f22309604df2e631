"""Install uv into a small environment of its own: `python3 tools/bootstrap.py .tools`.

Runs on a bare Python 3.11 to 3.13 on Linux x86_64, before anything of the project is installed.
"""

import platform
import subprocess
import sys
import venv
from pathlib import Path

UV = "uv>=0.9,<1"  # 0.9: `conflicts` and `environments` as pyproject.toml uses them


def main() -> None:
    """Make the environment or say in one line what is missing."""
    home = Path(sys.argv[1])
    if not (3, 11) <= sys.version_info < (3, 14):  # this file runs on whatever `python3` is
        sys.exit(f"isthmus needs Python 3.11 to 3.13, this is {platform.python_version()}. Try make PYTHON=python3.12")
    here = f"{platform.system()} {platform.machine()}"
    if here != "Linux x86_64":
        sys.exit(
            f"isthmus' locked environment is for Linux x86_64, this is {here}. "
            "Elsewhere it is untested; try without the lock: pip install -e '.[train,serve,cpu]'"
        )
    try:
        venv.create(home, with_pip=True, clear=True)
    except (subprocess.CalledProcessError, ModuleNotFoundError, OSError) as error:
        sys.exit(f"cannot make a virtual environment ({error}). On Debian: apt-get install python3-venv")
    quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([home / "bin" / "python", *quiet, UV], check=True)


if __name__ == "__main__":
    main()
