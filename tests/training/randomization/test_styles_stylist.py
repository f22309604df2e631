"""Versions of frames: drawn again alike, aligned with their labels, and written down."""

import hashlib
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus.artifact import sha256_of
from isthmus.configuration import parse_config
from isthmus.datasets.layout import write_png
from isthmus.errors import CheckpointError, DataMissingError
from isthmus.training.randomization.styles.config import StylesConfig
from isthmus.training.randomization.styles.stylist import Stylist, build_stylist, styles_to_know
from isthmus.training.randomization.styles.translation import TranslationDomain

CPU = torch.device("cpu")
TITLES = "[gta5/all:fit, synthia/all]"

Saver = Callable[..., Path]


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Two frames with edges: rectangles of random colours over a ramp."""
    rng = np.random.default_rng(5)
    frames = np.broadcast_to(np.linspace(0.2, 0.6, 40)[:, None], (2, 3, 40, 56)).copy()
    for frame, _ in product(frames, range(7)):
        top, left = rng.integers(0, 28), rng.integers(0, 40)
        frame[:, top : top + rng.integers(6, 14), left : left + rng.integers(6, 16)] = rng.random((3, 1, 1))
    return torch.from_numpy(frames).float()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small style images, each around a colour of its own."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(6)
    for number in range(6):
        pixels = rng.random(3) * 200 + rng.random((10, 12, 3)) * 55
        write_png(folder / f"{number}.png", pixels.astype(np.uint8))
    return folder


def stylist(text: str, seed: int = 3) -> Stylist:
    return build_stylist(parse_config(text, StylesConfig), seed=seed, device=CPU)


def of_kind(kind: str, photographs: Path, run: Path, *, domains: int = 1, views: int = 2) -> str:
    checkpoints = ", ".join([str(run)] * domains)
    translation = f"translation: {{checkpoints: [{checkpoints}], sources: {TITLES}}}"
    return f"{{views: {views}, domains: {domains}, weights: {{{kind}: 1.0}}, images: {photographs}, {translation}}}"


def edges(images: Tensor) -> Tensor:
    """Magnitude of the luminance's gradient, [B,H-2,W-2]."""
    grey = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    rise = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    run = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    return torch.sqrt(rise**2 + run**2)


def best_shift(first: Tensor, second: Tensor) -> tuple[int, int]:
    """The shift within 3 pixels at which the edges of both correlate best."""

    def correlation(shift: tuple[int, int]) -> float:
        moved = torch.roll(edges(second), shift, (1, 2))[:, 3:-3, 3:-3]
        both = torch.stack([edges(first)[:, 3:-3, 3:-3].flatten(), moved.flatten()])
        return float(torch.corrcoef(both)[0, 1])

    return max(product(range(-3, 4), repeat=2), key=correlation)


@pytest.mark.parametrize("kind", ["amplitude", "fourier", "statistics", "translation"])
class TestEveryKind:
    """What holds whatever changes the look."""

    def test_edges_stay_where_the_labels_are(
        self, kind: str, images: Tensor, photographs: Path, save_run: Saver
    ) -> None:
        drawer = stylist(of_kind(kind, photographs, save_run(residual=True)))
        assert best_shift(images, torch.roll(images, (2, -1), (2, 3))) == (-2, 1)
        for step in range(3):
            assert best_shift(images, drawer.views(images, step, 0, 0)[1]) == (0, 0)

    def test_views_are_in_range_and_without_gradients(
        self, kind: str, images: Tensor, photographs: Path, save_run: Saver
    ) -> None:
        drawer = stylist(of_kind(kind, photographs, save_run(), domains=2, views=3))
        views = drawer.views(images.clone().requires_grad_(), 0, 1, 0)
        assert views.shape == (3, 2, 3, 40, 56)
        assert views.dtype == torch.float32
        assert not views.requires_grad
        assert torch.equal(views[0], images)
        assert views.min() >= 0
        assert views.max() <= 1
        assert (views[1] - images).abs().mean() > 0.01

    def test_the_callers_images_stay(self, kind: str, images: Tensor, photographs: Path, save_run: Saver) -> None:
        before = images.clone()
        stylist(of_kind(kind, photographs, save_run())).views(images, 0, 0, 0)
        assert torch.equal(images, before)

    def test_another_stylist_draws_the_same(
        self, kind: str, images: Tensor, photographs: Path, save_run: Saver
    ) -> None:
        text = of_kind(kind, photographs, save_run(), domains=2, views=3)
        first = stylist(text)
        first.views(images, 4, 0, 0)  # nothing is carried over from one step to the next
        torch.manual_seed(99)
        assert torch.equal(first.views(images, 5, 1, 1), stylist(text).views(images, 5, 1, 1))


