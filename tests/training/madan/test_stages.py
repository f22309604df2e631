"""When parts enter, and which configurations make no sense."""

from dataclasses import replace
from typing import Any

import pytest

from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.color_jitter import ColorJitterConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig, WeightsConfig
from isthmus.training.madan.stages import learning_steps, stage_at

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

    @pytest.mark.parametrize(
        ("begins", "task", "learning"),
        [(0.0, 0.4, [*range(40, 100)]), (0.2, 0.4, [*range(20), *range(40, 100)]), (0.2, 0.2, [*range(100)])],
    )
    def test_the_learning_rate_counts_the_steps_at_which_the_segmenter_learns(
        self, begins: float, task: float, learning: list[int]
    ) -> None:
        steps = learning_steps(config_of(stages=replace(STAGES, generators_from=begins, task_from=task)), 100)
        assert steps.number == len(learning)
        assert [steps.index(step) for step in learning] == [*range(len(learning))]

    @pytest.mark.parametrize("total", [7, 100, 500, 997])
    @pytest.mark.parametrize("share", [0.0, 0.07, 0.1, 1 / 3, 0.4, 0.58, 1.0])
    def test_they_begin_where_the_stages_do(self, share: float, total: int) -> None:
        stages = StagesConfig(
            generators_from=0.0, sad_from=0.0, ccd_from=0.0, task_from=share, features_from=1.0, ramp=0.0
        )
        plays = [stage_at(config_of(stages=stages), step, total, 1).task > 0 for step in range(total)]
        assert learning_steps(config_of(stages=stages), total).number == max(1, sum(plays))

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
