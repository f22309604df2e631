"""Kinds of streets: plans that a reader can check, and scenes that hold what their kind promises."""

import dataclasses

import numpy as np
import pytest

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds import WORLDS, Renderer
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.roadside.barriers import (
    add_concrete_barrier,
    add_fence,
    add_guard_rail,
    add_noise_wall,
    add_wall,
)
from isthmus.datasets.worlds.roadside.furniture import add_box_or_bin
from isthmus.datasets.worlds.roadside.lamps import add_lamp, add_twin_lamp
from isthmus.datasets.worlds.roadside.signals import add_traffic_light
from isthmus.datasets.worlds.roadside.signs import add_board, add_sign
from isthmus.datasets.worlds.scene import Scene, build_scene, draw_light
from isthmus.datasets.worlds.streets.corners import build_corners
from isthmus.datasets.worlds.streets.ground import draw_ground
from isthmus.datasets.worlds.streets.kinds import draw_layout
from isthmus.datasets.worlds.streets.layout import Curve, Junction, Layout, Square, StreetPlan
from isthmus.datasets.worlds.streets.road import build_ground, median_spans
from isthmus.datasets.worlds.streets.strip import patches
from isthmus.datasets.worlds.style import WorldStyle

LOOKS = ("arcade", "studio", "street")
"""The street by night and in rain has the same streets as by day."""
ROAD, SIDEWALK, FENCE, WALL = (TRAIN_ID[name] for name in ("road", "sidewalk", "fence", "wall"))
KINDS = [(world, kind) for world in LOOKS for kind in WORLDS[world].street.street_kinds]
PLAIN = StreetPlan(
    curve=Curve.bent(np.zeros(1), np.array([-30.0])),
    start=-12.0,
    lots_start=-12.0,
    end=100.0,
    lanes=1,
    lane_width=3.0,
    parking=(False, False),
    sidewalk=(3.0, 3.0),
    verge=(0.0, 0.0),
    junctions=(),
    tram=False,
    drive_side=1,
)
SIDE = Junction(s=20.0, half_width=4.0, sides=(1,), sidewalk=3.0, radius=2.0)


def only(world: str, kind: str) -> WorldStyle:
    """A world whose main streets are all of one kind."""
    style = WORLDS[world]
    return dataclasses.replace(style, street=dataclasses.replace(style.street, street_kinds={kind: 1.0}))


def classes_of(scene: Scene) -> set[int]:
    return set(np.unique(scene.mesh.vertices["kind"][:, 1]).tolist())


def built(mesh: MeshBuilder) -> set[int]:
    return set(np.unique(mesh.build().vertices["kind"][:, 1]).tolist())


@pytest.mark.parametrize(("world", "kind"), KINDS)
def test_each_kind_of_street_builds_legal_classes(world: str, kind: str) -> None:
    style = only(world, kind)
    scene = build_scene(style, np.random.default_rng(7))
    assert classes_of(scene) <= style.train_ids | {IGNORE_INDEX}
    assert np.isfinite(scene.mesh.vertices["position"]).all()
    assert (SIDEWALK in classes_of(scene)) == (kind != "highway")


@pytest.mark.parametrize("kind", WORLDS["street"].street.street_kinds)
def test_each_kind_of_street_repeats_itself_and_counts_each_thing_once(kind: str) -> None:
    first, again = (build_scene(only("street", kind), np.random.default_rng(7)).mesh for _ in range(2))
    assert first.vertices.tobytes() == again.vertices.tobytes()
    assert first.faces.tobytes() == again.faces.tobytes()
    pairs = np.unique(np.stack([first.vertices["instance"], first.vertices["kind"][:, 1]]), axis=1)
    numbers, classes = pairs[:, pairs[0] > 0]
    assert len(np.unique(numbers)) == len(numbers)  # no number is shared by two classes
    assert ((classes >= TRAIN_ID["person"]) & (classes <= TRAIN_ID["bicycle"])).all()


def test_a_highway_has_rails_or_barriers_and_nobody_on_foot() -> None:
    for seed in range(3):
        classes = classes_of(build_scene(only("arcade", "highway"), np.random.default_rng(seed)))
        assert classes & {FENCE, WALL}
        assert not classes & {TRAIN_ID["person"], TRAIN_ID["rider"], TRAIN_ID["bicycle"]}


