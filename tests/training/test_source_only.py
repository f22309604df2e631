import json
import os
from pathlib import Path

import pytest
import torch

from isthmus.training.build import build_optimiser, build_streams
from isthmus.training.distributed import World
from isthmus.training.frequencies import class_frequencies
from isthmus.training.loop import LoopState
from isthmus.training.reproducibility import seed_everything
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import build_segmenter
from isthmus.training.source_only.method import SourceOnly

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "source_only_tiny.json"
CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)


def build(config, runtime=CPU, weights=None) -> SourceOnly:
    seed_everything(config.seed, deterministic=True)
    segmenter = build_segmenter(config.segmenter)
    runtime.place(segmenter)
    return SourceOnly(segmenter, build_optimiser(config, segmenter, segmenter.encoder), weights, runtime)


def sources_of(config):
    from isthmus.datasets.catalogue import build_dataset

    return [build_dataset(source) for source in config.sources]


def batches(config, runtime=CPU):
    streams, target = build_streams(config, sources_of(config), None, runtime, 0)
    assert target is None
    while True:
        yield [next(stream) for stream in streams]


def test_one_step_moves_every_trained_parameter_and_nothing_else(tiny_config):
    config = tiny_config("schedule.warmup_steps=0")
    method = build(config)
    method.segmenter.train()
    frozen = method.segmenter.network.encoder.conv_stem.weight
    frozen.requires_grad_(False)
    before = {name: value.clone() for name, value in method.segmenter.named_parameters()}
    batch = next(batches(config))
    masks = [one["mask"].clone() for one in batch]
    result = method.train_step(0, batch, None)
    moved = {name for name, value in method.segmenter.named_parameters() if not torch.equal(before[name], value)}
    # The decoder does not read the encoder's last convolution.
    unread = {f"network.encoder.{name}" for name in ("conv_head.weight", "bn2.weight", "bn2.bias")}
    assert moved == before.keys() - {"network.encoder.conv_stem.weight"} - unread
    assert set(result.losses) == {"total"}
    assert not result.losses["total"].requires_grad
    assert all(torch.equal(mask, one["mask"]) for mask, one in zip(masks, batch, strict=True))


def test_pictures_are_drawn_on_demand(tiny_config):
    config = tiny_config()
    method = build(config)
    result = method.train_step(0, next(batches(config)), None)
    assert result.pictures is not None
    for kept in result.pictures.args:
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()
    pictures = result.pictures()
    assert {name: (picture.shape, str(picture.dtype)) for name, picture in pictures.items()} == {
        "batch": ((32, 3 * 64, 3), "uint8")
    }


def test_state_comes_back(tiny_config):
    config = tiny_config()
    method = build(config, weights=torch.arange(19.0))
    stream = batches(config)
    method.train_step(0, next(stream), None)
    other = build(config, weights=torch.ones(19))
    other.segmenter.load_state_dict(method.segmenter.state_dict())
    other.load_state_dict(method.state_dict())
    batch = next(stream)
    torch.manual_seed(3)
    first = method.train_step(1, batch, None).losses["total"]
    torch.manual_seed(3)
    assert torch.equal(first, other.train_step(1, batch, None).losses["total"])


def test_bf16_keeps_depthwise_convolutions_and_weights_in_fp32(tiny_config):
    config = tiny_config()
    runtime = Runtime(world=World(), device=torch.device("cpu"), precision="bf16", channels_last=True, compile=False)
    method = build(config, runtime)
    seen = {}
    encoder = method.segmenter.network.encoder
    encoder.conv_stem.register_forward_hook(lambda _m, _i, out: seen.update(stem=out.dtype))
    encoder.blocks[0][0].conv_dw.register_forward_hook(lambda _m, _i, out: seen.update(depthwise=out.dtype))
    sources = [runtime.to_device(batch) for batch in next(batches(config))]
    loss = method.train_step(0, sources, None).losses["total"]
    assert seen == {"stem": torch.bfloat16, "depthwise": torch.float32}
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert {parameter.dtype for parameter in method.segmenter.parameters()} == {torch.float32}


def test_class_frequencies_are_the_mean_over_sources(tiny_config):
    frequencies = class_frequencies(sources_of(tiny_config()))
    assert frequencies.sum().item() == pytest.approx(1.0)
    alone = [class_frequencies([source]) for source in sources_of(tiny_config())]
    torch.testing.assert_close(frequencies, (alone[0] + alone[1]) / 2)


def test_window_gives_means_and_is_emptied():
    from isthmus.training.method import StepResult

    state = LoopState()
    state.add(StepResult(losses={"total": torch.tensor(1.0)}, metrics={"learning_rate": 0.5}))
    state.add(StepResult(losses={"total": torch.tensor(3.0)}, metrics={"learning_rate": 0.0}))
    assert state.take_means() == ({"total": 2.0}, {"learning_rate": 0.25})
    assert (state.window, state.window_steps) == ({}, {})


def test_first_losses_are_the_golden_ones(tiny_config):
    """Golden losses; after a wanted change: REWRITE_GOLDEN=1 pytest tests/training/test_source_only.py -k golden."""
    config = tiny_config()
    method = build(config)
    stream = batches(config)
    losses = [float(method.train_step(step, next(stream), None).losses["total"]) for step in range(4)]
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps({"losses": losses}, indent=2) + "\n", encoding="utf-8")
    assert losses == pytest.approx(json.loads(GOLDEN.read_text(encoding="utf-8"))["losses"], rel=1e-3)
