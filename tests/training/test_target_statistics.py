"""Adaptation by statistics alone: what is counted, that nothing else moves, and what is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from isthmus.configuration import load_config
from isthmus.datasets.fakes import write_fakes
from isthmus.datasets.sample import Batch
from isthmus.errors import ConfigurationError
from isthmus.training.build import build_method
from isthmus.training.checkpoint import read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.run import train
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import SegmenterConfig, build_segmenter
from isthmus.training.target_statistics.config import TargetStatisticsConfig
from isthmus.training.target_statistics.method import TargetStatistics

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
FPN = SegmenterConfig(decoder="fpn", encoder="timm-tf_efficientnet_lite0", weights="none")
TINY = Path(__file__).resolve().parents[2] / "configs" / "target_statistics" / "tiny.yaml"
Load = Callable[..., TrainingConfig]


def method_of(share: float, *, network: SegmenterConfig = FPN, runtime: Runtime = CPU) -> TargetStatistics:
    torch.manual_seed(3)
    config = TargetStatisticsConfig(name="target_statistics", start_from=Path("run"), source_share=share)
    return TargetStatistics(config, build_segmenter(network), runtime)


def batch(images: Tensor) -> Batch:
    return {"image": images, "names": [str(i) for i in range(len(images))]}


def first_convolution(method: TargetStatistics, images: Tensor) -> Tensor:
    """What the first normalisation layer is given, [C] means."""
    encoder = method.networks["segmenter"].network.encoder
    seen: list[Tensor] = []
    handle = encoder.bn1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.segmenter(images)
    handle.remove()
    return seen[0].mean((0, 2, 3))


@pytest.fixture
def load(tiny_data: Path, tiny_run, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Loads tiny.yaml, from the finished run of source_only/tiny.yaml, with overrides."""
    root = tmp_path_factory.mktemp("target")
    write_fakes("camvid", root, "train", num_frames=4, size_hw=(60, 80), seed=9)
    monkeypatch.setenv("TINY", str(tiny_data))
    monkeypatch.setenv("START", str(tiny_run.output))
    target = f"target={{dataset: camvid, root: {root}, split: train}}"
    return lambda *overrides: load_config(TINY, TrainingConfig, [target, *overrides])


@pytest.mark.parametrize(("share", "frames"), [(0.0, 0), (0.5, 2), (0.6, 3), (2 / 3, 4)])
def test_shares_in_frames(share: float, frames: int) -> None:
    assert TargetStatisticsConfig(name="target_statistics", start_from=Path("x"), source_share=share).source_frames(
        2
    ) == pytest.approx(frames)


def test_means_are_plain_averages_over_the_batches_of_target_and_sources_in_turn() -> None:
    method = method_of(0.5)
    torch.manual_seed(0)
    sources = [[torch.rand(2, 3, 32, 64) for _ in range(2)] for _ in range(2)]
    targets = [torch.rand(2, 3, 32, 64) * 0.3 for _ in range(2)]
    # Half and half beside two target frames: one of each source a step.
    mixed = [
        torch.stack([*target, *(one[0] for one in images)]) for target, images in zip(targets, sources, strict=True)
    ]
    expected = torch.stack([first_convolution(method, images) for images in mixed]).mean(0)
    for step in range(2):
        method.train_step(step, [batch(one) for one in sources[step]], batch(targets[step]))
    found = method.networks["segmenter"].network.encoder.bn1.running_mean
    assert torch.allclose(found, expected, atol=1e-6)


def test_variances_are_plain_averages_too() -> None:
    method = method_of(0.0)
    layer = method.networks["segmenter"].network.encoder.bn1
    torch.manual_seed(0)
    frames = [torch.rand(2, 3, 32, 64) for _ in range(2)]
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].var((0, 2, 3))))
    for step, one in enumerate(frames):
        method.train_step(step, [batch(one)], batch(one))
    handle.remove()
    assert torch.allclose(layer.running_var, torch.stack(seen).mean(0), rtol=1e-5)