def test_lanes_lie_beside_the_median() -> None:
    wide = dataclasses.replace(PLAIN, half_median=2.0, lanes=2)
    assert [wide.lane_middle(1, lane) for lane in (0, 1)] == [3.5, 6.5]
    assert wide.lane_middle(-1, 0) == -3.5
    assert wide.kerb(1) == 8.0
    assert wide.lot_line(1) == 11.0
    assert dataclasses.replace(wide, drive_side=-1).lane_middle(1, 0) == -3.5


def test_a_side_street_interrupts_kerbs_lots_and_the_median() -> None:
    street = dataclasses.replace(PLAIN, junctions=(SIDE,), half_median=1.0)
    assert street.free_spans(1, 0.0) == [(-12.0, 16.0), (24.0, 100.0)]
    assert street.kerb_spans(1) == [(-12.0, 14.0), (26.0, 100.0)]
    assert street.lot_spans(1) == [(-12.0, pytest.approx(12.7)), (pytest.approx(27.3), 100.0)]
    assert street.kerb_spans(-1) == [(-12.0, 100.0)]
    assert median_spans(street) == [(-24.0, 12.0), (28.0, 185.0)]


def test_squares_and_bridges_take_the_place_of_lots() -> None:
    square = Square(side=1, start=5.0, end=35.0, depth=20.0, is_car_park=True)
    street = dataclasses.replace(PLAIN, square=square)
    assert street.lot_spans(1) == [(-12.0, 5.0), (35.0, 100.0)]
    assert street.lot_spans(-1) == [(-12.0, 100.0)]
    bridged = dataclasses.replace(PLAIN, kind="bridge", crossing=50.0)
    assert bridged.lot_spans(1) == [(-12.0, 44.5), (55.5, 100.0)]
    assert bridged.open_spans(1, 0.0) == [(-12.0, 44.0), (56.0, 100.0)]
    assert dataclasses.replace(bridged, kind="tunnel").open_spans(1, 0.0) == [(-12.0, 44.0)]


def test_a_tee_ends_at_the_cross_streets_kerb() -> None:
    for seed in range(20):
        layout = draw_layout(only("street", "tee").street, np.random.default_rng(seed))
        main, cross = layout.main, layout.sides[-1]
        mouth = main.road[1]
        junction = cross.junctions[0]
        for side, s in ((-1, junction.s - junction.half_width), (1, junction.s + junction.half_width)):
            corner = main.curve.at(mouth, side * main.kerb(side))
            np.testing.assert_allclose(cross.curve.at(s, cross.kerb(1)), corner, atol=1e-3)
        assert main.end == pytest.approx(mouth - junction.radius)


def test_patches_are_rectangles_in_street_coordinates() -> None:
    shape = patches(PLAIN.curve, np.array([[1.0, 3.0, -1.0, 0.0], [5.0, 6.0, 2.0, 4.0]]), 0.5)
    assert shape.positions.shape == (8, 3)
    np.testing.assert_allclose(shape.positions[:4], [[-1, 0.5, 1], [-1, 0.5, 3], [0, 0.5, 3], [0, 0.5, 1]], atol=1e-5)
    assert shape.faces.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]


@pytest.mark.parametrize("half_median", [0.0, 2.0])
def test_the_asphalt_of_a_corner_is_that_of_its_road(half_median: float) -> None:
    junction = Junction(20.0, 3.0, (1,), 3.0, 2.0)
    main = dataclasses.replace(PLAIN, half_median=half_median, lane_width=2.8, junctions=(junction,))
    asphalt = Paint(Material.ASPHALT, (0.3, 0.3, 0.3), 0.1, (0.5, 3.2, 0.0, 0.0))
    ground = draw_ground(WORLDS["street"].street, np.random.default_rng(0), has_terrain=True)._replace(asphalt=asphalt)
    mesh = MeshBuilder()
    build_corners(mesh, main, 1, ground)
    vertices = mesh.build().vertices
    road = vertices[vertices["kind"][:, 0] == Material.ASPHALT]
    np.testing.assert_allclose(road["params"][:, 1], 2.8, rtol=1e-3)
    np.testing.assert_allclose(road["uv"][:, 0], road["position"][:, 0] - half_median, atol=1e-3)


