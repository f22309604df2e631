"""Two real processes under torchrun, talking through gloo."""

from pathlib import Path

import torch

from isthmus.training.checkpoint import read_info, read_state, read_weights
from isthmus.training.distributed import World
from isthmus.training.history import read_history

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from isthmus.configuration import load_config
from isthmus.training import run
from isthmus.training.config import TrainingConfig
from isthmus.training.segmenters import WithFeatures, build_segmenter

output = Path(sys.argv[2])
kept = {}
build_method = run.build_method
def remembering(config, sources, runtime, **options):
    segmenter = build_segmenter(config.segmenter)
    parallel = runtime.parallel(WithFeatures(segmenter))
    output = parallel(torch.full((2, 3, 32, 64), 0.25 + runtime.world.rank / 2))
    (output.features.square().mean() + output.logits.square().mean()).backward()
    kept["gradient"] = segmenter.network.classifier.weight.grad
    kept["method"] = build_method(config, sources, runtime, **options)
    return kept["method"]
run.build_method = remembering
changes = ["loop.steps=2", "schedule.warmup_steps=0", "loop.batch_size=1", "loop.evaluate_every=2"]
config = load_config(Path(sys.argv[1]), TrainingConfig, changes)
run.train(config, output, tracking="none", device="cpu")
import os
rank = os.environ["RANK"]
torch.save(kept["method"].segmenter.state_dict(), output.parent / f"rank-{rank}.pt")
torch.save(kept["gradient"], output.parent / f"gradient-{rank}.pt")
"""


def test_ranks_stay_equal_and_only_the_first_writes(on_two_ranks, tmp_path):
    output = tmp_path / "output"
    on_two_ranks(WORKER, REPOSITORY / "configs" / "source_only" / "tiny.yaml", output)
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    # A method that needs features gets averaged gradients too, although each rank saw its own frames.
    gradients = [torch.load(tmp_path / f"gradient-{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert gradients[0].abs().sum() > 0
    assert torch.equal(*gradients)
    last = output / "checkpoints" / "step-00000002"
    saved = read_weights(last, "segmenter")
    assert all(torch.equal(saved[key], first[key]) for key in saved)
    assert len(read_state(last)["random"]) == 2
    # Each frame was judged by one rank, and the sum has them all.
    judged = list(read_history(output, "evaluation"))
    assert [row["step"] for row in judged] == [0, 0, 2, 2]
    assert read_info(last).evaluations[1].num_frames == 4
    assert len(list((output / "pictures" / "step-00000002").glob("evaluation-0-*"))) == 2


def test_alone_nothing_is_exchanged():
    world = World()
    tensor = torch.ones(2)
    world.share(tensor)
    world.barrier()
    assert world.is_main
    assert world.gather("mine") == ["mine"]
    assert torch.equal(world.sum(tensor), tensor)
    assert world.sum(tensor) is not tensor
    network = torch.nn.BatchNorm1d(2)
    network(torch.rand(3, 2))
    mean = network.running_mean.clone()
    world.share_buffers(network)
    assert torch.equal(network.running_mean, mean)
