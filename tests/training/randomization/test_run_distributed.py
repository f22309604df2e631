"""Two real processes train together: the segmenter stays the same on both, in one pass and in several."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[3]
WORKER = """
import os
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from isthmus.configuration import load_config
from isthmus.training import run
from isthmus.training.config import TrainingConfig

output = Path(sys.argv[2])
kept = {}
build_method = run.build_method
def remembering(*given, **options):
    kept["method"] = build_method(*given, **options)
    return kept["method"]
run.build_method = remembering
changes = ["validation=null", "evaluated_on=[]", "loop.steps=3", *sys.argv[3:]]
run.train(load_config(Path(sys.argv[1]), TrainingConfig, changes), output, tracking="none", device="cpu")
torch.save(kept["method"].segmenter.state_dict(), output.parent / f"rank-{os.environ['RANK']}.pt")
"""


@pytest.mark.parametrize("passes", ["null", "2"])
def test_ranks_stay_equal(on_two_ranks: Callable[..., None], tmp_path: Path, passes: str) -> None:
    config = REPOSITORY / "configs" / "randomization" / "tiny.yaml"
    on_two_ranks(WORKER, config, tmp_path / "output", f"method.views_per_pass={passes}")
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    # The last judgement takes rank 0's running statistics, so that everything must agree.
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
