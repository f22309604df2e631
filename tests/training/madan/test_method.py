"""The phases of a step: who moves, which part a switch takes out, and that saving memory changes no gradient."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.training.distributed import World
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.alignment import _padded
from isthmus.training.madan.color_jitter import ColorJitterConfig
from isthmus.training.madan.config import StagesConfig, WeightsConfig
from isthmus.training.madan.method import Madan
from isthmus.training.madan.pixel import Frames
from isthmus.training.madan.stages import Stage
from isthmus.training.runtime import Runtime

Build = Callable[..., Madan]
CPU = Runtime(world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False)
BEGINNINGS = ("generators_from", "sad_from", "ccd_from", "task_from", "features_from")
ALL_AT_ONCE = StagesConfig(generators_from=0, sad_from=0, ccd_from=0, task_from=0, features_from=0, ramp=0)


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Networks whose weights differ."""
    return {key.split("/")[0] for key, value in before.items() if not torch.equal(value, after[key])}


@pytest.mark.parametrize("formulation", ["paper", "aggregated"])
@pytest.mark.parametrize("num_sources", [1, 2, 3])
def test_a_whole_step_moves_all_but_the_frozen_networks(
    build: Build, num_sources: int, formulation: str, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    method = build(num_sources, formulation=formulation)
    before = weights_of(method)
    losses = step_of(method, 0, num_sources)
    frozen = {f"source_segmenter_{i}" for i in range(num_sources)}
    assert moved(before, weights_of(method)) == set(method.networks) - frozen
    assert ("sad" in losses, "ccd" in losses) == (num_sources > 1, num_sources > 1)
    assert ("aggregation_discriminator" in method.networks) == (num_sources > 1)


def test_combined_sources_are_one_domain(build: Build, batches_of: Callable[..., Any]) -> None:
    both, one = build(1, combine_sources=True), build(1)
    sources, target = batches_of(0)
    together = {key: torch.cat([batch[key] for batch in sources]) for key in ("image", "mask")} | {"names": ()}
    losses = []
    for method, batches in ((both, sources), (one, [together])):
        torch.manual_seed(0)
        losses.append(method.train_step(0, batches, target).losses)
    assert losses[0].keys() == losses[1].keys()
    assert not {"sad", "ccd"} & set(losses[0])
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_the_first_stage_trains_segmenters_on_the_sources_alone(
    build: Build, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    later = StagesConfig(generators_from=0.5, sad_from=0.5, ccd_from=0.5, task_from=0.5, features_from=0.5)
    method = build(stages=later)
    before = weights_of(method)
    assert set(step_of(method, 0)) == {"source_0", "source_1", "task", "total"}
    assert moved(before, weights_of(method)) == {"segmenter", "source_segmenter_0", "source_segmenter_1"}


@pytest.mark.parametrize("begin", [0.0, 0.1])
@pytest.mark.parametrize("formulation", ["paper", "aggregated"])
def test_no_gradient_reaches_the_networks_that_watch_over_meaning(
    build: Build,
    step_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    formulation: str,
    begin: float,
) -> None:
    stages = StagesConfig(**dict.fromkeys(BEGINNINGS, begin), ramp=0)
    weights = WeightsConfig(score=0.1, category=0.1, source=0.5, self_training=1.0)
    method = build(stages=stages, weights=weights, formulation=formulation, ema_decay=0.75)
    first = 0
    if begin > 0:
        step_of(method, 0)  # F_i learn, and F_A begins again where F is
        first = 1
    before = weights_of(method)
    step_of(method, first)
    after = weights_of(method)
    watching = [name for name in method.networks if name.startswith(("source_segmenter_", "adapted_segmenter"))]
    assert len(watching) == 3
    for name in watching:
        assert all(one.grad is None for one in method.networks[name].parameters()), name
        assert not any(one.requires_grad for one in method.networks[name].parameters()), name
    assert not {f"source_segmenter_{i}" for i in (0, 1)} & moved(before, after)
    for key, now in after.items():
        name, _, part = key.partition("/")
        if name == "adapted_segmenter":
            begun = before[f"segmenter/{part}"] if begin > 0 else before[key]
            f = after[f"segmenter/{part}"]
            assert torch.equal(now, begun.lerp(f, 0.25) if now.is_floating_point() else f), key


def test_until_the_task_begins_the_segmenter_rests(
    build: Build, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    method = build(stages=replace(ALL_AT_ONCE, task_from=0.9, features_from=0.9))
    before = weights_of(method)
    losses = step_of(method, 0)
    assert not {"task", "feature", "feature_discriminator"} & set(losses)
    assert not {"segmenter", "feature_discriminator"} & moved(before, weights_of(method))


def test_f_a_begins_where_f_is_and_follows_it(build: Build, step_of: Callable[..., Any]) -> None:
    later = StagesConfig(generators_from=0.1, sad_from=0.1, ccd_from=0.1, task_from=0.2, features_from=0.2, ramp=0)
    method = build(stages=later, ema_decay=0.75)
    step_of(method, 0)
    step_of(method, 1)
    key = "network.classifier.weight"
    f = method.networks["segmenter"].state_dict()
    torch.testing.assert_close(method.networks["adapted_segmenter"].state_dict()[key], f[key])
    was = f[key].clone()
    step_of(method, 2)
    now = method.networks["segmenter"].state_dict()[key]
    torch.testing.assert_close(method.networks["adapted_segmenter"].state_dict()[key], 0.75 * was + 0.25 * now)


def test_without_images_to_judge_there_are_no_judges(build: Build, step_of: Callable[..., Any]) -> None:
    method = build(weights=WeightsConfig(gan=0.0, sad=0.0, ccd=0.0, feature=0.0))
    assert not [name for name in method.networks if "discriminator" in name]
    assert set(step_of(method, 0)) == {"cycle", "semantic", "task", "total"}
    method.load_state_dict(method.state_dict())


def test_an_earlier_runs_f_a_stands_where_nothing_is_trained_before(
    build: Build, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    method = build(stages=replace(ALL_AT_ONCE, task_from=0.9, features_from=0.9))
    with torch.no_grad():
        for parameter in method.networks["adapted_segmenter"].parameters():
            parameter.add_(1.0)
    before = weights_of(method)
    step_of(method, 0)
    assert "adapted_segmenter" not in moved(before, weights_of(method))


def test_colours_change_for_the_segmenter_alone(
    build: Build, monkeypatch: pytest.MonkeyPatch, step_of: Callable[..., Any], batches_of: Callable[..., Any]
) -> None:
    method = build(color_jitter=ColorJitterConfig(probability=1.0))
    plain = step_of(build(), 0)
    seen: list[Tensor] = []
    forward = method._forward
    monkeypatch.setattr(method, "_forward", lambda image: (seen.append(image), forward(image))[1])
    losses = step_of(method, 0)
    for name in ("gan_to_target", "gan_to_source", "cycle", "semantic", "target_discriminator", "source_discriminator"):
        assert losses[name] == plain[name]
    assert losses["task"] != plain["task"]
    (batch,) = seen
    assert not torch.equal(batch[-2:], batches_of(0)[1]["image"])  # the target's frames, last in the batch


def test_self_training_shows_the_segmenter_target_frames_with_adapted_objects_on_them(
    build: Build, monkeypatch: pytest.MonkeyPatch, step_of: Callable[..., Any], batches_of: Callable[..., Any]
) -> None:
    method = build(weights=WeightsConfig(feature=0.0, self_training=1.0))
    seen: list[Tensor] = []
    forward = method._forward
    monkeypatch.setattr(method, "_forward", lambda image: (seen.append(image), forward(image))[1])
    step_of(method, 0)
    (batch,) = seen
    adapted, mixed, target = batch[:4], batch[4:], batches_of(0)[1]["image"]
    of_target = (mixed == target).all(1)
    of_adapted = (mixed[:, None] == adapted[None]).all(2).any(1)
    assert (of_target ^ of_adapted).all()
    assert all(0.3 < float(share) < 0.7 for share in of_target.float().mean((1, 2)))


def test_the_first_stage_learns_from_changed_colours_too(
    build: Build, step_of: Callable[..., Any], batches_of: Callable[..., Any]
) -> None:
    later = StagesConfig(generators_from=0.5, sad_from=0.5, ccd_from=0.5, task_from=0.5, features_from=0.5)
    method = build(stages=later, color_jitter=ColorJitterConfig(probability=1.0))
    seen: list[Tensor] = []
    for i in (0, 1):
        method.networks[f"source_segmenter_{i}"].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    step_of(method, 0)
    given = batches_of(0)[0]
    assert [torch.equal(one, batch["image"]) for one, batch in zip(seen, given, strict=True)] == [False, False]


def test_dropped_out_translations_do_not_reach_the_segmenter(
    build: Build, batches_of: Any, first_stage: Callable[[int], Stage]
) -> None:
    method = build(generator=GeneratorConfig(width=4, blocks=1, dropout=0.5))
    sources, target = batches_of(0)
    frames = Frames([one["image"] for one in sources], [one["mask"] for one in sources], target["image"])
    _, translated = method._pixel.update_generators(frames, first_stage(2), method._semantics)
    first, second = (method._adapted(frames, translated) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[0], method._pixel.adapt(frames.images[0], 0))


def test_categories_lie_where_the_padded_features_do() -> None:
    masks = torch.full((1, 33, 64), 3)
    padded = _padded(masks)
    assert padded.shape == (1, 64, 64)
    assert torch.equal(padded[:, :33], masks)
    assert (padded[:, 33:] == IGNORE_INDEX).all()


@pytest.mark.parametrize("formulation", ["paper", "aggregated"])
@pytest.mark.parametrize("num_sources", [1, 3])
def test_saving_memory_changes_no_gradient(
    build: Build,
    num_sources: int,
    formulation: str,
    batches_of: Callable[..., Any],
    first_stage: Callable[[int], Stage],
) -> None:
    gradients = []
    for per_source, checkpointing in ((False, False), (True, False), (True, True)):
        method = build(
            num_sources, per_source_backward=per_source, checkpointing=checkpointing, formulation=formulation
        )
        sources, target = batches_of(0, num_sources)
        frames = Frames([one["image"] for one in sources], [one["mask"] for one in sources], target["image"])
        stage = first_stage(num_sources)
        method._semantics.freeze()
        method._pixel.update_generators(frames, stage, method._semantics)
        networks = method._pixel.networks
        gradients.append(
            {
                f"{name}/{key}": parameter.grad.clone()
                for name, network in networks.items()
                if name.startswith("generator")
                for key, parameter in network.named_parameters()
            }
        )
        assert all(p.grad is None for name, n in networks.items() if "discriminator" in name for p in n.parameters())
    plain, *saving = gradients
    for other in saving:
        for key, gradient in plain.items():
            torch.testing.assert_close(other[key], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler looks at it
def test_compiling_reaches_all_large_networks_and_changes_no_loss(
    build: Build, monkeypatch: pytest.MonkeyPatch, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    # Graphs are captured and differentiated as ever; the minutes of making code for them are saved.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    starts = dict.fromkeys(("generators_from", "sad_from", "ccd_from", "task_from", "features_from"), 0.1)
    stages = StagesConfig(**starts, generators_until=0.2, ramp=0)
    plain, compiled = (
        build(2, replace(CPU, compile=compile_), stages=stages, checkpointing=True, formulation="paper")
        for compile_ in (False, True)
    )
    for step in range(3):  # the first stage, generators that learn, generators that hold still
        assert step_of(compiled, step) == pytest.approx(step_of(plain, step), rel=1e-3)
    assert weights_of(compiled).keys() == weights_of(plain).keys()
    apart = {"segmenter", "feature_discriminator", "score_discriminator", "category_discriminator"}  # F: `parallel`
    for name in set(compiled.networks) - apart:
        network = compiled.networks[name]
        parts = network if isinstance(network, nn.ModuleList) else [network]
        assert all(part._compiled_call_impl is not None for part in parts), name


def test_generators_may_learn_from_crops_while_the_segmenter_sees_whole_frames(
    build: Build, step_of: Callable[..., Any]
) -> None:
    method = build(crop_hw=(32, 32), scales=(1.0, 0.5))
    losses = step_of(method, 0)
    one_scale = step_of(build(crop_hw=(32, 32)), 0)
    assert losses["cycle"] > 1.5 * one_scale["cycle"]  # a sum over both scales


@pytest.mark.parametrize("jitter", [None, ColorJitterConfig()])
def test_a_restored_method_goes_on_bit_for_bit(
    build: Build, jitter: ColorJitterConfig | None, step_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    weights = WeightsConfig(score=0.1, category=0.1, self_training=1.0)
    whole, begun, restored = (build(color_jitter=jitter, weights=weights) for _ in range(3))
    expected = [step_of(whole, step) for step in range(4)]
    for step in range(2):
        step_of(begun, step)
    for name, network in restored.networks.items():
        network.load_state_dict(begun.networks[name].state_dict())
    restored.load_state_dict(begun.state_dict())
    restored.load_local_state(begun.local_state())
    assert [step_of(restored, step) for step in (2, 3)] == expected[2:]
    left, right = weights_of(whole), weights_of(restored)
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_batches_are_left_as_they_were(build: Build, batches_of: Callable[..., Any]) -> None:
    sources, target = batches_of(0)
    kept, _ = batches_of(0)
    build().train_step(0, sources, target)
    for one, was in zip(sources, kept, strict=True):
        assert torch.equal(one["image"], was["image"])
        assert torch.equal(one["mask"], was["mask"])


@pytest.mark.parametrize("formulation", ["paper", "aggregated"])
def test_the_watch_sees_each_sources_discriminators(
    build: Build, monkeypatch: pytest.MonkeyPatch, formulation: str, step_of: Callable[..., Any]
) -> None:
    method = build(formulation=formulation)
    seen: list[dict[str, Tensor]] = []
    monkeypatch.setattr(method._watch, "notes", lambda step, shown, losses, stage: seen.append(losses) or [])
    losses = step_of(method, 0)
    own = {name: [seen[0].get(f"{name}_discriminator.{i}") for i in (0, 1)] for name in ("target", "source")}
    for name, (first, second) in own.items():
        assert first is not None
        assert second is not None
        assert float(first + second) / 2 == pytest.approx(losses[f"{name}_discriminator"])
    of_aggregation = [float(loss) for name, loss in seen[0].items() if name.startswith("aggregation_discriminator.")]
    assert len(of_aggregation) == (2 if formulation == "paper" else 0)
    assert not of_aggregation or sum(of_aggregation) == pytest.approx(losses["aggregation_discriminator"])


def test_one_source_alone_is_not_told_by_source(build: Build, batches_of: Callable[..., Any]) -> None:
    sources, target = batches_of(0, 1)
    assert not [name for name in build(1).train_step(0, sources, target).metrics if "." in name]


def test_pictures_have_a_row_a_source(build: Build, batches_of: Callable[..., Any]) -> None:
    sources, target = batches_of(0)
    result = build().train_step(0, sources, target)
    assert result.pictures is not None
    shapes: dict[str, Any] = {name: picture.shape for name, picture in result.pictures().items()}
    assert shapes == {
        "adaptation": (18 + 5 * 64, 5 * 192, 3),
        "target": (18 + 5 * 32, 5 * 96, 3),
    }  # enlarged, with headings
