"""A source in the target's look: its own layout, its own labels, resumable."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from isthmus.datasets.gta5 import Gta5
from isthmus.datasets.synthia import Synthia
from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.ancestry import ADAPTED_FILE
from isthmus.training.generators import GeneratorConfig, ResnetGenerator
from isthmus.training.madan import adapting
from isthmus.training.madan.adapting import adapt_source
from isthmus.training.madan.config import StagesConfig
from isthmus.training.translators import Translators, open_translators


@pytest.mark.parametrize(("source", "reader"), [(0, Gta5), (1, Synthia)])
def test_the_sources_reader_reads_it_with_the_sources_labels(
    madan_run: Path, tiny_data: Path, tmp_path: Path, source: int, reader: type[Gta5 | Synthia]
) -> None:
    steps: list[tuple[int, int]] = []
    manifest = adapt_source(madan_run, source, tmp_path / "out", device="cpu", on_frame=lambda *at: steps.append(at))
    adapted = reader(tmp_path / "out", "all")
    original = reader(tiny_data / reader.dataset_name, "all", part="fit" if source == 0 else None)
    assert len(adapted) == len(original) == manifest["num_frames"]
    assert steps[-1] == (len(original), len(original))
    first = adapted[0]
    assert first["image"].shape == (48, 64, 3)
    # 64 columns of 96, each the one under its middle: 0.75, 2.25, 3.75, ...
    nearest = original[0]["mask"][:, ((np.arange(64) + 0.5) * 1.5).astype(int)]
    np.testing.assert_array_equal(first["mask"], nearest)


def test_frames_of_the_trained_size_are_adapted_without_a_warning(
    madan_run: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Synthia(tiny_data / "synthia", "all")
    frame = original[0]
    frame["image"].flags.writeable = False  # as some decoders hand pixels out
    monkeypatch.setattr(Synthia, "__getitem__", lambda *_: frame)
    generator = open_translators(madan_run).load(1)
    image, mask = adapting._adapted(original, 0, generator, (48, 96), torch.device("cpu"))
    assert image.shape == (48, 96, 3)
    np.testing.assert_array_equal(mask, frame["mask"])


def test_an_interrupted_call_goes_on_and_ends_the_same(
    madan_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adapt_source(madan_run, 1, tmp_path / "whole", device="cpu")

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt_source(madan_run, 1, tmp_path / "out", device="cpu", on_frame=stop)
    translated: list[int] = []
    adapt = adapting._adapted
    monkeypatch.setattr(adapting, "_adapted", lambda *given: (translated.append(given[1]), adapt(*given))[1])
    assert adapt_source(madan_run, 1, tmp_path / "out", device="cpu") == whole
    assert translated == [2, 3, 4, 5]
    assert adapt_source(madan_run, 1, tmp_path / "out", device="cpu") == whole
    assert len(translated) == 4
    assert json.loads((tmp_path / "out" / ADAPTED_FILE).read_text()) == whole


def test_another_sources_folder_is_refused(madan_run: Path, tmp_path: Path) -> None:
    adapt_source(madan_run, 1, tmp_path, device="cpu")
    with pytest.raises(ConfigurationError, match="another adapted set: source is 1 there and 0 now"):
        adapt_source(madan_run, 0, tmp_path, device="cpu")


def test_a_folder_of_other_files_is_refused(madan_run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigurationError, match="holds other files"):
        adapt_source(madan_run, 0, tmp_path, device="cpu")


def test_there_is_no_third_source(madan_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no source 2.*Choose from 0 to 1"):
        adapt_source(madan_run, 2, tmp_path, device="cpu")


def test_a_run_without_generators_is_refused(tiny_run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="source_only has no generators"):
        adapt_source(tiny_run.output, 0, tmp_path / "out", device="cpu")


@pytest.fixture
def untrained(madan_run: Path, tmp_path: Path) -> Translators:
    """A checkpoint of the tiny run's first stage: its generators begin to learn after 2 of 8 steps."""
    opened = open_translators(madan_run)
    folder = tmp_path / "untrained"
    shutil.copytree(opened.folder, folder)
    for file in folder.glob("generator_to_target_*"):
        save_file(ResnetGenerator(opened.method.generator).state_dict(), file)
    return at_step(replace(opened, folder=folder), 2)


def at_step(opened: Translators, step: int, **changes: Any) -> Translators:
    return replace(opened, info=opened.info.model_copy(update={"step": step}), method=replace(opened.method, **changes))


def test_untrained_generators_are_refused(
    untrained: Translators, madan_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "open_translators", lambda _: untrained)
    with pytest.raises(CheckpointError, match=r"at step 2 its generators are untrained.*step-"):
        adapt_source(madan_run, 0, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_source_only_start_trains_no_generators(untrained: Translators, madan_run: Path) -> None:
    changes = {"start_from": madan_run, "stages": StagesConfig(generators_from=0.0)}
    assert [at_step(untrained, step, **changes).begun for step in (0, 1)] == [False, True]


def test_generators_that_came_trained_are_used_before_they_learn_on(untrained: Translators, madan_run: Path) -> None:
    came_trained = at_step(open_translators(madan_run), 1, start_from=madan_run)
    assert came_trained.begun
    name = "generator_to_target_1.safetensors"
    shutil.copy(came_trained.folder / name, untrained.folder / name)
    assert not untrained.begun  # one of two


@pytest.mark.parametrize("residual", [False, True])
def test_a_generators_head_moves_with_its_first_step(residual: bool) -> None:
    generator = ResnetGenerator(GeneratorConfig(width=4, blocks=1, residual=residual))
    assert not generator.head.bias.any()  # what `begun` goes by
    optimiser = torch.optim.Adam(generator.parameters(), 2e-4)
    generator(torch.rand(1, 3, 16, 16)).square().mean().backward()
    optimiser.step()
    assert generator.head.bias.all()


def test_the_first_step_of_generators_is_the_stages_own(untrained: Translators) -> None:
    run = replace(untrained.run, loop=replace(untrained.run.loop, steps=100))
    stages = StagesConfig(generators_from=0.07)  # 0.07 * 100 is above 7
    late = replace(untrained, run=run)
    assert [at_step(late, step, stages=stages).begun for step in (7, 8)] == [False, True]
