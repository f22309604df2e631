"""Style images: seeded, mixed from the first one on, and never over somebody else's files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.datasets.worlds.geometry.fractal import fractal_field
from isthmus.datasets.worlds.styles import MANIFEST_NAME, STYLE_KINDS, draw_style, render_styles
from isthmus.errors import ConfigurationError

SIZE_HW = (40, 64)


def render(out: Path, *, num_images: int = 3, seed: int = 4) -> str:
    return render_styles(out=out, num_images=num_images, size_hw=SIZE_HW, seed=seed)


@pytest.mark.parametrize("index", range(len(STYLE_KINDS)))
def test_every_kind_draws_a_picture_that_shows_something(index: int) -> None:
    style = draw_style(SIZE_HW, seed=0, index=index)
    assert style.kind == tuple(STYLE_KINDS)[index]
    assert style.image.shape == (*SIZE_HW, 3)
    assert style.image.std() > 2.0


def test_seed_and_number_decide_about_an_image() -> None:
    first = draw_style(SIZE_HW, seed=1, index=0).image
    np.testing.assert_array_equal(first, draw_style(SIZE_HW, seed=1, index=0).image)
    assert np.any(first != draw_style(SIZE_HW, seed=2, index=0).image)
    assert np.any(first != draw_style(SIZE_HW, seed=1, index=len(STYLE_KINDS)).image)


def test_a_set_is_written_with_its_manifest(tmp_path: Path) -> None:
    steps: list[int] = []
    digest = render_styles(out=tmp_path, num_images=3, size_hw=SIZE_HW, seed=4, on_image=steps.append)
    manifest = json.loads((tmp_path / MANIFEST_NAME).read_text())
    assert steps == [1, 2, 3]
    assert manifest["digest"] == digest
    assert manifest["images"] == ["00000-clouds.jpg", "00001-brush.jpg", "00002-mosaic.jpg"]
    assert all(Image.open(tmp_path / name).size == (64, 40) for name in manifest["images"])


def test_a_larger_set_of_the_same_request_begins_with_the_smaller_one(tmp_path: Path) -> None:
    render(tmp_path)
    before = (tmp_path / "00001-brush.jpg").read_bytes()
    render(tmp_path, num_images=5)
    assert (tmp_path / "00001-brush.jpg").read_bytes() == before
    assert len(list(tmp_path.glob("*.jpg"))) == 5


def test_another_request_is_refused(tmp_path: Path) -> None:
    render(tmp_path)
    with pytest.raises(ConfigurationError, match="style images of another request"):
        render(tmp_path, seed=5)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ConfigurationError, match="holds other files"):
        render(tmp_path)


def test_a_steeper_spectrum_makes_a_smoother_field() -> None:
    grain, clouds = (fractal_field(np.random.default_rng(0), (64, 64), exponent=e) for e in (0.0, 2.0))
    assert np.abs(np.diff(grain, axis=1)).mean() > 5 * np.abs(np.diff(clouds, axis=1)).mean()
    assert grain.std() == pytest.approx(1.0)
    assert grain.mean() == pytest.approx(0.0, abs=1e-12)
