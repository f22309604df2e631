"""A step of the method: what it equals, what moves, and that parts, resuming and repeating change nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus.errors import CheckpointError
from isthmus.training.distributed import World
from isthmus.training.randomization.method import Randomization
from isthmus.training.runtime import Runtime
from isthmus.training.source_only.method import SourceOnly

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "randomization_small.json"
Build = Callable[..., Randomization]
Frames = Callable[..., list[dict[str, Any]]]


def losses_of(method: Any, step: int, sources: list[dict[str, Any]]) -> dict[str, float]:
    torch.manual_seed(step)  # dropout
    return {name: float(loss) for name, loss in method.train_step(step, sources, None).losses.items()}


def weights_of(method: Any) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in method.segmenter.state_dict().items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_view_is_source_only_bit_for_bit(
    build: Build, small, optimiser, frames: Frames, precision: str, weighted: bool
) -> None:
    runtime = Runtime(
        world=World(), device=torch.device("cpu"), precision=precision, channels_last=weighted, compile=False
    )
    class_weights = torch.linspace(0.5, 2.0, 19) if weighted else None
    runtime.place(small)
    plain = SourceOnly(small, optimiser(small), class_weights, runtime)
    ours = build(views=1, weight_pcd=0.0, weight_pci=0.0, runtime=runtime, class_weights=class_weights)
    runtime.place(ours.segmenter)
    for step in range(4):
        expected, found = losses_of(plain, step, frames(step)), losses_of(ours, step, frames(step))
        assert found == {"segmentation": expected["total"], "total": expected["total"]}
    left, right = weights_of(plain), weights_of(ours)
    assert all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("views_per_pass", [None, 1])
def test_normalisation_may_keep_the_statistics_of_the_frames_as_they_are(
    build: Build, frames: Frames, views_per_pass: int | None
) -> None:
    of_views, of_frames = (
        build(running_statistics=kind, views_per_pass=views_per_pass) for kind in ("views", "frames")
    )
    alone = build(running_statistics="frames").segmenter
    losses = [losses_of(method, 0, frames(0)) for method in (of_views, of_frames)]
    assert losses[0] == losses[1]
    left, right = weights_of(of_views), weights_of(of_frames)
    assert {key for key in left if not torch.equal(left[key], right[key])} >= {
        "network.encoder.second.1.running_mean",
        "network.encoder.second.1.running_var",
    }
    assert all(torch.equal(left[key], right[key]) for key in left if "running" not in key and "num_batches" not in key)
    learned = {key: value for key, value in right.items() if "running" not in key and "num_batches" not in key}
    alone.load_state_dict(learned, strict=False)
    with torch.no_grad():
        alone(torch.cat([batch["image"] for batch in frames(0)]))
    for key, value in alone.state_dict().items():
        torch.testing.assert_close(right[key], value)


def test_views_change_what_is_learned(build: Build, frames: Frames) -> None:
    one, three = build(views=1, weight_pcd=0.0, weight_pci=0.0), build(views=3, weight_pcd=0.0, weight_pci=0.0)
    for method in (one, three):
        losses_of(method, 0, frames(0))
    key = "network.classifier.weight"
    assert not torch.equal(weights_of(one)[key], weights_of(three)[key])


@pytest.mark.parametrize(
    ("weights", "present"),
    [
        ({"weight_pcd": 0.1, "weight_pci": 0.2}, {"pcd", "pci"}),
        ({"weight_pcd": 0.0, "weight_pci": 0.2}, {"pci"}),
        ({"weight_pcd": 0.1, "weight_pci": 0.0}, {"pcd"}),
        ({"weight_pcd": 0.0, "weight_pci": 0.0}, set()),
    ],
)
def test_the_total_is_the_weighted_sum_of_what_plays(
    build: Build, frames: Frames, weights: dict[str, float], present: set[str]
) -> None:
    losses = losses_of(build(**weights), 0, frames(0))
    assert set(losses) == {"segmentation", "total", *present}
    expected = losses["segmentation"] + sum(weights[f"weight_{name}"] * losses[name] for name in present)
    assert losses["total"] == pytest.approx(expected, rel=1e-6)


def test_consistency_grows_with_its_ramp(build: Build, frames: Frames) -> None:
    method = build(ramp=0.4, weight_pcd=1.0, weight_pci=0.0)  # of 10 steps: whole after 4
    for step, factor in enumerate((0.25, 0.5, 0.75, 1.0, 1.0)):
        result = method.train_step(step, frames(step), None)
        assert result.metrics["consistency_ramp"] == pytest.approx(factor)
        found = result.losses["segmentation"] + factor * result.losses["pcd"]
        torch.testing.assert_close(result.losses["total"], found)


def gradients_of(method: Randomization, sources: list[dict[str, Any]]) -> dict[str, Tensor]:
    losses_of(method, 0, sources)
    return {name: one.grad.clone() for name, one in method.segmenter.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("views_per_pass", [1, 2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_passes_give_the_same_gradients(
    build: Build, frames: Frames, unnormalised, views_per_pass: int, weighted: bool
) -> None:
    class_weights = torch.linspace(0.5, 2.0, 19) if weighted else None
    options = {"weight_pcd": 1.0, "weight_pci": 1.0, "class_weights": class_weights}
    whole = build(segmenter=unnormalised(), **options)
    divided = build(segmenter=unnormalised(), views_per_pass=views_per_pass, **options)
    expected, found = gradients_of(whole, frames(0)), gradients_of(divided, frames(0))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)
    one, other = (losses_of(method, 1, frames(1)) for method in (whole, divided))
    assert other == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize(("views_per_pass", "passes"), [(None, 1), (3, 2), (2, 5)])
def test_targets_cost_a_pass_only_where_views_are_divided(
    build: Build, frames: Frames, views_per_pass: int | None, passes: int
) -> None:
    method = build(views_per_pass=views_per_pass)
    outputs = []
    method._network.register_forward_hook(lambda _module, _given, output: outputs.append(output))
    losses_of(method, 0, frames(0))
    assert len(outputs) == passes


def test_passes_for_targets_leave_statistics_and_repeat_dropout(build: Build, frames: Frames, unnormalised) -> None:
    method = build(segmenter=unnormalised(dropout=0.5), views_per_pass=2)
    outputs = []
    method._network.register_forward_hook(lambda _module, _given, output: outputs.append(output[0].detach()))
    losses_of(method, 0, frames(0))
    # Two parts hold views: they go through before, then all three parts.
    assert [torch.equal(outputs[i], outputs[i + 2]) for i in (0, 1)] == [True, True]
    normalised = build(views_per_pass=2)
    losses_of(normalised, 0, frames(0))
    counter = normalised.segmenter.state_dict()["network.encoder.second.1.num_batches_tracked"]
    assert int(counter) == 3  # one for each part


def test_a_source_without_labels_on_its_pixels_teaches_nothing(build: Build, frames: Frames) -> None:
    method = build(weight_pcd=0.0, weight_pci=0.0)
    sources = frames(0)
    for one in sources:
        one["mask"] = torch.full_like(one["mask"], 255)
    assert losses_of(method, 0, sources) == {"segmentation": 0.0, "total": 0.0}
    assert all(torch.isfinite(value).all() for value in weights_of(method).values())


def test_steps_repeat(build: Build, frames: Frames) -> None:
    first, second = build(), build()
    assert [losses_of(first, step, frames(step)) for step in (0, 1)] == [
        losses_of(second, step, frames(step)) for step in (0, 1)
    ]


def test_a_restored_method_goes_on_bit_for_bit(build: Build, frames: Frames) -> None:
    whole, begun, restored = build(), build(), build()
    expected = [losses_of(whole, step, frames(step)) for step in range(4)]
    for step in range(2):
        losses_of(begun, step, frames(step))
    for name, network in restored.networks.items():
        network.load_state_dict(begun.networks[name].state_dict())
    restored.load_state_dict(begun.state_dict())
    restored.load_local_state(begun.local_state())
    assert begun.local_state() == {}
    assert [losses_of(restored, step, frames(step)) for step in (2, 3)] == expected[2:]
    left, right = weights_of(whole), weights_of(restored)
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_other_styles_are_refused(build: Build) -> None:
    state = build().state_dict()
    state["styles"][0]["kind"] = "fourier"
    with pytest.raises(CheckpointError, match=r"style domains changed.* domain 0 was fourier with 0 files"):
        build().load_state_dict(state)


def test_batches_are_left_as_they_were(build: Build, frames: Frames) -> None:
    sources, kept = frames(0), frames(0)
    build().train_step(0, sources, None)
    for one, was in zip(sources, kept, strict=True):
        assert torch.equal(one["image"], was["image"])
        assert torch.equal(one["mask"], was["mask"])


@pytest.mark.parametrize("views_per_pass", [None, 2])
def test_pictures_show_one_street_in_its_styles(build: Build, frames: Frames, views_per_pass: int | None) -> None:
    result = build(views_per_pass=views_per_pass).train_step(0, frames(0), None)
    assert result.pictures is not None
    shown = result.pictures.args[0]
    for kept in (shown.images, shown.masks, shown.logits):
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()
    pictures = result.pictures()
    assert {name: (picture.shape, str(picture.dtype)) for name, picture in pictures.items()} == {
        "styles": ((18 + 3 * 2 * 32, 3 * 4 * 64, 3), "uint8"),  # enlarged, with headings
        "crops": ((18 + 3 * 2 * 32, 3 * 3 * 64, 3), "uint8"),
    }
    assert torch.equal(shown.images[0], frames(0)[0]["image"][0])
    first = torch.from_numpy(pictures["styles"][18::3, ::3][:32, 64:128]).permute(2, 0, 1) / 255
    torch.testing.assert_close(first, frames(0)[0]["image"][0], atol=1 / 255, rtol=0)


def test_first_losses_are_the_golden_ones(build: Build, frames: Frames) -> None:
    """After a wanted change: REWRITE_GOLDEN=1 pytest tests/training/randomization/test_method.py -k golden."""
    method = build()
    losses = [losses_of(method, step, frames(step)) for step in range(2)]
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps({"losses": losses}, indent=2) + "\n", encoding="utf-8")
    for now, golden in zip(losses, json.loads(GOLDEN.read_text(encoding="utf-8"))["losses"], strict=True):
        assert now == pytest.approx(golden, rel=1e-3)
