"""Settings for all tests: one thread, no telemetry, no user's MLflow server."""

import os

# Before anything imports NumPy or torch: two threads on two busy cores cost several times the CPU time of one.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.pop("MLFLOW_TRACKING_URI", None)

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
MLFLOW_LITTER = ("mlflow.db", "mlruns", "mlartifacts")
"""What MLflow leaves in the working directory where nobody told it a store."""


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Keep torch on one thread where a test imported it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_litter() -> Iterator[None]:
    """Fail where a test made MLflow fall back to a store in the source tree."""
    before = _litter()
    yield
    assert _litter() - before == set(), "some test used MLflow without naming a store"


def _litter() -> set[Path]:
    return {folder / name for folder in (REPOSITORY, Path.cwd()) for name in MLFLOW_LITTER if (folder / name).exists()}
