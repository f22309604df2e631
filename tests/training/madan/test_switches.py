"""What a switch takes out, and nothing else: all other losses and gradients stay what they were."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.training.madan.config import WeightsConfig
from isthmus.training.madan.losses import cross_cycle_loss
from isthmus.training.madan.method import Madan
from isthmus.training.madan.pixel import Frames
from isthmus.training.madan.stages import Stage

Build = Callable[..., Madan]
StepOf = Callable[..., dict[str, float]]
ALL = WeightsConfig(score=0.1, category=0.1, source=0.5, self_training=1.0)
ALIGNMENT = {f"{part}{side}" for part in ("feature", "score", "category") for side in ("", "_discriminator")}
SEGMENTER = {"task", "source", "self_training"} | ALIGNMENT
"""Losses of the segmenter's phase; all others are of the two phases before it."""


def first_losses(method: Madan, step_of: StepOf, *, batch_statistics: bool) -> dict[str, float]:
    """Those of step 0, without dropout of the feature discriminators, whose draws hang on which of them there are."""
    for network in method.networks.values():
        for module in network.modules():
            if isinstance(module, nn.Dropout2d):
                module.p = 0.0
            if isinstance(module, nn.BatchNorm2d) and not batch_statistics:
                module.eval()
    return step_of(method, 0)


def weight_of(loss: str) -> float:
    """What a loss counts in the total of `ALL`."""
    weight: float = getattr(ALL, "gan" if loss.startswith("gan_") else loss)
    return weight


@pytest.mark.parametrize(
    ("parts", "gone", "others_change"),
    [
        # D_i still judges crossed images, and those alone; without (6), returned ones alone.
        (["gan"], {"gan_to_target", "gan_to_source", "target_discriminator"}, {"source_discriminator"}),
        (["cycle"], {"cycle"}, set()),
        (["semantic"], {"semantic"}, set()),
        (["sad"], {"sad", "aggregation_discriminator"}, set()),
        (["ccd"], {"ccd"}, {"source_discriminator"}),
        (["source"], {"source"}, set()),
        (["feature"], {"feature", "feature_discriminator"}, set()),
        (["score"], {"score", "score_discriminator"}, set()),
        (["category"], {"category", "category_discriminator"}, set()),
        (["feature", "score", "category"], ALIGNMENT, set()),
        (["self_training"], {"self_training"}, set()),
    ],
)
def test_a_switch_takes_out_exactly_its_part(
    build: Build, step_of: StepOf, parts: list[str], gone: set[str], others_change: set[str]
) -> None:
    """With a part out, every other loss of the first step has the same value.

    F's losses need not where images leave F's batch (`source`, `self_training`, and the target's once no alignment is
    left), since its normalisation layers see the mixture. So they are compared with running statistics: then no image
    knows of another. Generators and discriminators come before F and are compared as they are.
    """
    without_parts = replace(ALL, **dict.fromkeys(parts, 0.0))
    for batch_statistics in (True, False):
        with_it, without_it = build(weights=ALL), build(weights=without_parts)
        whole, without = (
            first_losses(one, step_of, batch_statistics=batch_statistics) for one in (with_it, without_it)
        )
        assert set(whole) - set(without) == gone
        assert not set(without) - set(whole)
        same = set(without) - others_change - {"total"} - (SEGMENTER if batch_statistics else set())
        assert {name: without[name] for name in same} == pytest.approx({name: whole[name] for name in same}, rel=1e-6)
        if not batch_statistics:
            total = sum(weight_of(name) * whole[name] for name in gone if not name.endswith("discriminator"))
            assert whole["total"] - without["total"] == pytest.approx(total, rel=1e-4, abs=1e-5)
    networks = {name for name in gone if name.endswith("discriminator")}
    assert set(with_it.networks) - set(without_it.networks) == networks
    assert not set(without_it.networks) - set(with_it.networks)


@pytest.mark.parametrize("formulation", ["paper", "aggregated"])
@pytest.mark.parametrize("part", ["gan", "cycle", "semantic", "sad", "ccd"])
def test_a_weight_scales_its_own_gradient_alone(
    build: Build, batches_of: Callable[..., Any], first_stage: Callable[[int], Stage], part: str, formulation: str
) -> None:
    """What generators learn from is linear in each weight, down to 0: a switched-off part changes no other's pull."""

    def gradients(times: float) -> Mapping[str, Tensor]:
        weight = times * getattr(ALL, part)
        method = build(3, weights=replace(ALL, **{part: weight}), formulation=formulation)
        sources, target = batches_of(0, 3)
        frames = Frames([one["image"] for one in sources], [one["mask"] for one in sources], target["image"])
        method._semantics.freeze()
        method._pixel.update_generators(frames, replace(first_stage(3), **{part: weight}), method._semantics)
        return {
            f"{name}/{key}": torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            for name, network in method._pixel.networks.items()
            if name.startswith("generator")
            for key, parameter in network.named_parameters()
        }

    off, once, twice = (gradients(times) for times in (0.0, 1.0, 2.0))
    assert any(not torch.equal(off[key], once[key]) for key in off)
    for key in off:
        torch.testing.assert_close(twice[key] - once[key], once[key] - off[key], rtol=1e-3, atol=1e-5)


def test_drawn_pairs_of_the_cross_domain_cycle_are_all_pairs_on_average(
    build: Build, first_stage: Callable[[int], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all eight draws for three sources, each with the same chance, the mean is the paper's sum."""
    verdicts = {(i, j): torch.tensor([0.1 * (3 * i + j)]) for i in range(3) for j in range(3) if i != j}

    def total(method: Madan) -> float:
        partners = method._pixel._draw_partners(first_stage(3))
        drawn = method._config.formulation == "aggregated"
        losses = [cross_cycle_loss([verdicts[i, j] for j in js], 3, drawn=drawn) for i, js in partners.items() if js]
        return float(torch.stack(losses).sum())

    paper = total(build(3, formulation="paper"))
    assert paper == pytest.approx(sum((float(verdict) - 1) ** 2 for verdict in verdicts.values()) / 2)
    method, totals = build(3), []
    for draws in itertools.product((0, 1), repeat=3):
        waiting = iter(draws)
        monkeypatch.setattr(torch, "randint", lambda *_, waiting=waiting, **__: torch.tensor(next(waiting)))
        totals.append(total(method))
    assert len(set(totals)) > 1
    assert sum(totals) / len(totals) == pytest.approx(paper)