def test_corners_are_round(renderer: Renderer) -> None:
    street = dataclasses.replace(PLAIN, junctions=(SIDE,))
    mesh, rng = MeshBuilder(), np.random.default_rng(0)
    ground = draw_ground(WORLDS["street"].street, rng, has_terrain=True)
    build_ground(mesh, Layout(street, ()), ground, rng)
    camera = Camera(eye=(4.0, 12.0, 15.0), yaw=0.0, pitch=-np.pi / 2, roll=0.0, focal=1.0)
    light = draw_light(WORLDS["street"].light, rng)
    frame = renderer.render(Scene(mesh.build(), light, camera, 0.0))
    height, width = frame.train_ids.shape

    def label_at(s: float, t: float) -> int:
        clip = camera.clip_from_world(width / height) @ np.array([t, 0.0, s, 1.0])
        x, y = clip[:2] / clip[3]
        return int(frame.train_ids[int((1 - y) / 2 * height), int((1 + x) / 2 * width)])

    # The kerb's arc has its middle at s = 14, t = 5 and a radius of 2 m; the square corner would be at (16, 3).
    assert label_at(15.7, 3.3) == ROAD
    assert label_at(14.6, 4.4) == SIDEWALK
    assert label_at(12.0, 4.0) == SIDEWALK
    assert label_at(12.0, 2.0) == ROAD


def test_barriers_count_as_what_they_are() -> None:
    line = np.stack([np.zeros(9), np.zeros(9), np.linspace(0.0, 8.0, 9)], 1)
    rails = MeshBuilder()
    add_guard_rail(rails, line, towards=-1.0)
    assert built(rails) == {FENCE}
    for add in (add_concrete_barrier, add_noise_wall):
        mesh = MeshBuilder()
        add(mesh, line, np.random.default_rng(0))
        assert built(mesh) == {WALL}
    for seed in range(30):
        rng, fence, wall = np.random.default_rng(seed), MeshBuilder(), MeshBuilder()
        add_fence(fence, line, rng, at_kerb=bool(seed % 2))
        add_wall(wall, line, rng, (0.5, 0.4, 0.3))
        assert built(fence) == {FENCE}
        assert WALL in built(wall) <= {WALL, FENCE}  # some carry a railing


def test_signs_count_by_their_face_alone() -> None:
    place, names = Placement((0.0, 0.0, 0.0)), ("pole", "traffic sign")
    for seed in range(20):
        mesh = MeshBuilder()
        (add_sign if seed % 2 else add_board)(mesh, place, np.random.default_rng(seed))
        vertices = mesh.build().vertices
        faces = vertices[vertices["kind"][:, 0] == Material.SIGN]
        assert set(np.unique(vertices["kind"][:, 1]).tolist()) == {*(TRAIN_ID[name] for name in names), IGNORE_INDEX}
        assert (faces["kind"][:, 1] == TRAIN_ID["traffic sign"]).all()


def test_signals_and_lamps_stand_on_poles_and_lamps_shine() -> None:
    place = Placement((1.0, 0.0, 2.0))
    for seed in range(12):
        mesh, rng = MeshBuilder(), np.random.default_rng(seed)
        add_traffic_light(mesh, place, rng, lanes=2)
        assert built(mesh) == {TRAIN_ID["traffic light"], TRAIN_ID["pole"]}
        lamps = MeshBuilder()
        add_lamp(lamps, place, rng, height=6.0, arm=float(seed % 2))
        add_twin_lamp(lamps, place, rng, height=8.0)
        assert built(lamps) == {TRAIN_ID["pole"]}
        assert len(lamps.build().lights) == 3


def test_boxes_and_bins_are_not_scored() -> None:
    for seed in range(20):
        mesh = MeshBuilder()
        add_box_or_bin(mesh, Placement((0.0, 0.0, 0.0)), np.random.default_rng(seed))
        assert IGNORE_INDEX in built(mesh) <= {IGNORE_INDEX, TRAIN_ID["vegetation"]}
