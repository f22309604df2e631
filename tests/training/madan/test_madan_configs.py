"""The shipped configurations: what generators and discriminators learn from has its domain's own colours."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from isthmus.errors import ConfigurationError
from isthmus.training.config import TrainingConfig
from isthmus.training.madan.benchmark import MadanBenchmarkConfig

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "madan").glob("*.yaml"))


def test_all_are_found() -> None:
    assert len(CONFIGS) == 7


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_loader_changes_no_colours(path: Path) -> None:
    augmentation = yaml.safe_load(path.read_text(encoding="utf-8"))["augmentation"]
    assert (augmentation["color_jitter_p"], augmentation["blur_p"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("schedule.warmup_steps=6",), "write less than the steps at which the segmenter learns.*, 6"),
        (("schedule.warmup_steps=2",), "write less than the first stage's steps.*, 2"),
    ],
)
def test_a_warm_up_must_end_while_its_segmenter_learns(
    madan_config: Callable[..., TrainingConfig], overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        madan_config(*overrides)


def test_generators_alone_need_no_end_of_a_warm_up(madan_config: Callable[..., TrainingConfig]) -> None:
    alone = "{generators_from: 0.0, sad_from: 0.0, ccd_from: 0.0, task_from: 1.0, features_from: 1.0}"
    madan_config(f"method.stages={alone}", "method.start_from=x", "schedule.warmup_steps=7")


def test_the_benchmark_refuses_scales_before_it_measures() -> None:
    with pytest.raises(ValueError, match=r"scales is \(0\.6,\): begin with 1\.0"):
        MadanBenchmarkConfig(scales=(0.6,))
