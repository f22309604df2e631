"""Two real processes train MADAN together: every network stays the same on both, pools are each one's own."""

from collections.abc import Callable
from pathlib import Path

import torch

from isthmus.datasets.fakes import write_fakes
from isthmus.training.checkpoint import read_state

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

output, target = Path(sys.argv[2]), sys.argv[3]
kept = {}
build_method = run.build_method
def remembering(*given, **options):
    kept["method"] = build_method(*given, **options)
    return kept["method"]
run.build_method = remembering
target = f"target={{dataset: camvid, root: {target}, split: train}}"
changes = [target, "validation=null", "evaluated_on=[]", "loop.batch_size=1"]
config = load_config(Path(sys.argv[1]), TrainingConfig, changes)
run.train(config, output, tracking="none", device="cpu")
state = {name: network.state_dict() for name, network in kept["method"].networks.items()}
torch.save(state, output.parent / f"rank-{os.environ['RANK']}.pt")
"""


def test_ranks_stay_equal(on_two_ranks: Callable[..., None], tmp_path: Path) -> None:
    write_fakes("camvid", tmp_path / "target", "train", num_frames=4, size_hw=(60, 80), seed=9)
    output = tmp_path / "output"
    on_two_ranks(WORKER, REPOSITORY / "configs" / "madan" / "tiny.yaml", output, tmp_path / "target")
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    # Running statistics are each rank's own between steps; rank 0's are saved and judged.
    different = [
        f"{name}/{key}"
        for name, weights in first.items()
        for key, value in weights.items()
        if not key.endswith(("running_mean", "running_var")) and not torch.equal(value, second[name][key])
    ]
    assert different == []
    pools = [
        state["pools"]["adapted.0"]["images"] for state in read_state(output / "checkpoints" / "step-00000008")["local"]
    ]
    assert len(pools) == 2
    assert not torch.equal(pools[0][0], pools[1][0])