@pytest.mark.parametrize("kind", ["amplitude", "fourier", "statistics"])
def test_step_source_rank_and_seed_each_change_the_draw(kind: str, images: Tensor, photographs: Path) -> None:
    text = of_kind(kind, photographs, Path("none"))
    drawer = stylist(text)
    draws = [drawer.views(images, *key)[1] for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    draws.append(stylist(text, seed=4).views(images, 0, 0, 0)[1])
    for index, one in enumerate(draws):
        assert not any(torch.equal(one, other) for other in draws[:index])


@pytest.mark.parametrize("kind", ["amplitude", "fourier", "statistics"])
def test_frames_of_a_batch_have_styles_of_their_own(kind: str, images: Tensor, photographs: Path) -> None:
    same = images[:1].expand(4, -1, -1, -1)
    styled = stylist(of_kind(kind, photographs, Path("none"))).views(same, 0, 0, 0)[1]
    assert not torch.equal(styled[0], styled[1]) or not torch.equal(styled[1], styled[2])


def test_one_view_is_the_images_alone(images: Tensor) -> None:
    drawer = stylist("{views: 1, domains: 15, weights: {}}")
    views = drawer.views(images, 0, 0, 0)
    assert torch.equal(views, images[None])
    assert drawer.chosen(0, 0, 0) == ()
    assert drawer.describe() == []


def test_views_are_in_different_domains_and_all_domains_come() -> None:
    drawer = stylist("{views: 4, domains: 5, weights: {amplitude: 1.0}}")
    chosen = [drawer.chosen(step, 0, 0) for step in range(40)]
    assert all(len(set(one)) == 3 for one in chosen)
    assert {domain for one in chosen for domain in one} == set(range(5))


def test_more_views_than_domains_use_all_of_them() -> None:
    chosen = stylist("{views: 6, domains: 2, weights: {amplitude: 1.0}}").chosen(0, 0, 0)
    assert sorted(chosen) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])


def test_views_and_subfolders_that_do_not_fit_the_domains_are_said(tmp_path: Path) -> None:
    for look in ("day", "night"):
        write_png(tmp_path / look / "a.png", np.zeros((8, 8, 3), np.uint8))

    def said(text: str) -> str:
        return " ".join(styles_to_know(parse_config(text, StylesConfig)))

    assert "6 views of a frame, but only 2 domains" in said("{views: 6, domains: 2, weights: {amplitude: 1.0}}")
    assert said("{views: 3, domains: 2, weights: {amplitude: 1.0}}") == ""
    styles = f"{{views: 2, domains: 6, weights: {{amplitude: 1.0, fourier: 1.0}}, images: {tmp_path}}}"
    assert said(styles) == (
        "method.styles.images: 2 subfolders for 3 domains that need images: each domain mixes them all"
    )


@pytest.mark.parametrize("domains", [1, 3])
def test_k_limits_the_variety(images: Tensor, domains: int) -> None:
    drawer = stylist(f"{{views: 2, domains: {domains}, weights: {{amplitude: 1.0}}, amplitude: {{patterns: 2}}}}")
    seen = {hashlib.sha256(drawer.views(images[:1], step, 0, 0)[1].numpy().tobytes()).digest() for step in range(60)}
    assert len(seen) == 2 * domains


def test_a_domain_keeps_to_its_own_images(images: Tensor, tmp_path: Path) -> None:
    for level in (51, 204):
        write_png(tmp_path / f"{level:03d}/a.png", np.full((8, 8, 3), level, np.uint8))
    text = f"{{views: 2, domains: 2, weights: {{statistics: 1.0}}, images: {tmp_path}, statistics: {{space: rgb, "
    drawer = stylist(text + "strength: [1.0, 1.0]}}")
    for step in range(8):
        (domain,) = drawer.chosen(step, 0, 0)
        styled = drawer.views(images, step, 0, 0)[1]
        torch.testing.assert_close(styled, torch.full_like(styled, (0.2, 0.8)[domain]))


