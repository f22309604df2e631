"""Geometry, statistics, sensor and contact sheet, with numbers that a reader can check."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.datasets.worlds import WORLDS, class_statistics, render_gallery
from isthmus.datasets.worlds.camera.sensor import develop
from isthmus.datasets.worlds.drawing.noise import noise_texture
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid, grid, loft, polygon, tube
from isthmus.datasets.worlds.streets.kinds import draw_layout
from isthmus.datasets.worlds.streets.layout import Curve
from isthmus.errors import ConfigurationError

PLAIN = Paint(Material.PLAIN, (1.0, 0.5, 0.0))


def test_shapes_have_unit_normals_and_legal_faces() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    rings = np.array([[0, 0, 1, 1.0], [1, 0, 2, 1.0], [3, 0, 1, 0.5]])
    shapes = [
        box((1, 2, 3)),
        polygon(square),
        tube((0, 0, 0), (0, 2, 0), 0.5),
        ellipsoid((0, 0, 0), (1, 2, 3)),
        loft(rings),
        grid(np.array([[[0, 0, 0], [1, 0, 0]], [[0, 0, 1], [1, 0, 1]]])),
    ]
    for shape in shapes:
        np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1.0, atol=1e-3)
        assert shape.faces.max() < len(shape.positions) == len(shape.uvs)


def test_a_box_measures_its_uv_in_metres_from_its_base() -> None:
    shape = box((2, 3, 4), (10, 0, 0))
    np.testing.assert_allclose(shape.positions.min(0), [9, -1.5, -2])
    np.testing.assert_allclose(shape.positions.max(0), [11, 1.5, 2])
    assert shape.uvs.min() == 0.0
    assert shape.uvs.max() == 4.0


def test_a_placement_turns_shapes_and_points_alike() -> None:
    place = Placement((5.0, 1.0, 7.0), np.pi / 2)
    mesh = MeshBuilder()
    mesh.add(polygon(np.array([[0, 0, 2], [1, 0, 0], [0, 1, 0]])), PLAIN, Thing(3, 9), place)
    built = mesh.build()
    # Heading 90°: what lay ahead (+z) lies to the right (+x), what lay to the right lies behind.
    np.testing.assert_allclose(built.vertices["position"][:2], [[7, 1, 7], [5, 1, 6]], atol=1e-6)
    assert place.point(0.0, 0.0, 2.0) == pytest.approx((7, 1, 7))
    assert built.vertices["color"][0].tolist() == [255, 127, 0, 25]
    assert built.vertices["kind"][0].tolist() == [0, 3]
    assert built.vertices["instance"][0] == 9


def test_a_curve_keeps_its_distance_and_starts_at_the_origin() -> None:
    curve = Curve.bent(np.array([0.01]), np.array([-30.0]))
    np.testing.assert_allclose(curve.at(0.0, 0.0), [0, 0, 0], atol=1e-9)
    middle, right = curve.at(40.0, 0.0), curve.at(40.0, 3.0)
    assert np.linalg.norm(right - middle) == pytest.approx(3.0, abs=1e-5)
    assert middle[0] > 5.0  # positive curvature bends to the right


@pytest.mark.parametrize("world", ["arcade", "studio", "street"])
def test_no_lot_lies_on_a_side_street(world: str) -> None:
    for seed in range(20):
        street = draw_layout(WORLDS[world].street, np.random.default_rng(seed)).main
        for side in (-1, 1):
            for junction in street.junctions:
                if side in junction.sides:
                    reach = junction.half_width + junction.sidewalk
                    spans = street.lot_spans(side)
                    assert all(s1 <= junction.s - reach or s0 >= junction.s + reach for s0, s1 in spans)


def test_statistics_count_pixels_and_frames() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:5] = 10
    mask[0, 0] = 13  # one pixel is no car
    mask[9] = 255
    shares = class_statistics([mask, np.zeros((10, 10), np.uint8)])
    assert shares.num_frames == 2
    assert shares.pixel_shares["road"] == pytest.approx((40 + 100) / 200)
    assert shares.pixel_shares["sky"] == pytest.approx(49 / 200)
    assert (shares.frame_shares["road"], shares.frame_shares["sky"], shares.frame_shares["car"]) == (1.0, 0.5, 0.0)


def test_statistics_of_nothing_are_zero() -> None:
    assert class_statistics([]).pixel_shares["road"] == 0.0


@pytest.mark.parametrize("world", ["arcade", "studio", "street"])
def test_the_sensor_keeps_order_of_brightness(world: str) -> None:
    radiance = np.full((64, 128, 3), 0.05, np.float32)
    radiance[:, 64:] = 0.5
    picture = develop(radiance, WORLDS[world].sensor, np.random.default_rng(0))
    assert picture.dtype == np.uint8
    assert picture[:, :48].mean() + 40 < picture[:, 80:].mean()


def test_noise_tiles_without_a_seam() -> None:
    pixels = noise_texture().astype(int)
    for channel in (0, 3):
        inside = np.abs(np.diff(pixels[..., channel], axis=1)).mean()
        seam = np.abs(pixels[:, 0, channel] - pixels[:, -1, channel]).mean()
        assert seam < 1.5 * inside


def test_the_gallery_stacks_image_labels_and_instances(tmp_path: Path) -> None:
    render_gallery(tmp_path / "sheet.png", worlds=["studio"], frames_per_world=2, size_hw=(32, 64), seed=1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * 64, 3 * 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_per_world": 0}, "frames is 0"),
        ({"worlds": []}, "worlds is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size_hw": (0, 10)}, "size 0x10 is too small"),
    ],
)
def test_a_gallery_of_nothing_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        render_gallery(tmp_path / "sheet.png", **changes)


def test_a_gallery_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="folder: cannot be written") as caught:
        render_gallery(tmp_path / "folder", worlds=["studio"], frames_per_world=1, size_hw=(32, 64))
    assert caught.value.remedy is not None
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]  # and no half-written file beside it
