"""The losses of the first steps, as they were.

After a wanted change: REWRITE_GOLDEN=1 pytest tests/training/madan -k golden.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.training.madan.config import WeightsConfig
from isthmus.training.madan.method import Madan

FOLDER = Path(__file__).resolve().parents[2] / "golden"
FORMS: dict[str, tuple[int, dict[str, Any]]] = {
    "paper": (2, {"formulation": "paper"}),
    "paper_three_sources": (3, {"formulation": "paper"}),
    "one_source": (1, {}),
    "three_sources": (3, {}),
    "two_scales": (2, {"scales": (1.0, 0.5)}),
    "self_training_and_source": (2, {"weights": WeightsConfig(source=0.5, self_training=1.0)}),
}


def check(name: str, losses: Any) -> None:
    """Compare with the file of that name, or write it."""
    path = FOLDER / f"{name}.json"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(json.dumps({"losses": losses}, indent=2) + "\n", encoding="utf-8")
    golden = json.loads(path.read_text(encoding="utf-8"))["losses"]
    assert len(losses) == len(golden)
    for now, then in zip(losses, golden, strict=True):
        assert now == pytest.approx(then, rel=1e-3)


def test_first_losses_are_the_golden_ones(build: Callable[..., Madan], step_of: Callable[..., Any]) -> None:
    method = build()
    check("madan_small", [step_of(method, step) for step in range(2)])


@pytest.mark.parametrize("form", FORMS)
def test_first_losses_of_other_forms_are_the_golden_ones(
    build: Callable[..., Madan], step_of: Callable[..., Any], form: str
) -> None:
    num_sources, changes = FORMS[form]
    check(f"madan_{form}", [step_of(build(num_sources, **changes), 0, num_sources)])
