"""Whole runs: resumed bit for bit, started from earlier ones, refused where they make no sense."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from isthmus.errors import CheckpointError, ConfigurationError, DataError
from isthmus.training.build import build_method
from isthmus.training.checkpoint import read_info, read_weights
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.history import read_history
from isthmus.training.run import train
from isthmus.training.runtime import Runtime

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
Load = Callable[..., TrainingConfig]


def test_a_killed_run_goes_on_bit_for_bit(madan_run: Path, madan_config: Load, tmp_path: Path) -> None:
    output = tmp_path / "run"
    shutil.copytree(madan_run, output)
    shutil.rmtree(output / "checkpoints" / "step-00000008")
    train(madan_config(), output, resume=True, tracking="none", device="cpu")
    last = "checkpoints/step-00000008"
    names = sorted(path.stem for path in (madan_run / last).glob("*.safetensors"))
    assert len(names) == 15
    for name in names:
        expected, weights = read_weights(madan_run / last, name), read_weights(output / last, name)
        assert all(torch.equal(expected[key], weights[key]) for key in expected), name


def test_every_part_is_in_the_history_and_the_pictures(madan_run: Path) -> None:
    rows = list(read_history(madan_run, "train"))
    assert set(rows[0]["losses"]) == {"source_0", "source_1", "task", "total"}
    parts = {"cycle", "semantic", "sad", "ccd", "task", "source", "feature", "score", "category"}
    assert parts <= set(rows[-1]["losses"])
    names = {"gan_to_target", "gan_to_source", "cycle", "semantic", "sad", "ccd"}
    names |= {"target_discriminator", "source_discriminator"}
    metrics, losses = rows[-1]["metrics"], rows[-1]["losses"]
    assert {f"{name}.{source}" for name in names for source in (0, 1)} <= set(metrics)
    for name in names:
        assert (metrics[f"{name}.0"] + metrics[f"{name}.1"]) / 2 == pytest.approx(losses[name])
    assert {path.stem for path in (madan_run / "pictures" / "step-00000008").iterdir()} >= {
        "adaptation",
        "target",
        "self_training",
    }
    adaptation = Image.open(madan_run / "pictures" / "step-00000008" / "adaptation.png")
    assert adaptation.size == (8 * 160, 18 + 2 * 160)  # crop_hw is set: whole frames too


@pytest.mark.parametrize("which", ["all", "one"])
def test_source_only_runs_can_start_it(tiny_run, madan_config: Load, which: str) -> None:
    from isthmus.training.checkpoint import resolve

    run = tiny_run.output
    given = f"[{run}, {run}]" if which == "all" else f"[null, {run}]"
    config = madan_config(f"method.source_checkpoints={given}")
    method = build_method(config, [], CPU, resuming=False)
    expected = read_weights(resolve(run), "segmenter")
    key = "network.classifier.weight"
    same = [torch.equal(method.networks[f"source_segmenter_{i}"].state_dict()[key], expected[key]) for i in (0, 1)]
    assert same == [which == "all", True]
    assert not torch.equal(method.networks["segmenter"].state_dict()[key], expected[key])


def test_a_source_only_run_stands_for_all_segmenters(tiny_run, madan_config: Load) -> None:
    from isthmus.training.checkpoint import resolve

    config = madan_config(f"method.start_from={tiny_run.output}", "method.stages.generators_from=0.0")
    method = build_method(config, [], CPU, resuming=False)
    expected = read_weights(resolve(tiny_run.output), "segmenter")
    for name in ("segmenter", "adapted_segmenter", "source_segmenter_0", "source_segmenter_1"):
        weights = method.networks[name].state_dict()
        assert all(torch.equal(weights[key], expected[key]) for key in expected), name


def test_combined_sources_have_one_pair_of_generators(madan_config: Load) -> None:
    networks = build_method(madan_config("method.combine_sources=true"), [], CPU, resuming=True).networks
    names = {name for name in networks if name.startswith(("generator", "source_segmenter"))}
    assert names == {"generator_to_target_0", "generator_to_source_0", "source_segmenter_0"}


def test_an_earlier_run_gives_all_its_networks(madan_run: Path, madan_config: Load) -> None:
    config = madan_config(f"method.start_from={madan_run / 'checkpoints' / 'step-00000008'}")
    method = build_method(config, [], CPU, resuming=False)
    for name, network in method.networks.items():
        expected = read_weights(madan_run / "checkpoints" / "step-00000008", name)
        assert all(torch.equal(network.state_dict()[key], expected[key]) for key in expected), name


def test_a_target_that_cannot_be_read_is_named_by_its_key(madan_config: Load, tmp_path: Path) -> None:
    config = madan_config("target.root=/nowhere")
    with pytest.raises(DataError, match=r"^target: /nowhere"):
        train(config, tmp_path / "run", tracking="none", device="cpu")


def test_weights_of_another_network_are_refused(madan_run: Path, madan_config: Load) -> None:
    config = madan_config(f"method.start_from={madan_run}", "method.discriminator.width=6")
    with pytest.raises(CheckpointError, match="do not fit"):
        build_method(config, [], CPU, resuming=False)


@pytest.mark.parametrize("key", ["method.start_from", "method.source_checkpoints.1"])
def test_a_run_of_another_segmenter_is_refused_with_both_names(tiny_run, madan_config: Load, key: str) -> None:
    given = (
        f"{key}={tiny_run.output}" if key.endswith("from") else f"method.source_checkpoints=[null, {tiny_run.output}]"
    )
    config = madan_config(given, "segmenter={decoder: unet, encoder: resnet18, weights: none}")
    with pytest.raises(CheckpointError) as caught:
        build_method(config, [], CPU, resuming=False)
    held = read_info(tiny_run.output / "checkpoints" / "step-00000008").config["segmenter"]
    assert str(caught.value) == (
        f"{key}: {tiny_run.output}: holds {held['decoder']} on {held['encoder']}, this run configures unet on "
        f"resnet18. Set segmenter.decoder={held['decoder']} and segmenter.encoder={held['encoder']}, or begin "
        "with a run of the same network."
    )


@pytest.mark.parametrize("key", ["method.start_from", "method.source_checkpoints.0"])
def test_a_missing_run_is_refused_under_its_key(madan_config: Load, key: str) -> None:
    given = f"{key}=runs/gone" if key.endswith("from") else "method.source_checkpoints=[runs/gone, null]"
    with pytest.raises(CheckpointError, match=rf"{key}: runs/gone: no such run\. Train it first, .* in {key}\."):
        build_method(madan_config(given), [], CPU, resuming=False)


def test_a_folder_without_checkpoints_is_refused_under_its_key(madan_config: Load, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"method\.start_from: .*: no checkpoint here\. Name a run's output"):
        build_method(madan_config(f"method.start_from={tmp_path}"), [], CPU, resuming=False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("target=null", "name its unlabelled frames under target"),
        ("method.source_checkpoints=[a]", "names 1 for 2 source domains"),
        ("method.stages.generators_from=0.0", "nothing trains the segmenters"),
        ("augmentation.blur_p=0.1", "hides from method madan the looks.*set both to 0"),
        ("method.crop_hw=[64, 64]", "larger than augmentation.crop_size_hw"),
    ],
)
def test_what_cannot_be_trained_is_refused(madan_config: Load, override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        madan_config(override)
