"""Stages alone: F on what finished generators give, and features aligned without any generators."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.build import build_method
from isthmus.training.checkpoint import read_weights, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import World
from isthmus.training.history import read_history
from isthmus.training.madan.adapting import adapt_source
from isthmus.training.madan.config import StagesConfig
from isthmus.training.madan.method import Madan
from isthmus.training.madan.pixel import PixelAdaptation
from isthmus.training.madan.stages import LearningSteps, learning_steps, stage_at
from isthmus.training.report.domain_gap import checkpoint_domain_gap
from isthmus.training.run import train
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import NUM_CLASSES
from isthmus.training.translators import open_translators

CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
LAST = Path("checkpoints") / "step-00000008"
AT_ONCE = "sad_from: 0.0, ccd_from: 0.0, task_from: 0.0, features_from: 0.0, ramp: 0.0"
FINISHED = f"method.stages={{generators_from: 0.0, generators_until: 0.0, {AT_ONCE}}}"
"""Generators of an earlier run, as they are."""
FEATURES = (
    "method.weights={gan: 0.0, cycle: 0.0, semantic: 0.0, sad: 0.0, ccd: 0.0, feature: 0.1, score: 0.1, "
    "self_training: 0.5}"
)
"""No pixel level."""
IN_THE_MIDDLE = (
    "method.stages={generators_from: 0.25, generators_until: 0.4, sad_from: 0.25, ccd_from: 0.25, task_from: 0.4, "
    "features_from: 0.6, ramp: 0.2}"
)
OF_THE_PIXEL_LEVEL = {"gan_to_target", "gan_to_source", "cycle", "semantic", "sad", "ccd"}
Load = Callable[..., TrainingConfig]


def madan_of(config: TrainingConfig) -> Madan:
    method = build_method(config, [], CPU, resuming=False)
    assert isinstance(method, Madan)
    return method


def batches() -> tuple[list[Any], Any]:
    draws = torch.Generator().manual_seed(0)

    def images() -> Tensor:
        return torch.rand(2, 3, 32, 64, generator=draws)

    sources = [
        {"image": images(), "mask": torch.randint(NUM_CLASSES, (2, 32, 64), generator=draws), "names": ["a", "b"]}
        for _ in range(2)
    ]
    return sources, {"image": images(), "names": ["c", "d"]}


def weights_of(method: Madan) -> dict[str, Mapping[str, Tensor]]:
    return {
        name: {key: value.clone() for key, value in one.state_dict().items()} for name, one in method.networks.items()
    }


def moved(method: Madan, before: Mapping[str, Mapping[str, Tensor]]) -> set[str]:
    now = weights_of(method)
    return {name for name, old in before.items() if any(not torch.equal(old[key], now[name][key]) for key in old)}


def seen_by_the_segmenter(method: Madan, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    seen: list[Tensor] = []
    forward = method._forward
    monkeypatch.setattr(method, "_forward", lambda image: (seen.append(image), forward(image))[1])
    return seen


@pytest.fixture
def finished(madan_run: Path, madan_config: Load) -> Madan:
    """F learns from the generators of the tiny run."""
    return madan_of(madan_config(FINISHED, f"method.start_from={madan_run / LAST}", "method.color_jitter=null"))


def test_finished_generators_hold_still_while_the_segmenter_learns(finished: Madan) -> None:
    before = weights_of(finished)
    losses = finished.train_step(1, *batches()).losses
    features = {"feature_discriminator", "score_discriminator", "category_discriminator"}
    assert moved(finished, before) == {"segmenter", "adapted_segmenter", *features}
    assert set(losses) == {"task", "source", "self_training", "feature", "score", "category", "total", *features}
    still = [one for name, one in finished.networks.items() if name.startswith("generator_")]
    assert len(still) == 4
    assert all(parameter.grad is None for one in still for parameter in one.parameters())


def test_the_segmenter_learns_from_what_finished_generators_give(
    finished: Madan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_by_the_segmenter(finished, monkeypatch)
    sources, target = batches()
    finished.train_step(0, sources, target)
    with torch.no_grad():
        expected = [finished.networks[f"generator_to_target_{i}"](sources[i]["image"]) for i in (0, 1)]
    torch.testing.assert_close(seen[0][:4], torch.cat(expected))


def test_what_holds_still_is_translated_for_pictures_alone_and_not_watched(
    finished: Madan, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    show = PixelAdaptation.show
    monkeypatch.setattr(PixelAdaptation, "show", lambda *given: (shown.append(given[1]), show(*given))[1])
    result = finished.train_step(0, *batches())  # a step at which the watch looks at generators that learn
    assert not shown
    assert result.pictures is not None
    assert {"adaptation", "target", "self_training"} == set(result.pictures())
    assert [len(images) for images in shown[0].images] == [1, 1]


def resumed(run: Path, config: TrainingConfig, output: Path) -> None:
    """The run goes on from its last checkpoint but one, and must end as it did."""
    shutil.copytree(run, output)
    shutil.rmtree(output / LAST)
    train(config, output, resume=True, tracking="none", device="cpu")
    names = [path.stem for path in (run / LAST).glob("*.safetensors")]
    assert names
    for name in names:
        expected, weights = read_weights(run / LAST, name), read_weights(output / LAST, name)
        assert all(torch.equal(expected[key], weights[key]) for key in expected), name
    losses = [[row["losses"] for row in read_history(one, "train")] for one in (run, output)]
    assert losses[0] == losses[1]


def test_generators_that_stop_in_the_middle_of_a_run(madan_config: Load, tmp_path: Path) -> None:
    config = madan_config(IN_THE_MIDDLE, "loop.checkpoint_every=2")
    run = tmp_path / "run"
    train(config, run, tracking="none", device="cpu")
    rows = [set(row["losses"]) for row in read_history(run, "train")]
    images = {"target_discriminator", "source_discriminator", "aggregation_discriminator"}
    assert all(row >= OF_THE_PIXEL_LEVEL | images for row in rows[2:4])
    assert not any(row & (OF_THE_PIXEL_LEVEL | images) for row in rows[4:])
    assert all("task" in row for row in rows[4:])
    assert (run / "pictures" / "step-00000008" / "adaptation.png").is_file()
    for name in ("generator_to_target_1", "target_discriminator", "source_discriminator_0"):
        then, now = (read_weights(run / "checkpoints" / f"step-0000000{step}", name) for step in (6, 8))
        assert all(torch.equal(then[key], now[key]) for key in then)
    resumed(run, config, tmp_path / "again")


def test_features_alone_need_no_generators(madan_config: Load, tmp_path: Path, tiny_run: Any) -> None:
    config = madan_config(FEATURES)
    run = tmp_path / "run"
    train(config, run, tracking="none", device="cpu")
    features = {"feature_discriminator", "score_discriminator"}
    assert {path.stem for path in (run / LAST).glob("*.safetensors")} == {"segmenter", "adapted_segmenter", *features}
    rows = [set(row["losses"]) for row in read_history(run, "train")]
    assert rows[0] == {"task", "total"}
    assert rows[-1] == {"task", "total", "self_training", "feature", "score", *features}
    assert {"adaptation", "target"} <= {path.stem for path in (run / "pictures" / "step-00000008").iterdir()}
    resumed(run, config, tmp_path / "again")
    with pytest.raises(CheckpointError, match=r"adapts features alone and has no generators\. Name a run of method"):
        adapt_source(run, 0, tmp_path / "adapted", device="cpu")
    gap = checkpoint_domain_gap(run, frames_per_domain=2, device="cpu")
    assert [domain.role for domain in gap.domains] == ["source", "source", "target"]
    with pytest.raises(CheckpointError, match=r"method\.start_from: .*adapts features alone.*generators_until above"):
        madan_of(madan_config(FINISHED, f"method.start_from={run}"))
    adapted_segmenters_judge_no_sources(madan_config, run, tiny_run.output)


def adapted_segmenters_judge_no_sources(load: Load, features_only: Path, source_only: Path) -> None:
    start = (f"method.start_from={features_only}", "method.stages.generators_from=0.0")
    message = (
        r"method\.start_from: .*segmenter is adapted, without source_segmenter_0{}\. Name a source-only run for each "
        r"source in method\.source_checkpoints, or"
    )
    with pytest.raises(CheckpointError, match=message.format(" and source_segmenter_1")):
        madan_of(load(*start))
    with pytest.raises(CheckpointError, match=message.format("")):
        madan_of(load(*start, f"method.source_checkpoints=[null, {source_only}]"))
    method = madan_of(load(*start, f"method.source_checkpoints=[{source_only}, {source_only}]"))
    now = weights_of(method)
    folders = {"segmenter": features_only, "source_segmenter_0": source_only, "source_segmenter_1": source_only}
    for name, folder in folders.items():
        expected = read_weights(resolve(folder), "segmenter")
        assert all(torch.equal(now[name][key], expected[key]) for key in expected), name
    madan_of(load(f"method.start_from={features_only}", FEATURES))  # without generators, no F_i


@pytest.mark.parametrize("combined", ["false", "true"])
def test_without_generators_frames_are_learnt_from_as_they_are(
    madan_config: Load, monkeypatch: pytest.MonkeyPatch, combined: str
) -> None:
    method = madan_of(
        madan_config(FEATURES, "method.color_jitter=null", f"method.combine_sources={combined}", "method.crop_hw=null")
    )
    seen = seen_by_the_segmenter(method, monkeypatch)
    sources, target = batches()
    before = weights_of(method)
    method.train_step(7, sources, target)
    frames = torch.cat([batch["image"] for batch in sources])
    assert torch.equal(seen[0][:6], torch.cat([frames, target["image"]]))
    assert moved(method, before) == set(method.networks)  # F, F_A and both discriminators of features


def test_the_segmenter_waits_for_generators_only_where_there_are_some(madan_config: Load) -> None:
    with_them, without = madan_config().method, madan_config(FEATURES).method
    assert [learning_steps(one, 100) for one in (with_them, without)] == [
        LearningSteps(25, 15, 100),
        LearningSteps(0, 0, 100),
    ]
    assert [stage_at(without, step, 100, 2).task for step in (0, 30, 99)] == [1.0, 1.0, 1.0]
    assert not any(stage_at(without, step, 100, 2).generators for step in (0, 30, 99))


def test_generators_that_came_trained_can_be_used_from_the_first_checkpoint_on(madan_run: Path) -> None:
    opened = open_translators(madan_run)
    stages = StagesConfig(generators_from=0.0, generators_until=0.0, task_from=0.0)
    finished = replace(opened, method=replace(opened.method, start_from=madan_run, stages=stages))
    assert replace(finished, info=opened.info.model_copy(update={"step": 0})).begun


def test_generators_that_are_used_as_they_are_must_be_there(tiny_run: Any, madan_config: Load) -> None:
    with pytest.raises(CheckpointError, match=r"method\.start_from: .*source_only has no generators\. Name a run of"):
        madan_of(madan_config(FINISHED, f"method.start_from={tiny_run.output}"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.stages.generators_until=0.1"], r"generators_until is 0.1, before generators_from \(0.25\)"),
        (["method.stages.generators_until=0.3"], r"task_from is 0.4, after generators_until \(0.3\)"),
        (["method.stages.generators_until=1.5"], "generators_until is 1.5: write a share"),
        ([FINISHED, "method.start_from=null"], "name a run in method.start_from"),
        (
            ["method.stages={generators_from: 0.4, generators_until: 0.4, sad_from: 0.4, task_from: 0.4}"],
            "nothing trains the generators: name a run of method madan in method.start_from",
        ),
        (
            ["method.stages.generators_until=0.4"],
            "ccd_from is 0.4, when generators already hold still .*set method.weights.ccd to 0",
        ),
        (
            ["method.weights={gan: 0.0, cycle: 0.0, sad: 0.0, source: 0.5}"],
            "there are no generators.*set semantic, ccd, source to 0 as well",
        ),
        ([FEATURES, "method.source_checkpoints=[null, a]"], "names segmenters that judge translations.*leave it empty"),
    ],
)
def test_what_makes_no_sense_is_refused(madan_config: Load, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        madan_config(*overrides)


def test_parts_that_do_not_play_may_begin_whenever(madan_config: Load) -> None:
    until = ["method.stages.generators_until=0.4", "method.stages.ramp=0.1"]
    madan_config(*until, "method.weights.ccd=0.0")
    madan_config(*until, "method.combine_sources=true")