@pytest.mark.parametrize(("batch_size", "share", "fits"), [(1, 0.0, False), (1, 0.5, True), (2, 0.0, True)])
def test_decoders_that_pool_need_two_frames_in_all(load: Load, batch_size: int, share: float, *, fits: bool) -> None:
    given = (f"loop.batch_size={batch_size}", f"method.source_share={share}", "segmenter.decoder=deeplabv3plus")
    if fits:
        load(*given)
    else:
        with pytest.raises(ConfigurationError, match="normalises over the batch"):
            load(*given)


def test_without_a_share_sources_do_not_count() -> None:
    results = []
    for seed in (1, 2):
        method = method_of(0.0)
        torch.manual_seed(seed)
        method.train_step(0, [batch(torch.rand(2, 3, 32, 64))], batch(torch.full((2, 3, 32, 64), 0.4)))
        results.append(method.networks["segmenter"].network.encoder.bn1.running_mean.clone())
    assert torch.equal(*results)


def test_no_weight_moves_and_nothing_is_dropped() -> None:
    method = method_of(0.5)
    before = {name: value.clone() for name, value in method.segmenter.named_parameters()}
    torch.manual_seed(0)
    frames = [batch(torch.rand(2, 3, 32, 64)) for _ in range(2)]
    result = method.train_step(0, frames[:1], frames[1])
    assert all(torch.equal(before[name], value) for name, value in method.segmenter.named_parameters())
    assert float(result.losses["total"]) > 0
    assert not method.segmenter.training
    assert not any(layer.training for layer in method.segmenter.modules())
    assert result.pictures is not None
    assert result.pictures()["target"].shape == (32, 128, 3)


def test_a_network_without_batch_normalisation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no batch normalisation.*madan"):
        method_of(0.5, network=SegmenterConfig(decoder="fcn8s", encoder="vgg16", weights="none"))


def test_several_processes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="in one process"):
        method_of(0.5, runtime=replace(CPU, world=World(rank=0, size=2)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("target=null", "method target_statistics adapts to a target"),
        ("optimiser={optimiser: sgd, learning_rate: 0.1}", "optimiser is given, but method target_statistics"),
        ("schedule={}", "schedule is given"),
        ("method.source_share=1.0", "source_share is 1.0"),
        ("method.source_share=0.9", "that is 18 frames of the sources a step, and they give 4"),
        ("augmentation.blur_p=0.1", "set both to 0"),
        ("method.start_from=null", "method.start_from"),
        ("method.source_share=0.1", "source_share is 0.1: less than one frame beside 2 of the target"),
        ("optimiser.learning_rate=0.1", "optimiser: its key optimiser is missing"),
    ],
)
def test_what_makes_no_sense_is_refused(load: Load, override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(override)


@pytest.mark.parametrize("key", ["optimiser", "schedule"])
def test_methods_that_train_need_an_optimiser(tiny_config, key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is missing: method source_only trains"):
        tiny_config(f"{key}=null")


def test_a_run_begins_with_the_finished_network_resumes_and_tells_its_target(load: Load, tmp_path: Path) -> None:
    config = load()
    assert train(config, tmp_path / "whole", tracking="none", device="cpu").steps == 4
    finished = resolve(tmp_path / "whole")
    assert {card.role for card in read_info(finished).datasets} >= {"source", "target", "inherited"}
    # From the second checkpoint on the rest comes out bit for bit.
    expected = (finished / "segmenter.safetensors").read_bytes()
    for step in (3, 4):
        shutil.rmtree(tmp_path / "whole" / "checkpoints" / f"step-{step:08d}")
    train(config, tmp_path / "whole", resume=True, tracking="none", device="cpu")
    assert (finished / "segmenter.safetensors").read_bytes() == expected


def test_the_segmenter_is_that_of_the_run_that_it_starts_from(load: Load, tiny_run) -> None:
    from safetensors.torch import load_file

    method = build_method(load(), [], CPU, resuming=False)
    stored = load_file(resolve(tiny_run.output) / "segmenter.safetensors")
    mine = method.segmenter.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in stored.items())
