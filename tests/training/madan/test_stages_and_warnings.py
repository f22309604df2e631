"""When parts enter, which configurations make no sense, and what the watch says about a run that goes wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.color_jitter import ColorJitterConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig, WeightsConfig
from isthmus.training.madan.pictures import Shown
from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.madan.stages import stage_at
from isthmus.training.madan.watch import Watch

STAGES = StagesConfig(generators_from=0.2, sad_from=0.4, ccd_from=0.5, task_from=0.4, features_from=0.6, ramp=0.1)


def config_of(**changes: Any) -> MadanConfig:
    values = {"generator": GeneratorConfig(), "discriminator": PatchDiscriminatorConfig(), "stages": STAGES}
    return MadanConfig(name="madan", **{**values, **changes})


class TestStages:
    """Shares of 100 steps."""

    @pytest.mark.parametrize(("step", "warm_up"), [(0, True), (19, True), (20, False), (99, False)])
    def test_the_first_stage_ends_where_generators_begin(self, step: int, warm_up: bool) -> None:
        assert stage_at(config_of(), step, 100, 2).warm_up == warm_up

    @pytest.mark.parametrize(("step", "share"), [(39, 0.0), (40, 0.1), (44, 0.5), (49, 1.0), (99, 1.0)])
    def test_a_part_grows_from_its_first_step_on(self, step: int, share: float) -> None:
        stage = stage_at(config_of(weights=WeightsConfig(sad=2.0)), step, 100, 2)
        assert stage.sad == pytest.approx(2.0 * share)
        assert stage.task == pytest.approx(share)

    def test_without_a_ramp_a_part_is_there_at_once(self) -> None:
        at_once = StagesConfig(sad_from=0.4, task_from=0.4, ramp=0.0)
        assert [stage_at(config_of(stages=at_once), step, 100, 2).task for step in (39, 40)] == [0.0, 1.0]

    @pytest.mark.parametrize(("step", "share"), [(20, 0.0), (29, 0.0), (30, 0.1), (39, 1.0)])
    def test_semantic_consistency_may_wait(self, step: int, share: float) -> None:
        stages = replace(STAGES, semantic_from=0.3)
        stage = stage_at(config_of(stages=stages, weights=WeightsConfig(semantic=2.0)), step, 100, 2)
        assert stage.semantic == pytest.approx(2.0 * share)
        assert stage_at(config_of(weights=WeightsConfig(semantic=2.0)), step, 100, 2).semantic == 2.0

    @pytest.mark.parametrize(("begin", "shares"), [(None, (0.0, 0.1, 1.0)), (0.5, (0.0, 0.0, 0.1))])
    def test_self_training_begins_with_the_task_or_later(self, begin: float | None, shares: tuple[float, ...]) -> None:
        config = config_of(stages=replace(STAGES, self_training_from=begin), weights=WeightsConfig(self_training=2.0))
        found = [stage_at(config, step, 100, 2).self_training for step in (39, 40, 50)]
        assert found == pytest.approx([2.0 * share for share in shares])

    def test_one_source_is_not_aggregated(self) -> None:
        stage = stage_at(config_of(), 99, 100, 1)
        assert (stage.sad, stage.ccd) == (0.0, 0.0)
        assert stage.feature > 0


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        (StagesConfig, {"ramp": 1.5}, "ramp is 1.5: write a share"),
        (StagesConfig, {"sad_from": 0.1}, "sad_from is 0.1, before generators_from"),
        (StagesConfig, {"features_from": 0.2}, "features_from is 0.2, before task_from"),
        (StagesConfig, {"self_training_from": 0.2}, "self_training_from is 0.2, before task_from"),
        (StagesConfig, {"semantic_from": 0.1}, "semantic_from is 0.1, before generators_from"),
        (WeightsConfig, {"cycle": -1.0}, "cycle is -1.0: write 0 or more"),
        (WeightsConfig, {"cycle": 0.0, "gan": 0.0}, "there are no generators.*set semantic, sad, ccd to 0 as well"),
        (ColorJitterConfig, {"probability": 1.5}, "probability is 1.5: write a number from 0 to 1"),
        (ColorJitterConfig, {"hue": 0.6}, "hue is 0.6: write a number from 0 to 0.5"),
        (config_of, {"learning_rate": 0.0}, "must be above 0"),
        (config_of, {"crop_hw": (16, 64)}, "write 32 or more"),
        (config_of, {"scales": (0.5, 1.0)}, "begin with 1.0"),
        (config_of, {"ema_decay": 1.0}, "ema_decay is 1.0"),
        (config_of, {"pool_size": -1}, "pool_size is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(part: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        part(**values)


class Says(nn.Module):
    """A segmenter that sees one class everywhere."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._train_id = TRAIN_ID[name]

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(len(image), 19, *image.shape[-2:])
        logits[:, self._train_id] = 1.0
        return logits


def shown(*, contrast: float = 1.0, back: float = 1.0, alike: bool = False, meant: str = "sky") -> Shown:
    """Two frames of sky; F_i sees sky, F_A what it is told. `back` is the share of contrast that comes back."""
    image = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    mean = image.mean((2, 3), keepdim=True)
    adapted = mean + contrast * (image - mean)
    if alike:
        adapted = adapted[:1].expand_as(adapted)
    frames = Frames([image], [torch.full((2, 20, 20), TRAIN_ID["sky"])], image)
    translated = Translated(adapted, mean + back * (image - mean), image, {})
    return Shown(frames, (translated,), [Says("sky")], Says(meant))


def losses(*, target: float = 0.2, source: float = 0.2) -> dict[str, Tensor]:
    values = {"target_discriminator": target, "source_discriminator": source}
    return {name: torch.tensor(value) for name, value in values.items()}


def test_a_healthy_run_is_left_in_peace() -> None:
    assert Watch().notes(0, shown(), losses()) == []


@pytest.mark.parametrize(
    ("frames", "values", "words"),
    [
        ({}, {"target": 0.001}, ["target discriminator wins outright", "lower method.learning_rate"]),
        ({}, {"source": 0.001}, ["source discriminator wins outright"]),
        ({"back": 0.4}, {}, ["source 0 do not come back", "(error 0.60 of a blank", "raise method.weights.cycle"]),
        ({"contrast": 0.1}, {}, ["source 0 have gone flat (contrast 0.10", "collapsed"]),
        ({"alike": True}, {}, ["source 0 all look alike (they differ 0.00 times", "collapsed"]),
        ({"meant": "vegetation"}, {}, ["turns sky of source 0 into vegetation (100 % of it)", "weights.semantic"]),
    ],
)
def test_what_goes_wrong_is_said_with_its_remedy(
    frames: dict[str, Any], values: dict[str, float], words: Sequence[str]
) -> None:
    (note,) = Watch().notes(50, shown(**frames), losses(**values))
    for word in words:
        assert word in note


def test_between_its_looks_the_watch_is_silent() -> None:
    assert Watch().notes(51, shown(meant="vegetation"), losses(target=0.0)) == []


def test_a_restored_watch_remembers() -> None:
    begun, restored = Watch(), Watch()
    begun.notes(0, shown(), losses(target=0.5))
    restored.load_state_dict(begun.state_dict())
    assert restored.notes(50, shown(), losses(target=0.001)) == []  # one bad look after a good one is no trend
    assert len(Watch().notes(50, shown(), losses(target=0.001))) == 1
