import pytest

from isthmus.training.schedules import ScheduleConfig, learning_rate_factor


def factors(config: ScheduleConfig, steps: int) -> list[float]:
    return [learning_rate_factor(config, step, steps) for step in range(steps)]


def test_warm_up_then_linear_decay():
    # Two steps up to 1, then 4 steps from 1 towards 0 in quarters.
    assert factors(ScheduleConfig(warmup_steps=2, power=1.0), 6) == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]


def test_polynomial_decay():
    assert factors(ScheduleConfig(power=2.0), 4) == [1.0, 0.5625, 0.25, 0.0625]


def test_power_zero_is_constant():
    assert factors(ScheduleConfig(power=0.0), 3) == [1.0, 1.0, 1.0]


def test_past_the_end_is_zero():
    assert learning_rate_factor(ScheduleConfig(power=1.0), 9, 5) == 0.0


@pytest.mark.parametrize("wrong", [{"warmup_steps": -1}, {"power": -0.5}])
def test_negative_values_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        ScheduleConfig(**wrong)
