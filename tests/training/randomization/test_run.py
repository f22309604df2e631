"""Whole runs of configs/randomization/tiny.yaml: resumed bit for bit, equal to source-only, refused where wrong."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from isthmus.configuration import load_config, to_tree
from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training import run
from isthmus.training.checkpoint import read_weights
from isthmus.training.config import TrainingConfig, changed_keys, moved_roots
from isthmus.training.history import read_history

TINY = Path(__file__).resolve().parents[3] / "configs" / "randomization" / "tiny.yaml"
LAST = "checkpoints/step-00000008"
Load = Callable[..., TrainingConfig]


class Recorder:
    """A tracker that remembers which files it was given."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def log_file(self, path: Path, folder: str) -> None:
        self.files.append(f"{folder}/{path.name}")


RECORDER = Recorder()


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run, tracked by `RECORDER`."""

    @contextmanager
    def tracked(*_given: Any, **_options: Any) -> Iterator[Recorder]:
        yield RECORDER

    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("randomization") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINY", str(tiny_data))
        patch.setattr(run, "tracked", tracked)
        run.train(load_config(TINY, TrainingConfig), output, device="cpu")
    return output


@pytest.fixture
def load(tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads tiny.yaml with overrides."""
    monkeypatch.setenv("TINY", str(tiny_data))
    return lambda *overrides: load_config(TINY, TrainingConfig, overrides)


def test_a_killed_run_goes_on_bit_for_bit(finished: Path, load: Load, tmp_path: Path) -> None:
    output = tmp_path / "run"
    shutil.copytree(finished, output)
    shutil.rmtree(output / LAST)
    run.train(load(), output, resume=True, tracking="none", device="cpu")
    expected, weights = read_weights(finished / LAST, "segmenter"), read_weights(output / LAST, "segmenter")
    assert all(torch.equal(expected[key], weights[key]) for key in expected)


def test_a_run_of_translated_styles_keeps_no_generators_and_goes_on_with_the_same(
    load: Load, save_run: Callable[..., Path], tmp_path: Path
) -> None:
    looks, output, begun = save_run("looks", residual=True), tmp_path / "whole", tmp_path / "begun"
    translation = f"{{sources: [gta5/all:fit, synthia/all], checkpoints: [{looks}]}}"
    common = (
        f"method.styles={{views: 2, domains: 1, weights: {{translation: 1.0}}, translation: {translation}}}",
        "validation=null",
        "evaluated_on=[]",
        "loop.steps=2",
        "loop.checkpoint_every=1",
    )
    run.train(load(*common), output, tracking="none", device="cpu")
    last = "checkpoints/step-00000002"
    assert {path.name for path in (output / last).glob("*.safetensors")} == {"segmenter.safetensors"}
    shutil.copytree(output, begun)
    shutil.rmtree(begun / last)
    kept = save_run("other", residual=False)
    moved = looks.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"looks: a style's generators cannot be had.*under method\.styles"):
        run.train(load(*common), begun, resume=True, tracking="none", device="cpu")
    checkpoints = "method.styles.translation.checkpoints"
    with pytest.raises(CheckpointError, match=r"domain 0 was made of .*looks/.*, is made of .*other/"):
        run.train(load(*common, f"{checkpoints}=[{kept}]"), begun, resume=True, tracking="none", device="cpu")
    run.train(load(*common, f"{checkpoints}=[{moved}]"), begun, resume=True, tracking="none", device="cpu")
    expected, weights = read_weights(output / last, "segmenter"), read_weights(begun / last, "segmenter")
    assert all(torch.equal(expected[key], weights[key]) for key in expected)


def test_a_run_begins_with_another_ones_segmenter_and_answers_for_its_data(
    finished: Path, load: Load, tmp_path: Path
) -> None:
    from isthmus.training.checkpoint import read_info

    earlier = tmp_path / "earlier"
    shutil.copytree(finished, earlier)
    few = (
        'sources=[{dataset: gta5, root: "${TINY}/gta5", split: all, part: fit}]',
        "validation=null",
        "evaluated_on=[]",
    )
    config = load(
        *few,
        f"method.start_from={earlier}",
        "loop.steps=2",
        "loop.checkpoint_every=1",
        "optimiser.learning_rate=1.0e-9",
    )
    output = tmp_path / "run"
    run.train(config, output, tracking="none", device="cpu")
    expected, weights = (
        read_weights(finished / LAST, "segmenter"),
        read_weights(output / "checkpoints/step-00000002", "segmenter"),
    )
    trained = [key for key in expected if expected[key].is_floating_point() and "running" not in key]
    assert all(torch.allclose(expected[key], weights[key], atol=1e-6) for key in trained)

    inherited = [one for one in read_info(output / "checkpoints/step-00000002").datasets if one.role == "inherited"]
    behind = [one for one in read_info(finished / LAST).datasets if one.role == "source"]
    assert [one.digest for one in inherited] == [one.digest for one in behind]

    shutil.rmtree(output / "checkpoints/step-00000002")
    shutil.rmtree(earlier)  # a run that goes on needs what it began with no more
    run.train(config, output, resume=True, tracking="none", device="cpu")
    assert inherited == [
        one for one in read_info(output / "checkpoints/step-00000002").datasets if one.role == "inherited"
    ]


