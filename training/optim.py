"""Optimisers with their parameter groups: pretrained encoder or new layers, decayed or not."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from isthmus.configuration import config
from isthmus.training.schedules import ScheduleConfig, learning_rate_factor


@config
class AdamWConfig:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101); with weight_decay 0 it is plain Adam."""

    optimiser: Literal["adamw"]
    """Marks this choice."""
    learning_rate: float
    """Of the pretrained encoder."""
    weight_decay: float = 0.01
    """Decoupled; not applied to biases and normalisation layers."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running moments."""
    head_multiplier: float = 1.0
    """Learning rate of everything but the encoder, relative to the encoder's."""
    gradient_clip_norm: float | None = None
    """Largest global L2 norm of the gradients; null leaves them alone."""

    def __post_init__(self) -> None:
        _check_positive(self)


@config
class SgdConfig:
    """Stochastic gradient descent with momentum."""

    optimiser: Literal["sgd"]
    """Marks this choice."""
    learning_rate: float
    """Of the pretrained encoder."""
    weight_decay: float = 5.0e-4
    """L2 penalty; not applied to biases and normalisation layers."""
    momentum: float = 0.9
    """Share of the previous update that is kept."""
    head_multiplier: float = 1.0
    """Learning rate of everything but the encoder, relative to the encoder's."""
    gradient_clip_norm: float | None = None
    """Largest global L2 norm of the gradients; null leaves them alone."""

    def __post_init__(self) -> None:
        _check_positive(self)


def _check_positive(config: AdamWConfig | SgdConfig) -> None:
    for name in ("learning_rate", "head_multiplier", "gradient_clip_norm"):
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} is {value}: write a number above 0")


OptimiserConfig = Annotated[AdamWConfig | SgdConfig, Field(discriminator="optimiser")]
"""Chosen by `optimiser: adamw` or `optimiser: sgd`."""


class ScheduledOptimiser:
    """An optimiser whose learning rate is a pure function of the step, with gradient clipping.

    Args:
        groups: Parameter groups; `base_lr` in each is scaled by the schedule.
        config: Which optimiser.
        schedule: How the learning rate moves.
        total_steps: Steps of the whole run.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        config: AdamWConfig | SgdConfig,
        schedule: ScheduleConfig,
        total_steps: int,
    ) -> None:
        self._config, self._schedule, self._total_steps = config, schedule, total_steps
        self._base_rates = [group["lr"] for group in groups]
        self._optimiser: torch.optim.Optimizer
        if isinstance(config, AdamWConfig):
            self._optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)
        else:
            self._optimiser = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self, step: int) -> dict[str, Tensor | float]:
        """Clip and apply the gradients with the learning rate of `step`.

        Returns:
            `learning_rate` of the encoder and `gradient_norm` before clipping (L2, over all parameters).
        """
        factor = learning_rate_factor(self._schedule, step, self._total_steps)
        for group, base in zip(self._optimiser.param_groups, self._base_rates, strict=True):
            group["lr"] = base * factor
        parameters = [parameter for group in self._optimiser.param_groups for parameter in group["params"]]
        limit = self._config.gradient_clip_norm
        norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        if limit is not None:
            nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        self._optimiser.step()
        return {"learning_rate": self._config.learning_rate * factor, "gradient_norm": norm.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Moments and counters."""
        return self._optimiser.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._optimiser.load_state_dict(state)


def parameter_groups(network: nn.Module, encoder: nn.Module, config: AdamWConfig | SgdConfig) -> list[dict[str, Any]]:
    """Trainable parameters in up to four groups: encoder or head, decayed or not, each with its `lr`."""
    in_encoder = {id(parameter) for parameter in encoder.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in _trainable(network.parameters()):
        # Biases and the scales of normalisation layers are the one-dimensional ones.
        groups.setdefault((id(parameter) in in_encoder, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.learning_rate * (1.0 if is_encoder else config.head_multiplier),
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (is_encoder, decayed), parameters in groups.items()
    ]


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
