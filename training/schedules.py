"""Learning-rate schedules as pure functions of the step: nothing to save, nothing to restore."""

from isthmus.configuration import config


@config
class ScheduleConfig:
    """Linear warm-up followed by polynomial decay to zero at the last step."""

    warmup_steps: int = 0
    """Steps over which the rate rises linearly from rate/warmup_steps to its full value."""
    power: float = 0.9
    """Exponent of the decay (0.9: DeepLab, arXiv:1606.00915, section 4.1); 1 is linear, 0 keeps the rate constant."""

    def __post_init__(self) -> None:
        if self.warmup_steps < 0 or self.power < 0:
            raise ValueError("warmup_steps and power must not be negative")


def learning_rate_factor(config: ScheduleConfig, step: int, total_steps: int) -> float:
    """What the base learning rate is multiplied by at `step`, counted from 0.

    Returns:
        (step + 1) / warmup during warm-up, then (1 − progress)^power with progress from 0 towards 1.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
    return float((1.0 - min(1.0, progress)) ** config.power)
