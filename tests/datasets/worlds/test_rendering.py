"""Frames: legal ids, determinism, and that image and labels tell the same story."""

import dataclasses

import numpy as np
import pytest

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds import WORLDS, Renderer, render_frame
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.drawing import opengl
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Thing
from isthmus.datasets.worlds.geometry.shapes import box, ellipsoid
from isthmus.datasets.worlds.scene import Scene, build_scene, draw_light, frame_generator
from isthmus.errors import ConfigurationError, EnvironmentMissingError

SKY, CAR, TREE = TRAIN_ID["sky"], TRAIN_ID["car"], TRAIN_ID["vegetation"]
GLOW = Paint(Material.GLOWING, (1.0, 0.0, 0.0), 0.0, (8.0, 0.0, 0.0, 0.0))


def scene_of(mesh: MeshBuilder, *, focal: float = 1.0) -> Scene:
    """A few shapes under a dim sky, seen from the origin along +z."""
    light = draw_light(WORLDS["arcade"].light, np.random.default_rng(0))
    dim = (0.01, 0.01, 0.01)
    light = dataclasses.replace(light, zenith=dim, horizon=dim, sun_color=dim, fog_color=dim, fog_density=0.0)
    return Scene(mesh.build(), light, Camera((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, focal), 0.0)


@pytest.mark.parametrize("world", WORLDS)
def test_a_frame_holds_a_street_in_legal_ids(renderer: Renderer, world: str) -> None:
    style = WORLDS[world]
    frame = render_frame(renderer, style, split="train", seed=1, index=0)
    assert frame.image.shape == (64, 128, 3)
    assert frame.image.dtype == np.uint8
    ids = set(np.unique(frame.train_ids).tolist())
    assert ids <= style.train_ids | {IGNORE_INDEX}
    assert TRAIN_ID["road"] in ids
    assert len(ids - {IGNORE_INDEX}) > 4
    assert 20 < frame.image.mean() < 235
    assert frame.image.std() > 15


def test_instances_belong_to_countable_classes_only(renderer: Renderer) -> None:
    frame = render_frame(renderer, WORLDS["arcade"], split="train", seed=1, index=1)
    countable = (frame.train_ids >= TRAIN_ID["person"]) & (frame.train_ids <= TRAIN_ID["bicycle"])
    np.testing.assert_array_equal(frame.instances > 0, countable)
    for number in np.unique(frame.instances[frame.instances > 0]):
        assert len(np.unique(frame.train_ids[frame.instances == number])) == 1


def test_a_frame_depends_on_its_seed_split_and_index_only(renderer: Renderer) -> None:
    style = WORLDS["street"]
    first = render_frame(renderer, style, split="train", seed=1, index=3)
    render_frame(renderer, style, split="train", seed=1, index=4)
    again = render_frame(renderer, style, split="train", seed=1, index=3)
    assert first.digest() == again.digest()
    others = [("train", 1, 4), ("train", 2, 3), ("val", 1, 3)]
    digests = {render_frame(renderer, style, split=s, seed=n, index=i).digest() for s, n, i in others}
    assert len(digests | {first.digest()}) == 4


def test_worlds_share_no_street_for_the_same_seed() -> None:
    draws = [frame_generator(world, split="train", seed=1, index=0).random() for world in WORLDS.values()]
    assert len(set(draws)) == len(draws)


def test_studio_builds_none_of_the_classes_that_synthia_lacks() -> None:
    for index in range(4):
        scene = build_scene(WORLDS["studio"], frame_generator(WORLDS["studio"], split="all", seed=3, index=index))
        classes = set(np.unique(scene.mesh.vertices["kind"][:, 1]).tolist())
        assert classes <= WORLDS["studio"].train_ids | {IGNORE_INDEX}


def test_a_box_covers_the_pixels_that_the_pinhole_camera_says(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    # The near face of a 4 m x 2 m box at z = 10: with f = 1.0 · sqrt(64 · 128) = 90.5 pixels it is
    # 36.2 pixels wide and 18.1 high about the middle.
    mesh.add(box((4.0, 2.0, 2.0), (0.0, 0.0, 11.0)), GLOW, Thing(CAR, 7))
    frame = renderer.render(scene_of(mesh))
    rows, columns = np.nonzero(frame.train_ids == CAR)
    assert (rows.min(), rows.max()) == (23, 40)
    assert (columns.min(), columns.max()) == (46, 81)
    assert len(rows) == 18 * 36
    assert set(np.unique(frame.instances[rows, columns]).tolist()) == {7}


def test_right_is_right_and_up_is_up(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    mesh.add(box((1.0, 1.0, 1.0), (3.0, 1.5, 10.0)), GLOW, Thing(CAR, 1))
    rows, columns = np.nonzero(renderer.render(scene_of(mesh)).train_ids == CAR)
    assert columns.min() > 64
    assert rows.max() < 32


@pytest.mark.parametrize("material", [Material.GLOWING, Material.FOLIAGE])
def test_image_and_labels_agree(renderer: Renderer, material: Material) -> None:
    mesh = MeshBuilder()
    paint = Paint(material, (1.0, 1.0, 1.0), 0.0, (8.0, 0.8, 0.0, 0.0))
    mesh.add(ellipsoid((0.0, 0.0, 10.0), (3.0, 3.0, 3.0), detail="high"), paint, Thing(TREE))
    lit = scene_of(mesh)
    lit = dataclasses.replace(
        lit, light=dataclasses.replace(lit.light, ambient_sky=(9.0,) * 3, ambient_ground=(9.0,) * 3)
    )
    frame = renderer.render(lit)
    seen = frame.radiance.max(axis=2) > 1.0  # the sky stays below
    labelled = frame.train_ids == TREE
    assert 1200 < labelled.sum() < 2600
    assert (seen == labelled).mean() > 0.96  # antialiased edges differ


def test_bare_crowns_are_open_in_the_image_and_closed_in_the_labels(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    twigs = Paint(Material.TWIGS, (1.0, 1.0, 1.0), 0.0, (0.3, 0.5, 0.0, 0.0))
    mesh.add(ellipsoid((0.0, 0.0, 10.0), (3.0, 3.0, 3.0), detail="high"), twigs, Thing(TREE))
    lit = scene_of(mesh)
    lit = dataclasses.replace(
        lit, light=dataclasses.replace(lit.light, ambient_sky=(9.0,) * 3, ambient_ground=(9.0,) * 3)
    )
    frame = renderer.render(lit)
    labelled = frame.train_ids == TREE
    assert labelled.sum() > 1500
    assert (frame.radiance.max(axis=2)[labelled] < 1.0).mean() > 0.2


def test_a_hole_shows_what_is_behind_it(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    bars = Paint(Material.RAILING, (0.0, 0.0, 0.0), 0.0, (2.0, 0.05, 99.0, 0.0))
    mesh.add(box((8.0, 8.0, 0.01), (0.0, 0.0, 5.0)), bars, Thing(TRAIN_ID["fence"]))
    mesh.add(box((40.0, 40.0, 0.01), (0.0, 0.0, 20.0)), GLOW, Thing(TRAIN_ID["wall"]))
    frame = renderer.render(scene_of(mesh))
    assert (frame.train_ids[4:-4, 4:-4] == TRAIN_ID["fence"]).all()
    assert (frame.radiance[..., 0] > 4.0).mean() > 0.8


def test_sky_is_where_nothing_is(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    mesh.add(box((1.0, 1.0, 1.0), (0.0, 0.0, -10.0)), GLOW, Thing(CAR, 1))  # behind the camera
    frame = renderer.render(scene_of(mesh))
    assert (frame.train_ids == SKY).all()
    assert (frame.instances == 0).all()


def test_both_aspect_ratios_keep_the_same_view_area() -> None:
    camera = Camera((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, focal=1.0)
    for aspect in (2.0, 4 / 3):
        matrix = camera.clip_from_world(aspect)
        # Half angles' tangents multiply to 1 / (4 f²) for every shape of picture; pixels stay square.
        assert 1 / (matrix[0, 0] * matrix[1, 1]) == pytest.approx(0.25)
        assert matrix[1, 1] / matrix[0, 0] == pytest.approx(aspect)


def test_without_egl_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import moderngl

    def refuse(**_: object) -> None:
        raise Exception("eglInitialize failed")

    monkeypatch.setattr(moderngl, "create_context", refuse)
    with pytest.raises(EnvironmentMissingError, match="apt-get install -y libegl1 libgl1-mesa-dri"):
        opengl.create_context()


def test_frames_larger_than_the_driver_draws_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"size 9000000x64 is more than .* Use sides of at most \d+"):
        Renderer((9_000_000, 64))
