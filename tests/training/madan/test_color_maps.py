"""Generators that begin as a map of colours: what is measured, where they start, and that the map stays with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.datasets.catalogue import build_dataset
from isthmus.datasets.fakes import write_fakes
from isthmus.training.build import build_method
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig, ResnetGenerator
from isthmus.training.madan.color_maps import Colors, begin_with_colors, measure_colors
from isthmus.training.method import Method
from isthmus.training.run import train
from isthmus.training.runtime import Runtime

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
COLORS = "method.generator={width: 4, blocks: 1, residual: true, colors: true}"
Load = Callable[..., TrainingConfig]


class Frames:
    """Frames of one value a channel on the left and another on the right; only images may be read."""

    def __init__(self, *pairs: tuple[int, int]) -> None:
        self._pairs = pairs

    def representatives(self, count: int) -> range:
        assert count == 100
        return range(len(self._pairs))

    def read_unlabelled(self, index: int) -> dict[str, np.ndarray]:
        left, right = self._pairs[index]
        return {"image": np.broadcast_to(np.array([left, right], np.uint8)[None, :, None], (4, 2, 3))}


def colors(mean: float, deviation: float) -> Colors:
    return Colors(torch.full((3,), mean).double(), torch.full((3,), deviation).double())


def test_colors_are_means_and_contrast_within_frames() -> None:
    found = measure_colors([Frames((0, 102), (51, 51))])  # type: ignore[list-item]
    # Frames of mean 0.2 both; variances 0.04 and 0: what differs between frames does not count.
    assert found.mean.tolist() == pytest.approx([0.2] * 3)
    assert found.deviation.tolist() == pytest.approx([0.02**0.5] * 3)


def test_each_data_set_of_a_domain_counts_alike() -> None:
    dark, bright = Frames((0, 0), (0, 0), (0, 0)), Frames((255, 255))
    assert measure_colors([dark, bright]).mean.tolist() == pytest.approx([0.5] * 3)  # type: ignore[list-item]


def test_a_generator_begins_as_the_map_and_the_way_back_undoes_it() -> None:
    there, back = (ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=True, colors=True)) for _ in range(2))
    source, target = colors(0.5, 0.2), colors(0.4, 0.1)
    begin_with_colors(there, source, target)
    begin_with_colors(back, target, source)
    images = 0.4 + 0.2 * torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        adapted = there(images)
        assert torch.allclose(adapted, 0.4 + (images - 0.5) * 0.5, atol=1e-6)
        assert torch.allclose(back(adapted), images, atol=1e-6)


def test_the_map_is_clipped_and_still_lets_gradients_through() -> None:
    generator = ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=True, colors=True))
    begin_with_colors(generator, colors(0.5, 0.1), colors(0.5, 0.3))
    images = torch.full((1, 3, 16, 16), 0.9, requires_grad=True)
    adapted = generator(images)
    assert torch.equal(adapted, torch.ones_like(adapted))
    adapted.sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().min()) > 0


def test_without_a_residual_there_is_no_start() -> None:
    with pytest.raises(ValueError, match="colors is true without residual"):
        GeneratorConfig(colors=True)


def method_of(config: TrainingConfig, *, resuming: bool = False) -> Method:
    sources = [build_dataset(one) for one in config.sources]
    assert config.target is not None
    target = build_dataset(config.target, labelled=False)
    return build_method(config, sources, CPU, resuming=resuming, target=target)


def maps_of(method: Method) -> dict[str, torch.Tensor]:
    generators = {name: network for name, network in method.networks.items() if name.startswith("generator")}
    return {name: network.state_dict()["color_scale"].clone() for name, network in generators.items()}


def test_each_generator_has_its_own_domains_map(madan_config: Load) -> None:
    maps = maps_of(method_of(madan_config(COLORS)))
    for i in (0, 1):
        assert torch.allclose(maps[f"generator_to_target_{i}"] * maps[f"generator_to_source_{i}"], torch.ones(3, 1, 1))
    assert not torch.equal(maps["generator_to_target_0"], torch.ones(3, 1, 1))
    assert len(maps_of(method_of(madan_config(COLORS, "method.combine_sources=true")))) == 2


def test_a_run_keeps_its_maps(
    madan_config: Load, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = madan_config(COLORS, "evaluated_on=[]", "validation=null")
    train(config, tmp_path / "run", tracking="none", device="cpu")
    first = maps_of(method_of(config))
    assert all(bool((one == 1).all()) for one in maps_of(method_of(config, resuming=True)).values())
    # Another target: what begins from the run keeps the map that its generators have learned with.
    other = tmp_path / "other"
    write_fakes("camvid", other, "train", num_frames=4, size_hw=(60, 80), seed=33)
    elsewhere = f"target={{dataset: camvid, root: {other}, split: train}}"
    kept = maps_of(method_of(madan_config(COLORS, elsewhere, f"method.start_from={tmp_path / 'run'}")))
    assert all(torch.equal(kept[name], first[name]) for name in first)
    assert not torch.equal(
        maps_of(method_of(madan_config(COLORS, elsewhere)))["generator_to_target_0"], first["generator_to_target_0"]
    )
