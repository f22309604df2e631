"""What looked wrong once: floating chimneys, sunken trams, mirrored signs, umbrellas in the sun, ground over roads."""

import dataclasses
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds import WORLDS
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.houses.facade_grammar import draw_front
from isthmus.datasets.worlds.houses.facade_relief import FrontBuilder
from isthmus.datasets.worlds.houses.roofs import RoofBuilder
from isthmus.datasets.worlds.houses.shopfronts import add_projecting_sign
from isthmus.datasets.worlds.streets.ground import draw_ground
from isthmus.datasets.worlds.streets.kinds import draw_layout
from isthmus.datasets.worlds.streets.layout import KERB_M, Curve, Junction, Layout, StreetPlan
from isthmus.datasets.worlds.streets.road import build_ground
from isthmus.datasets.worlds.traffic.people import figure
from isthmus.datasets.worlds.traffic.road_users import RoadUsers

STREET = WORLDS["street"]
PLAIN = StreetPlan(
    curve=Curve.bent(np.zeros(1), np.array([-30.0])),
    start=-12.0,
    lots_start=-12.0,
    end=100.0,
    lanes=2,
    lane_width=3.0,
    parking=(False, False),
    sidewalk=(3.0, 3.0),
    verge=(0.0, 0.0),
    junctions=(),
    tram=True,
    drive_side=1,
)
BOULEVARD = dataclasses.replace(PLAIN, half_median=4.0, kind="boulevard")


def vertices_of(mesh: MeshBuilder, material: Material) -> NDArray[np.void]:
    vertices = mesh.build().vertices
    return vertices[vertices["kind"][:, 0] == material]


def ground_of(layout: Layout) -> NDArray[np.void]:
    mesh, rng = MeshBuilder(), np.random.default_rng(0)
    build_ground(mesh, layout, draw_ground(STREET.street, rng, has_terrain=True), rng)
    return mesh.build().vertices


@pytest.mark.parametrize("shape", ["hip", "gable ahead"])
def test_chimneys_stand_on_the_ridge(shape: str) -> None:
    wide, high = 10.0, 6.0
    masonry = Paint(Material.MASONRY, (0.5, 0.3, 0.2))
    tiles = Paint(Material.ROOF, (0.3, 0.2, 0.2))
    chimneys = 0
    for seed in range(8):
        mesh, rng = MeshBuilder(), np.random.default_rng(seed)
        size = (wide, 9.0, high)
        roof = RoofBuilder(mesh, Placement((0.0, 0.0, 0.0)), size, tiles=tiles, masonry=masonry, rng=rng, near=False)
        if shape == "hip":
            roof.add_hip()
        else:
            roof.add_gable(along_front=False)
        x, y, _ = vertices_of(mesh, Material.MASONRY)["position"].T
        above = x[y > high + 0.01]
        chimneys += len(above) // 24
        # The hip's ridge reaches from 4.5 to 5.5 m, the gable's runs at 5 m; chimneys are 0.6 m wide.
        assert (np.abs(above - wide / 2) < (0.81 if shape == "hip" else 0.31)).all()
    assert chimneys > 3


@pytest.mark.parametrize(("street", "height"), [(PLAIN, 0.0), (BOULEVARD, KERB_M)])
def test_a_tram_stands_as_high_as_its_rails(street: StreetPlan, height: float) -> None:
    mesh = MeshBuilder()
    users = RoadUsers(mesh, street, STREET, np.random.default_rng(0), count(1))
    users.put_tram(30.0, street.tram_line)
    assert mesh.build().vertices["position"][:, 1].min() == pytest.approx(height, abs=0.02)


def test_wheel_tracks_follow_the_lanes_beside_a_median() -> None:
    vertices = ground_of(Layout(BOULEVARD, ()))
    road = vertices[(vertices["kind"][:, 0] == Material.ASPHALT) & (vertices["position"][:, 1] == 0.0)]
    kerb = road[np.abs(road["position"][:, 0]) > 9.9]
    # The road ends 10 m from the middle line: two lanes of 3 m beside half a median of 4 m.
    assert len(kerb) > 50
    np.testing.assert_allclose(np.abs(kerb["uv"][:, 0]), 6.0, atol=1e-4)


def test_side_streets_lay_no_yard_over_the_bends_of_the_main_road() -> None:
    style = dataclasses.replace(STREET.street, street_kinds={"residential": 1.0}, curvature=(-0.011, 0.011))
    arms = 0
    for seed in range(20):
        layout = draw_layout(style, np.random.default_rng(seed))
        main, arms = layout.main, arms + len(layout.sides)
        points = ground_of(layout)["position"]
        yards = points[np.abs(points[:, 1] - (KERB_M - 0.03)) < 1e-4][:, [0, 2]].astype(np.float64)
        middle = np.stack([main.curve.x, main.curve.z], 1)
        off = np.linalg.norm(yards[:, None] - middle, axis=2).min(1)
        assert off.min() > min(main.kerb(-1), main.kerb(1)), seed
    assert arms > 10


def test_asphalt_lies_under_the_joints_of_roads() -> None:
    junction = Junction(s=20.0, half_width=4.0, sides=(1,), sidewalk=3.0, radius=2.0)
    main = dataclasses.replace(PLAIN, junctions=(junction,), tram=False)
    vertices = ground_of(Layout(main, ()))
    under = vertices[np.abs(vertices["position"][:, 1] + 0.02) < 1e-5]
    assert set(under["kind"][:, 1].tolist()) == {TRAIN_ID["road"]}
    x, _, z = under["position"].T
    # The kerb is 6 m from the middle line.
    assert (x.min(), x.max(), z.min(), z.max()) == pytest.approx((5.5, 8.5, 14.0, 26.0), abs=1e-4)


def test_umbrellas_are_held_only_in_the_rain() -> None:
    assert not any("umbrella" in figure(number, near=False) for number in range(96))
    held = sum("umbrella" in figure(number, near=False, raining=True) for number in range(96))
    assert 20 < held < 60


def test_both_faces_of_a_projecting_sign_can_be_read() -> None:
    at, faces = 2.0, 0
    for seed in range(40):
        mesh, rng = MeshBuilder(), np.random.default_rng(seed)
        front = draw_front(STREET.street, rng, width=8.0, low=False)
        trim = Paint(Material.PLAIN, (0.5, 0.5, 0.5))
        on = FrontBuilder(mesh, Placement((0.0, 0.0, 0.0)), front, 8.0, (0.5, 0.5, 0.5), trim, rng)
        add_projecting_sign(on, at, 3.0)
        signs = vertices_of(mesh, Material.SIGN)
        for side in (-1, 1):
            face = signs[np.sign(signs["position"][:, 0] - at) == side]
            if len(face):  # not the triangles, which are one plate
                # Who looks along -x has +z to the right, who looks along +x has it to the left.
                z = face["position"][:, 2]
                np.testing.assert_allclose(face["uv"][:, 0], side * (z - (z.min() + z.max()) / 2), atol=0.02)
                faces += 1
    assert faces > 20