def test_the_styles_are_in_the_folder_and_in_tracking(finished: Path) -> None:
    domains = json.loads((finished / "style_domains.json").read_text(encoding="utf-8"))
    assert [one["kind"] for one in domains] == ["amplitude"] * 4
    assert "/style_domains.json" in RECORDER.files


def test_every_part_is_in_the_history_and_the_pictures(finished: Path) -> None:
    for row in read_history(finished, "train"):
        assert set(row["losses"]) == {"segmentation", "pcd", "pci", "total"}
        assert "consistency_ramp" in row["metrics"]
    assert {path.stem for path in (finished / "pictures" / "step-00000008").iterdir()} >= {"styles", "crops"}


def test_one_view_trains_as_source_only_does(load: Load, tmp_path: Path) -> None:
    common = ("loop.steps=2", "loop.batch_size=2", "validation=null", "evaluated_on=[]")
    alone = ["method.styles.views=1", "method.consistency.weight_pcd=0.0", "method.consistency.weight_pci=0.0"]
    configs = {
        "ours": load(*common, *alone),
        "theirs": load(*common, "method={name: source_only, class_weights: enet}"),
    }
    weights = {}
    for name, config in configs.items():
        run.train(config, tmp_path / name, tracking="none", device="cpu")
        weights[name] = read_weights(tmp_path / name / "checkpoints" / "step-00000002", "segmenter")
    assert all(torch.equal(weights["theirs"][key], weights["ours"][key]) for key in weights["theirs"])
    assert json.loads((tmp_path / "ours" / "style_domains.json").read_text(encoding="utf-8")) == []


def test_judged_frames_are_no_style_images(load: Load, tiny_data: Path, tmp_path: Path) -> None:
    styles = f"{{views: 2, domains: 1, weights: {{statistics: 1.0}}, images: {tiny_data / 'camvid' / 'val'}}}"
    with pytest.raises(ConfigurationError, match=r"the style images hold .* of the frames of camvid/val"):
        run.train(load(f"method.styles={styles}"), tmp_path / "run", tracking="none", device="cpu")


def test_what_is_to_know_of_the_styles_is_said_at_the_start(load: Load, tmp_path: Path) -> None:
    console = Console(record=True, file=StringIO(), width=300)
    few = ("loop.steps=1", "schedule.warmup_steps=0", "validation=null", "evaluated_on=[]", "method.styles.domains=1")
    run.train(load(*few), tmp_path / "run", tracking="none", device="cpu", console=console)
    assert "method.styles: 3 views of a frame, but only 1 domains" in console.export_text()


def test_styles_and_translators_may_move(load: Load) -> None:
    then = to_tree(load("method.styles.images=a"))
    moved = load("method.styles.images=b")
    assert changed_keys(then, moved) == []
    assert moved_roots(then, moved) == ["method.styles.images (was 'a', is 'b')"]


def test_a_decoder_that_normalises_single_pixels_counts_views(load: Load) -> None:
    one_source = "sources=[{dataset: gta5, root: x, split: all}]"
    load("segmenter.decoder=upernet", one_source)
    load("segmenter.decoder=upernet", one_source, "method.views_per_pass=3")  # 3 and 2 of 5
    with pytest.raises(ConfigurationError, match="decoder upernet normalises over the batch"):
        load("segmenter.decoder=upernet", one_source, "method.views_per_pass=2")  # 2, 2 and 1


def test_crops_are_no_part_of_a_step_without_their_consistency(load: Load) -> None:
    assert load().method.images_per_frame == 5
    assert load("method.consistency.weight_pci=0.0").method.images_per_frame == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("target={dataset: camvid, root: x, split: val}", "method randomization never looks at one: leave it out"),
        ("method.views_per_pass=0", "views_per_pass is 0"),
        ("method.styles.views=1", "one view agrees with itself"),
        ("method.consistency.weight_pcd=-0.1", "weight_pcd is -0.1"),
        ("method.consistency.weight_pci=-0.1", "weight_pci is -0.1"),
        ("method.consistency.ramp=1.5", "ramp is 1.5"),
        ("method.consistency.crops=0", "crops is 0"),
        ("method.consistency.crop_scale=[0.8, 0.5]", "write a smaller and a larger share"),
        ("method.consistency.crop_scale=[0.5, 1.2]", "write a smaller and a larger share"),
        ("method.consistency.layers={decoder: 1.0}", "layers names decoder"),
        ("method.consistency.layers={}", "name at least one"),
        ("method.consistency.layers={logits: 0.0}", "each with a number above 0"),
        ("method.consistency.distance=kl", "kl compares probabilities"),
        ("method.consistency.levels=[]", "write different numbers of bins"),
        ("method.consistency.levels=[1, 1]", "write different numbers of bins"),
        ("method.consistency.level_weights=[1.0]", "level_weights names 1 for 3 levels"),
        ("method.consistency.level_weights=[0.0, 0.0, 0.0]", "not all 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(load: Load, override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(override)


def test_sources_of_translators_must_be_the_runs(load: Load) -> None:
    styles = "{views: 2, domains: 1, weights: {translation: 1.0}, translation: {checkpoints: [a], sources: [gta5]}}"
    with pytest.raises(ConfigurationError, match="the run's sources are gta5/all:fit, synthia/all"):
        load(f"method.styles={styles}")
