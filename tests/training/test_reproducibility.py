# ruff: noqa: NPY002 - the global generator is what third parties draw from
import random

import numpy as np
import torch

from isthmus.training import reproducibility


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_seeds_reach_all_generators():
    reproducibility.seed_everything(5, deterministic=True)
    first = draw()
    reproducibility.seed_everything(5, deterministic=True)
    assert draw() == first
    reproducibility.seed_everything(6, deterministic=True)
    assert draw() != first


def test_random_state_survives_a_checkpoint(tmp_path):
    reproducibility.seed_everything(1, deterministic=True)
    random.gauss(0, 1)
    np.random.randn()
    torch.save(reproducibility.random_state(), tmp_path / "state.pt")
    expected = draw(), random.gauss(0, 1), float(np.random.randn())
    reproducibility.seed_everything(2, deterministic=True)
    reproducibility.restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (draw(), random.gauss(0, 1), float(np.random.randn())) == expected


def test_what_is_drawn_under_a_name_depends_on_nothing_else():
    def drawn(seed: int, name: str) -> float:
        with reproducibility.draws_of(seed, name):
            return float(torch.rand(1))

    reproducibility.seed_everything(1, deterministic=True)
    first, after = drawn(1, "a"), draw()
    reproducibility.seed_everything(1, deterministic=True)
    assert draw() == after
    assert drawn(1, "a") == first
    assert len({first, drawn(1, "b"), drawn(2, "a")}) == 3


def test_provenance_names_commit_lock_and_versions():
    found = reproducibility.provenance(torch.device("cpu"))
    assert len(found.git_commit.removesuffix("+changes")) == 40 or found.git_commit == "unknown"
    assert len(found.lock_hash) == 64 or found.lock_hash == "unknown"
    assert found.versions["torch"] == torch.__version__.split("+")[0] or found.versions["torch"] == torch.__version__
    assert found.device.startswith("cpu")
