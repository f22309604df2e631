import pytest
import torch
from torch import nn

from isthmus.training.optim import AdamWConfig, ScheduledOptimiser, SgdConfig, parameter_groups
from isthmus.training.schedules import ScheduleConfig


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 2)
        self.head = nn.Linear(2, 1)


def test_groups_tell_encoder_from_head_and_weights_from_biases():
    network = Small()
    config = SgdConfig(optimiser="sgd", learning_rate=0.1, weight_decay=0.5, head_multiplier=10.0)
    groups = parameter_groups(network, network.encoder, config)
    found = {id(g["params"][0]): (g["lr"], g["weight_decay"], len(g["params"])) for g in groups}
    assert found == {
        id(network.encoder.weight): (0.1, 0.5, 1),
        id(network.encoder.bias): (0.1, 0.0, 1),
        id(network.head.weight): (1.0, 0.5, 1),
        id(network.head.bias): (1.0, 0.0, 1),
    }


def test_frozen_parameters_are_in_no_group():
    network = Small()
    network.encoder.requires_grad_(False)
    groups = parameter_groups(network, network.encoder, AdamWConfig(optimiser="adamw", learning_rate=1.0))
    assert sum(len(group["params"]) for group in groups) == 2


def sgd_step(gradient: list[float], step: int = 0, **changes):
    weight = nn.Parameter(torch.zeros(2))
    config = SgdConfig(optimiser="sgd", learning_rate=1.0, momentum=0.0, **changes)
    groups = [{"params": [weight], "lr": 1.0, "weight_decay": 0.0}]
    optimiser = ScheduledOptimiser(groups, config, ScheduleConfig(power=1.0), total_steps=4)
    weight.grad = torch.tensor(gradient)
    return weight, optimiser.step(step)


def test_sgd_step_by_hand():
    weight, metrics = sgd_step([3.0, 4.0])
    assert weight.tolist() == [-3.0, -4.0]
    assert metrics["learning_rate"] == 1.0
    assert float(metrics["gradient_norm"]) == 5.0


def test_gradients_are_clipped_to_the_norm():
    weight, metrics = sgd_step([3.0, 4.0], gradient_clip_norm=1.0)
    assert weight.tolist() == pytest.approx([-0.6, -0.8], rel=1e-5)
    assert float(metrics["gradient_norm"]) == 5.0


def test_the_schedule_scales_the_step():
    weight, metrics = sgd_step([1.0, 0.0], step=3)
    assert weight.tolist() == [-0.25, 0.0]
    assert metrics["learning_rate"] == 0.25
