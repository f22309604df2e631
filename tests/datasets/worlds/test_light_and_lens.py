"""Moods, lamps, wet ground, fog, lenses and the faults of cameras."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds import WORLDS, Renderer, render_frame
from isthmus.datasets.worlds.air.light import Light
from isthmus.datasets.worlds.air.weather import MOODS, draw_light
from isthmus.datasets.worlds.camera.bonnet import build_bonnet
from isthmus.datasets.worlds.camera.lens import Bend, Lens
from isthmus.datasets.worlds.camera.optics import in_motion
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.camera.sensor import Shot, develop
from isthmus.datasets.worlds.camera.windscreen import in_rain, with_dirt
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Point, Thing
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.render import through_lens
from isthmus.datasets.worlds.scene import Scene

ROAD, CAR, SIGN = TRAIN_ID["road"], TRAIN_ID["car"], TRAIN_ID["traffic sign"]
BLACK = (0.0, 0.0, 0.0)
DARKNESS = Light(
    sun_direction=(0.0, 1.0, 0.0),
    sun_color=BLACK,
    sun_softness=0.001,
    zenith=BLACK,
    horizon=BLACK,
    clouds=(0.0, 0.1, 0.0, 0.0),
    cloud_color=BLACK,
    ambient_sky=BLACK,
    ambient_ground=BLACK,
    fog_color=BLACK,
    fog_density=0.0,
    haze=0.0,
)
STRAIGHT_ON = Camera((0.0, 1.5, 0.0), 0.0, 0.0, 0.0, 1.0)
GLOW = Paint(Material.GLOWING, (1.0, 1.0, 1.0), 0.0, (4.0, 0.0, 0.0, 0.0))


def with_ground(material: Material = Material.PLAIN) -> MeshBuilder:
    mesh = MeshBuilder()
    params = (0.0, 3.0, 0.0, 0.0)
    mesh.add(box((60.0, 0.2, 120.0), (0.0, -0.1, 40.0)), Paint(material, (0.8, 0.8, 0.8), 0.0, params), Thing(ROAD))
    return mesh


def scene_of(mesh: MeshBuilder, light: Light = DARKNESS, camera: Camera = STRAIGHT_ON) -> Scene:
    return Scene(mesh.build(), light, camera, 0.0)


@pytest.mark.parametrize("world", WORLDS)
def test_worlds_weigh_moods_that_exist(world: str) -> None:
    moods = WORLDS[world].light.moods
    assert set(moods) <= set(MOODS)
    assert min(moods.values()) > 0


@pytest.mark.parametrize("mood", MOODS)
def test_a_mood_is_what_its_name_says(mood: str) -> None:
    for seed in range(20):
        light = draw_light(replace(WORLDS["street"].light, moods={mood: 1.0}), np.random.default_rng(seed))
        assert np.linalg.norm(light.sun_direction) == pytest.approx(1.0)
        assert (light.night > 0) == (mood in {"dusk", "night"})
        assert (light.rain > 0) == (mood == "rain")
        if mood != "night":  # it may have rained on a night
            assert light.wetness == light.rain
        assert (light.fog_density >= 0.007) == (mood == "fog")
        assert sum(light.horizon) > 0.6 or mood in {"dusk", "night", "rain"}


def test_the_ground_of_a_night_may_be_wet_under_a_dry_sky() -> None:
    style = replace(WORLDS["street"].light, moods={"night": 1.0}, wet_night_probability=1.0)
    wet = draw_light(style, np.random.default_rng(0))
    assert wet.wetness > 0
    assert wet.rain == 0


def test_moods_are_drawn_by_their_weights() -> None:
    style = replace(WORLDS["street"].light, moods={"sun": 1.0, "night": 3.0})
    nights = [draw_light(style, np.random.default_rng(seed)).night == 1.0 for seed in range(200)]
    assert 0.65 < np.mean(nights) < 0.85


def test_the_street_by_night_and_in_rain_stands_in_its_own_streets() -> None:
    keys = [world.key for world in WORLDS.values()]
    assert len(set(keys)) == len(keys) == 5
    for name in ("street-night", "street-rain"):
        assert WORLDS[name].street == WORLDS["street"].street
        assert WORLDS[name].sensor == WORLDS["street"].sensor
        assert WORLDS[name].layout == "cityscapes"


def test_air_takes_light_on_its_way(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    dark = Paint(Material.GLOWING, BLACK)
    mesh.add(box((100.0, 100.0, 1.0), (0.0, 1.5, 30.5)), dark, Thing(CAR, 1))
    light = replace(DARKNESS, fog_color=(1.0, 1.0, 1.0), fog_density=0.02, fog_falloff=1e-6)
    middle = renderer.render(scene_of(mesh, light)).radiance[31:33, 63:65]
    np.testing.assert_allclose(middle, 1 - np.exp(-0.02 * 30.0), atol=0.01)


def test_fog_thins_out_upwards(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    mesh.add(box((100.0, 100.0, 1.0), (0.0, 1.5, 30.5)), Paint(Material.GLOWING, BLACK), Thing(CAR, 1))
    light = replace(DARKNESS, fog_color=(1.0, 1.0, 1.0), fog_density=0.02, fog_falloff=0.1)
    column = renderer.render(scene_of(mesh, light)).radiance[:, 64, 0]
    assert column[1] < column[32] - 0.05
    assert column[62] > column[32] - 0.01


@pytest.mark.parametrize("direction", [(0.0, 0.0, 0.0), (0.0, -1.0, 0.0)])
def test_a_lamp_lights_the_ground_below_it_after_dark_only(renderer: Renderer, direction: Point) -> None:
    mesh = with_ground()
    mesh.add_light((0.0, 6.0, 14.0), (1.0, 1.0, 1.0), direction)
    by_night = renderer.render(scene_of(mesh, replace(DARKNESS, night=1.0))).radiance
    # f = 90.5 pixels: ground 14 m ahead and 1.5 m below lies 9.7 pixels under the middle.
    below = by_night[41:43, 60:68].mean()
    assert below > 0.3
    assert below > 5 * by_night[41:43, :6].mean()  # 9 m to the side
    assert renderer.render(scene_of(mesh)).radiance.max() < 0.01


def test_no_more_lamps_than_the_shader_holds_are_lit(renderer: Renderer) -> None:
    mesh = with_ground()
    for number in range(40):
        mesh.add_light((0.0, 6.0, 200.0 - number), (1.0, 1.0, 1.0))
    mesh.add_light((0.0, 6.0, 14.0), (1.0, 1.0, 1.0))
    assert renderer.render(scene_of(mesh, replace(DARKNESS, night=1.0))).radiance[41:43, 60:68].mean() > 0.3


def test_signs_throw_headlights_back(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    for x, material in ((-2.0, Material.SIGN), (2.0, Material.PLAIN)):
        paint = Paint(material, (0.6, 0.6, 0.6), 0.0, (2.0, 5.0, 0.0, 0.0))
        mesh.add(box((1.5, 1.5, 0.1), (x, 0.5, 14.0)), paint, Thing(SIGN))
    light = replace(DARKNESS, night=1.0, headlights=1.0)
    by_headlight = renderer.render(scene_of(mesh, light)).radiance
    mesh.add_light((0.0, 1.0, 0.0), (1.0, 1.0, 1.0))
    by_lamp = renderer.render(scene_of(mesh, replace(light, headlights=0.0))).radiance
    sign, plain = (
        by_headlight[36:41, columns].mean() / by_lamp[36:41, columns].mean()
        for columns in (slice(48, 54), slice(75, 81))
    )
    assert sign > 2 * plain  # however light or dark their faces are


def test_wet_ground_mirrors_what_stands_on_it(renderer: Renderer) -> None:
    mesh = with_ground(Material.ASPHALT)
    mesh.add(box((60.0, 3.0, 1.0), (0.0, 2.5, 30.0)), GLOW, Thing(CAR, 1))
    dry = renderer.render(scene_of(mesh))
    wet = renderer.render(scene_of(mesh, replace(DARKNESS, wetness=1.0)))
    road = dry.train_ids == ROAD
    np.testing.assert_array_equal(wet.train_ids, dry.train_ids)
    assert dry.radiance[road].max() < 0.01
    # It hangs 1 m to 4 m high 29.5 m ahead, so its image lies 2.5 m to 5.5 m under the eye: rows 39.7 to 48.9.
    assert wet.radiance[40:48, 20:108][road[40:48, 20:108]].mean() > 0.2
    assert wet.radiance[58:].mean() < 0.05


def test_a_barrel_needs_the_margin_of_its_corners() -> None:
    # Focal 1 at aspect 2: the corner is at (√2/2, √2/4), r² = 5/8.
    assert Lens(k1=0.1).margin(1.0, 2.0) == pytest.approx(1 + 0.1 * 5 / 8)
    assert Lens(k1=-0.1).margin(1.0, 2.0) == 1.0
    assert Lens().margin(1.0, 2.0) == 1.0
    assert Lens().is_straight


def test_a_lens_moves_points_as_its_formula_says() -> None:
    x, y = np.array([0.5]), np.array([0.2])  # r² = 0.29
    seen_x, seen_y = Lens(0.1, 0.2, 0.01, 0.02).seen_at(x, y)
    assert seen_x[0] == pytest.approx(0.5 * (1 + 0.029 + 0.2 * 0.0841) + 2 * 0.01 * 0.1 + 0.02 * (0.29 + 0.5))
    assert seen_y[0] == pytest.approx(0.2 * (1 + 0.029 + 0.2 * 0.0841) + 0.01 * (0.29 + 0.08) + 2 * 0.02 * 0.1)


def test_a_straight_lens_changes_nothing() -> None:
    light = np.random.default_rng(0).random((16, 32, 3)).astype(np.float32)
    ids = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32)
    bend = Bend(Lens(), 1.0, (16, 32))
    np.testing.assert_allclose(bend.picture(light), light, atol=1e-3)
    np.testing.assert_array_equal(bend.labels(ids), ids)


@pytest.mark.parametrize("lens", [Lens(k1=0.3), Lens(k1=-0.15, p1=0.02, p2=-0.02)])
def test_image_and_labels_bend_alike(renderer: Renderer, lens: Lens) -> None:
    mesh = MeshBuilder()
    for number in range(9):
        place = (float(number - 4) * 2.4, 1.5 + (number % 3 - 1) * 2.0, 12.0)
        mesh.add(box((1.2, 1.4, 0.5), place), GLOW, Thing(CAR, number + 1))
    camera = replace(STRAIGHT_ON, lens=lens)
    straight = renderer.render(scene_of(mesh, camera=STRAIGHT_ON))
    frame = through_lens(renderer.render(scene_of(mesh, camera=camera)), camera)
    labelled = frame.train_ids == CAR
    assert (labelled != (straight.train_ids == CAR)).mean() > 0.01
    assert ((frame.radiance.max(axis=2) > 2.0) == labelled).mean() > 0.97
    np.testing.assert_array_equal(frame.instances > 0, labelled)


def test_a_bent_edge_lies_where_the_formula_says(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    # Seen at x = 0.4 focal lengths, a barrel of k1 = 0.3 shows what is at 0.4 · (1 + 0.3 · 0.16) = 0.4192: 5.03 m
    # to the right at 12 m. f = 90.5 pixels, so the first covered pixel is 64 + 36.2 = 100.
    mesh.add(box((10.0, 10.0, 0.01), (10.03, 1.5, 12.0)), GLOW, Thing(CAR, 1))
    camera = replace(STRAIGHT_ON, lens=Lens(k1=0.3))
    frame = through_lens(renderer.render(scene_of(mesh, camera=camera)), camera)
    assert int(np.argmax(frame.train_ids[32] == CAR)) == 100


def test_a_bent_world_has_labels_to_its_edges(renderer: Renderer) -> None:
    style = WORLDS["street"]
    bent = replace(style, camera=replace(style.camera, radial=(0.3, 0.3), bonnet_probability=0.0))
    frame = render_frame(renderer, bent, split="train", seed=1, index=0)
    assert (frame.train_ids[0] != IGNORE_INDEX).mean() > 0.8
    assert (frame.train_ids[-1] != IGNORE_INDEX).mean() > 0.8


def test_the_bonnet_is_at_the_lower_edge_and_ignored(renderer: Renderer) -> None:
    for seed in range(8):
        mesh = with_ground()
        build_bonnet(mesh, STRAIGHT_ON, ((0.5, 0.1, 0.1),), np.random.default_rng(seed))
        ids = renderer.render(scene_of(mesh)).train_ids
        ignored = ids == IGNORE_INDEX
        assert ignored[-1, 44:84].all()
        assert not ignored[: 64 - 16].any()


def test_metering_on_the_sky_leaves_the_street_dark() -> None:
    radiance = np.full((64, 128, 3), 0.1, np.float32)
    radiance[:21] = 2.0
    style = replace(WORLDS["arcade"].sensor, noise=(0.0, 0.0), exposure=(1.0, 1.0))
    street, sky = (
        develop(radiance, style, np.random.default_rng(0), Shot(metered_on_sky=share))[50].mean() for share in (0, 1)
    )
    assert sky < 0.6 * street


def test_nights_are_noisier() -> None:
    radiance = np.full((64, 128, 3), 0.3, np.float32)
    shots = (
        develop(radiance, WORLDS["street"].sensor, np.random.default_rng(0), Shot(night=n)).astype(float)
        for n in (0.0, 1.0)
    )
    # Between neighbours, so that the camera's cast and its vignette do not count.
    day, night = (np.diff(shot, axis=1).std() for shot in shots)
    assert night > 1.2 * day


def test_the_streets_camera_is_flat_and_greenish() -> None:
    radiance = np.linspace(0.0, 1.0, 64 * 128, dtype=np.float32).reshape(64, 128, 1).repeat(3, axis=2)
    means, spreads = [], []
    for seed in range(8):
        picture = develop(radiance, WORLDS["street"].sensor, np.random.default_rng(seed)).astype(float)
        means.append(picture.mean((0, 1)))
        spreads.append(np.ptp(np.percentile(picture[..., 1], (2, 98))))
        assert np.percentile(picture[..., 1], 1) > 5, "blacks are lifted"
    red, green, blue = np.mean(means, axis=0)
    assert 1.08 < green / red < 1.35
    assert 1.08 < green / blue < 1.35
    crisp = [
        np.ptp(np.percentile(develop(radiance, WORLDS["arcade"].sensor, np.random.default_rng(n))[..., 1], (2, 98)))
        for n in range(8)
    ]
    assert np.mean(spreads) < 0.85 * np.mean(crisp)


def test_driving_blurs_away_from_the_vanishing_point() -> None:
    stripes = np.zeros((64, 128, 3), np.float32)
    stripes[:, ::4] = 1.0
    moved = in_motion(stripes, 0.06, (0.25, 0.5))
    contrast = moved[:, :, 0].std(axis=0)
    assert np.ptp(moved[32, 30:35, 0]) > 0.8
    assert np.ptp(moved[32, 118:126, 0]) < 0.6
    assert contrast.max() < 0.5
    assert in_motion(stripes, 0.0, (0.5, 0.5)) is stripes


def test_rain_is_drawn_by_the_generator_alone() -> None:
    light = np.random.default_rng(0).random((64, 128, 3)).astype(np.float32)
    first, again, other = (in_rain(light, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.05
    assert np.abs(first - light).max() > 0.05
    assert in_rain(light, 0.0, np.random.default_rng(1)) is light


def test_dirt_veils_what_lies_behind_it() -> None:
    light = np.zeros((64, 128, 3), np.float32)
    light[:, 64:] = 1.0
    veiled = with_dirt(light, 0.9, np.random.default_rng(3))
    assert veiled[:, :64].mean() > 0.05
    assert veiled[:, 64:].mean() < 0.95
    assert with_dirt(light, 0.0, np.random.default_rng(3)) is light
