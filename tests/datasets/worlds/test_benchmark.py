"""The speed of worlds is measured on whole sets."""

import pytest

from isthmus.datasets.worlds.benchmark import measure_worlds
from isthmus.errors import ConfigurationError


def test_each_world_gets_a_result() -> None:
    (speed,) = measure_worlds(["arcade"], num_frames=2, size_hw=(32, 64), workers=1, seed=0)
    assert (speed.world, speed.num_frames) == ("arcade", 2)
    assert speed.start_s > 0
    assert speed.frames_per_s == pytest.approx(2 / speed.frames_s)
    assert speed.driver


@pytest.mark.parametrize(
    ("worlds", "message"), [([], "no world to measure"), (["arcade", "paris"], "no world 'paris'")]
)
def test_what_cannot_be_measured_is_refused_before_any_work(worlds: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        next(measure_worlds(worlds, num_frames=1, size_hw=(32, 64), workers=1, seed=0))