def test_each_source_has_its_own_generator(images: Tensor, photographs: Path, save_run: Saver) -> None:
    drawer = stylist(of_kind("translation", photographs, save_run()))
    for source, level in ((0, 0.7), (1, 0.8)):
        styled = drawer.views(images, 0, source, 0)[1]
        torch.testing.assert_close(styled, torch.full_like(styled, level))


def test_generators_are_frozen(save_run: Saver) -> None:
    for network in TranslationDomain(save_run(), ["gta5/all:fit", "synthia/all"], CPU).generators:
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())


def test_sources_are_found_by_title_not_by_order(images: Tensor, save_run: Saver) -> None:
    text = f"{{views: 2, domains: 1, weights: {{translation: 1.0}}, translation: {{checkpoints: [{save_run()}], "
    styled = stylist(text + "sources: [synthia/all]}}").views(images, 0, 0, 0)[1]
    torch.testing.assert_close(styled, torch.full_like(styled, 0.8))
    with pytest.raises(CheckpointError, match=r"translates gta5/all:fit, synthia/all, where camvid/val is expected"):
        stylist(text + "sources: [camvid/val]}}")


def test_untrained_generators_are_refused(photographs: Path, save_run: Saver) -> None:
    # Generators begin at 0.25 of 8 steps: the checkpoint of step 3 is the first with a step of theirs. Residual
    # ones are saved here as they begin.
    stylist(of_kind("translation", photographs, save_run("third", step=3, residual=True)))
    with pytest.raises(CheckpointError, match="at step 2 its generators are untrained"):
        stylist(of_kind("translation", photographs, save_run("second", step=2, residual=True)))


def test_another_methods_run_is_refused(photographs: Path, save_run: Saver) -> None:
    with pytest.raises(CheckpointError, match="source_only has no generators"):
        stylist(of_kind("translation", photographs, save_run(method="source_only")))


def test_a_missing_run_or_folder_is_refused(photographs: Path, tmp_path: Path) -> None:
    lost = r"nowhere: a style's generators cannot be had: no checkpoint here\. Name where they lie now under method"
    with pytest.raises(CheckpointError, match=lost):
        stylist(of_kind("translation", photographs, tmp_path / "nowhere"))
    with pytest.raises(DataMissingError, match="no such folder"):
        stylist(of_kind("fourier", tmp_path / "nowhere", tmp_path))


def test_all_domains_are_written_down(photographs: Path, save_run: Saver, tmp_path: Path) -> None:
    run = save_run()
    weights = "weights: {amplitude: 1.0, fourier: 1.0, statistics: 1.0, translation: 1.0}"
    translation = f"translation: {{checkpoints: [{run}], sources: {TITLES}}}"
    drawer = stylist(f"{{views: 3, domains: 4, {weights}, images: {photographs}, {translation}}}")
    drawer.write(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "style_domains.json").read_text())
    assert written == drawer.describe()
    assert [(one["domain"], one["kind"]) for one in written] == list(
        enumerate(("amplitude", "fourier", "statistics", "translation"))
    )
    amplitude, fourier, statistics, translated = written
    assert amplitude["parameters"] == {"alpha": 3.0, "exponent": 2.0, "base": 0.25, "seed": 3, "spectra": [0, 15]}
    assert fourier["parameters"] == {"beta": [0.0, 0.1]}
    assert [one["path"] for one in fourier["images"]] == ["0.png", "2.png", "4.png"]
    assert fourier["images"][1]["sha256"] == sha256_of(photographs / "2.png")
    assert statistics["parameters"] == {"space": "lab", "strength": [0.5, 1.0]}
    assert [one["path"] for one in statistics["images"]] == ["1.png", "3.png", "5.png"]
    weights_file = run / "checkpoints" / "step-00000008" / "generator_to_target_1.safetensors"
    assert translated["parameters"]["run"] == "madan-tiny"
    assert translated["parameters"]["step"] == 8
    assert translated["parameters"]["generators"][1] == {
        "source": "synthia/all",
        "path": str(weights_file),
        "sha256": sha256_of(weights_file),
    }
