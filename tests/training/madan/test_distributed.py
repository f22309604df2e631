"""Two real processes train MADAN together: every network stays the same on both, pools are each one's own."""

from collections.abc import Callable
from pathlib import Path

import torch

from isthmus.datasets.fakes import write_fakes
from isthmus.training.checkpoint import read_state

REPOSITORY = Path(__file__).resolve().parents[3]
WORKER = """
import os
import shutil
import sys
from pathlib import Path
from contextlib import nullcontext
import torch
torch.set_num_threads(1)
from isthmus.configuration import load_config
from isthmus.training import run
from isthmus.training.distributed import joined_world
from isthmus.training.config import TrainingConfig

whole, resumed, target = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
kept = {}
build_method = run.build_method
def remembering(*given, **options):
    kept["method"] = build_method(*given, **options)
    return kept["method"]
run.build_method = remembering
target = f"target={{dataset: camvid, root: {target}, split: train}}"
changes = [target, "validation=null", "evaluated_on=[]", "loop.batch_size=1", "loop.checkpoint_every=5"]
config = load_config(Path(sys.argv[1]), TrainingConfig, changes)
def trained(output, resume):
    run.train(config, output, tracking="none", device="cpu", resume=resume)
    state = {name: network.state_dict() for name, network in kept["method"].networks.items()}
    torch.save(state, output / f"rank-{os.environ['RANK']}.pt")
with joined_world("cpu") as world:
    run.joined_world = lambda _: nullcontext(world)  # both runs in one world: processes take seconds to start
    trained(whole, resume=False)
    # At step 5, F_i are frozen and F_A follows: what the second process had of its own then, no checkpoint holds.
    if world.is_main:
        shutil.copytree(whole, resumed, ignore=shutil.ignore_patterns("step-00000008", "rank-*"))
    trained(resumed, resume=True)
"""
Weights = dict[str, dict[str, torch.Tensor]]


def different(first: Weights, second: Weights) -> list[str]:
    """Keys of weights and buffers that are not the same, bit for bit."""
    assert first.keys() == second.keys()
    pairs = ((f"{name}/{key}", value, second[name][key]) for name in first for key, value in first[name].items())
    return [key for key, value, other in pairs if not torch.equal(value, other)]


def test_ranks_stay_equal_and_a_resumed_run_is_the_whole_one(on_two_ranks: Callable[..., None], tmp_path: Path) -> None:
    write_fakes("camvid", tmp_path / "target", "train", num_frames=4, size_hw=(60, 80), seed=9)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    on_two_ranks(WORKER, REPOSITORY / "configs" / "madan" / "tiny.yaml", whole, resumed, tmp_path / "target")
    first, second, first_resumed, second_resumed = (
        torch.load(output / f"rank-{rank}.pt", weights_only=True) for output in (whole, resumed) for rank in (0, 1)
    )
    assert different(first, second) == []
    assert different(first, first_resumed) == []
    assert different(second, second_resumed) == []
    pools = [
        state["pools"]["adapted.0"]["images"] for state in read_state(whole / "checkpoints/step-00000008")["local"]
    ]
    assert len(pools) == 2
    assert not torch.equal(pools[0][0], pools[1][0])
