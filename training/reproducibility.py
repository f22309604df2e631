"""What makes two runs equal, and what must be written down so that a third can be: seeds, states, provenance."""

import hashlib
import platform
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

_VERSIONED: Final = ("isthmus", "torch", "numpy", "segmentation-models-pytorch", "timm", "albumentations")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a run comes from."""

    git_commit: str
    """Commit of the code, with `+changes` after it where the tree is not clean, or `unknown`."""
    lock_hash: str
    """SHA-256 (hex) of requirements.lock, or `unknown`."""
    versions: dict[str, str]
    """Python's and the main packages' versions."""
    device: str
    """What the run computes on."""


def seed_everything(seed: int, *, deterministic: bool) -> None:
    """Seed Python, NumPy and torch.

    Args:
        seed: Any non-negative number.
        deterministic: Refuse kernels whose result depends on timing; slower on a GPU, free on a CPU.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  third parties draw from the global generator
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic


@contextmanager
def draws_of(seed: int, name: str) -> Iterator[None]:
    """Inside, torch's generator of the CPU draws for `name` alone; outside, it goes on as if nothing had been drawn.

    What is drawn under one name does not depend on what else a run has: a network begins alike, whatever others there
    are.

    Args:
        seed: Of the run.
        name: Of a network, say.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) >> 1)
        yield


def random_state() -> dict[str, Any]:
    """The states of this process's global random generators, the GPU's among them, as tensors and plain values."""
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    version, words, gauss = random.getstate()
    return {
        "python": [version, list(words), gauss],
        "numpy": [torch.from_numpy(np.asarray(keys, np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` gave."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"][0].cpu())


def provenance(device: torch.device) -> Provenance:
    """Commit, lock and versions of this process."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return Provenance(
        git_commit=git_commit(),
        lock_hash=lock_hash(),
        versions={"python": platform.python_version(), **{name: _version(name) for name in _VERSIONED}},
        device=f"{device.type} {name}",
    )


@cache
def git_commit() -> str:
    """Commit of the checkout that this code runs from, `unknown` outside of one."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit


@cache
def lock_hash() -> str:
    """SHA-256 (hex) of the checkout's requirements.lock, `unknown` where there is none."""
    root = _git("rev-parse", "--show-toplevel")
    lock = Path(root) / "requirements.lock" if root else None
    if lock is None or not lock.is_file():
        return "unknown"
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _git(*arguments: str) -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(  # noqa: S603  fixed arguments
            ["git", "-C", str(here), *arguments],  # noqa: S607  git from PATH, as everywhere
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
