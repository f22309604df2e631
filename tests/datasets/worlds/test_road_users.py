"""Vehicles, riders and people: they stand on the ground, keep out of each other, and are met often enough."""

import dataclasses
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds import WORLDS
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Placement
from isthmus.datasets.worlds.streets.kinds import draw_layout
from isthmus.datasets.worlds.streets.layout import Curve, StreetPlan
from isthmus.datasets.worlds.style import Fleet
from isthmus.datasets.worlds.traffic import road_users
from isthmus.datasets.worlds.traffic.bodies import BODIES, car_model
from isthmus.datasets.worlds.traffic.cars import CarBuild, add_car, draw_car
from isthmus.datasets.worlds.traffic.figures import reach
from isthmus.datasets.worlds.traffic.hulls import ARTICULATED, BUSES
from isthmus.datasets.worlds.traffic.large_vehicles import Spot, add_bus, add_truck
from isthmus.datasets.worlds.traffic.occupancy import Occupancy
from isthmus.datasets.worlds.traffic.people import clothes_paints, figure
from isthmus.datasets.worlds.traffic.road_users import RoadUsers
from isthmus.datasets.worlds.traffic.street_traffic import build_traffic
from isthmus.datasets.worlds.traffic.two_wheelers import add_cyclist, add_motorcyclist

STREET = WORLDS["street"]
AHEAD = Placement((0.0, 0.0, 10.0))
STRAIGHT = Curve.bent(np.zeros(1), np.array([-30.0]))
LARGE = [TRAIN_ID[name] for name in ("car", "truck", "bus", "train")]


def straight_street(seed: int) -> StreetPlan:
    """A main street whose s runs along the world's z and whose t runs along x."""
    main = draw_layout(STREET.street, np.random.default_rng(seed)).main
    return dataclasses.replace(main, curve=STRAIGHT)


def vertices_of(mesh: MeshBuilder) -> NDArray[np.void]:
    return mesh.build().vertices


def test_ground_is_given_once() -> None:
    ground = Occupancy()
    assert ground.claim(10.0, 2.0, (4.0, 2.0), margin=0.0)  # s 8..12, t 1..3
    assert not ground.claim(13.0, 2.0, (4.0, 2.0), margin=0.0)  # from s = 11
    assert ground.claim(14.5, 2.0, (4.0, 2.0), margin=0.0)  # from s = 12.5
    assert ground.claim(10.0, 4.5, (4.0, 2.0), margin=0.0)  # from t = 3.5


def test_a_thing_across_the_street_claims_its_length_across() -> None:
    ground = Occupancy()
    assert ground.claim(10.0, 0.0, (4.0, 2.0), turn=np.pi / 2, margin=0.0)  # s 9..11, t -2..2
    assert ground.claim(12.5, 0.0, (2.0, 2.0), margin=0.0)
    assert not ground.claim(10.0, 1.9, (1.0, 1.0), margin=0.0)


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_car_stands_on_its_tyres_and_has_its_proportions(number: int, near: bool) -> None:
    body, model = BODIES[number], car_model(number, near=near)
    points = np.concatenate([shape.positions for slot, shape in model.items() if slot not in ("plate", "trim")])
    low, high = points.min(0), points.max(0)
    assert low[1] == pytest.approx(0.0, abs=0.02)
    assert model["tyre"].positions[:, 1].min() == pytest.approx(0.0, abs=0.02)
    assert high[2] - low[2] == pytest.approx(body.length, abs=0.1)
    assert model["body"].positions[:, 1].max() == pytest.approx(body.height, abs=0.03)
    assert model["side"].positions[:, 0].max() == pytest.approx(body.width / 2, abs=0.02)
    assert -low[0] == pytest.approx(high[0], abs=0.02)  # left and right alike
    assert {"glass_side", "glass_end", "head", "tail", "rim"} <= model.keys()
    for shape in model.values():
        assert np.isfinite(shape.positions).all()
        np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1.0, atol=1e-3)


def test_distant_cars_are_cheaper() -> None:
    near, far = (sum(len(shape.faces) for shape in car_model(0, near=near).values()) for near in (True, False))
    assert far < 0.6 * near


def test_a_car_is_one_instance_of_its_class() -> None:
    mesh = MeshBuilder()
    rng = np.random.default_rng(0)
    build = draw_car(rng)
    add_car(mesh, AHEAD, rng, (0.5, 0.1, 0.1), build=build, instance=7)
    vertices = vertices_of(mesh)
    assert np.unique(vertices["kind"][:, 1]).tolist() == [TRAIN_ID["car"]]
    assert np.unique(vertices["instance"]).tolist() == [7]
    low, high = (end(vertices["position"], axis=0) for end in (np.min, np.max))
    assert high[2] - low[2] == pytest.approx(build.size[0], abs=0.12)  # plates stick out a little


@pytest.mark.parametrize("length", [6.2, 9.0, 14.5])
def test_trucks_are_as_long_as_asked_and_touch_the_road(length: float) -> None:
    for seed in range(8):
        mesh = MeshBuilder()
        place = Placement((0.0, 0.0, 0.0))
        add_truck(mesh, place, np.random.default_rng(seed), (0.5, 0.1, 0.1), instance=1, length=length, fleet=Fleet())
        points = vertices_of(mesh)["position"]
        assert points[:, 1].min() == pytest.approx(0.0, abs=0.03)
        assert np.ptp(points[:, 2]) == pytest.approx(length, abs=0.6)


def test_buses_report_their_length_and_touch_the_road() -> None:
    lengths = set()
    for seed in range(20):
        mesh = MeshBuilder()
        spot = Spot(STRAIGHT, 30.0, 0.0, 0.0)
        length = add_bus(mesh, spot, np.random.default_rng(seed), (0.5, 0.1, 0.1), instance=1, fleet=Fleet())
        points = vertices_of(mesh)["position"]
        assert points[:, 1].min() == pytest.approx(0.0, abs=0.03)
        assert np.ptp(points[:, 2]) == pytest.approx(length, abs=0.6)
        lengths.add(round(length, 1))
    assert len(lengths) == len(BUSES) + 1  # every build, and the articulated one
    assert max(lengths) > sum(hull.length for hull in ARTICULATED)


def test_a_limb_keeps_its_bones_and_stretches_at_most() -> None:
    root = np.zeros(3)
    bent = reach(root, np.array([0.0, -0.5, 0.0]), 0.3, 0.4, np.array([0.0, 0.0, 1.0]))
    # A triangle with sides 0.3, 0.4 and 0.5: the joint lies 0.18 along the line and 0.24 beside it.
    np.testing.assert_allclose(bent.joint, [0.0, -0.18, 0.24], atol=1e-6)
    np.testing.assert_allclose(bent.end, [0.0, -0.5, 0.0], atol=1e-6)
    stretched = reach(root, np.array([0.0, -9.0, 0.0]), 0.3, 0.4, np.array([0.0, 0.0, 1.0]))
    assert np.linalg.norm(stretched.end) == pytest.approx(0.7, abs=1e-3)


def test_everybody_of_the_cast_stands_on_the_ground_and_has_paints() -> None:
    slots = clothes_paints(np.random.default_rng(0)).keys()
    for number in range(96):
        model = figure(number, near=False)
        assert model.keys() <= slots
        lowest = min(float(shape.positions[:, 1].min()) for shape in model.values())
        assert abs(lowest) < 0.06, number
        if number % 32 != 31:  # all but those who sit
            assert 1.6 < float(model["skin"].positions[:, 1].max()) < 1.9, number


@pytest.mark.parametrize(("add", "machine"), [(add_cyclist, "bicycle"), (add_motorcyclist, "motorcycle")])
def test_a_rider_and_the_machine_are_two_instances_that_touch(add: object, machine: str) -> None:
    assert callable(add)
    for seed in range(12):
        mesh = MeshBuilder()
        add(mesh, AHEAD, np.random.default_rng(seed), rider=3, machine=4)
        vertices = vertices_of(mesh)
        rider, below = (vertices[vertices["instance"] == number]["position"] for number in (3, 4))
        assert set(vertices["kind"][vertices["instance"] == 3, 1].tolist()) == {TRAIN_ID["rider"]}
        assert set(vertices["kind"][vertices["instance"] == 4, 1].tolist()) == {TRAIN_ID[machine]}
        assert below[:, 1].min() == pytest.approx(0.0, abs=0.02)
        assert rider[:, 1].min() > 0.05  # the feet are on the pedals
        assert 1.4 < rider[:, 1].max() < 1.95
        assert rider[:, 1].min() < below[:, 1].max()


def test_large_vehicles_hardly_ever_touch_each_other() -> None:
    slack = 0.12  # plates and mirrors
    vehicles = overlaps = 0
    for seed in range(25):
        mesh = MeshBuilder()
        build_traffic(mesh, straight_street(seed), STREET, np.random.default_rng(seed))
        vertices = vertices_of(mesh)
        vertices = vertices[np.isin(vertices["kind"][:, 1], LARGE)]
        boxes = []
        for number in np.unique(vertices["instance"]):
            points = vertices["position"][vertices["instance"] == number][:, [0, 2]]
            boxes.append((points.min(0) + slack, points.max(0) - slack))
        for one, (low, high) in enumerate(boxes):
            overlaps += sum(bool((low < h).all() and (other < high).all()) for other, h in boxes[:one])
        vehicles += len(boxes)
    assert vehicles > 250
    assert overlaps <= 1


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_car_claims_the_ground_of_its_own_body(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(road_users, "draw_car", lambda _: CarBuild(number, 1.0))
    users = RoadUsers(MeshBuilder(), straight_street(1), STREET, np.random.default_rng(0), count(1))
    body = BODIES[number]
    assert users.put_car(20.0, 2.0, 0.0) == body.length
    ((s0, s1, t0, t1),) = users.ground.taken
    assert (s1 - s0, t1 - t0) == pytest.approx((body.length + 0.3, body.width + 0.3))


def test_a_tram_stands_on_free_ground_only() -> None:
    street = dataclasses.replace(straight_street(1), tram=True, lanes=2)
    mesh = MeshBuilder()
    users = RoadUsers(mesh, street, STREET, np.random.default_rng(0), count(1))
    assert users.ground.claim(30.0, street.tram_line, (60.0, 2.0))
    assert users.put_tram(30.0, street.tram_line) == 0.0
    assert users.put_tram(90.0, street.tram_line) > 8.0
    assert vertices_of(mesh)["position"][:, 2].min() > 60.0


def test_a_car_in_a_bay_claims_its_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(road_users, "draw_car", lambda _: CarBuild(1, 1.0))  # 4.6 m long
    street = straight_street(1)
    users = RoadUsers(MeshBuilder(), street, STREET, np.random.default_rng(0), count(1))
    users.park_car(STRAIGHT.place(20.0, 9.0, turn=np.pi / 2))
    ((s0, s1, t0, t1),) = users.ground.taken
    assert ((s0 + s1) / 2, (t0 + t1) / 2) == pytest.approx((20.0, 9.0), abs=0.02)
    assert t1 - t0 > 4.0 > s1 - s0
    assert users.put_car(20.0, 10.0, 0.0) == 0.0


@pytest.mark.parametrize("world", ["arcade", "studio", "street"])
def test_road_users_are_met_often_enough(world: str) -> None:
    style, near = WORLDS[world], 45.0
    seen: dict[int, int] = {}
    frames = 40
    for seed in range(frames):
        mesh, rng = MeshBuilder(), np.random.default_rng([8, seed])
        build_traffic(mesh, draw_layout(style.street, rng).main, style, rng)
        vertices = vertices_of(mesh)
        x, _, z = vertices["position"].T
        in_view = (z > 3.0) & (z < near) & (np.abs(x) < z)
        for class_id in np.unique(vertices["kind"][in_view, 1]).tolist():
            seen[class_id] = seen.get(class_id, 0) + 1
    wanted = {"person": 0.4, "rider": 0.3, "car": 0.8, "truck": 0.1, "bus": 0.1, "motorcycle": 0.1, "bicycle": 0.2}
    for name, share in wanted.items():
        if TRAIN_ID[name] in style.train_ids:
            assert seen.get(TRAIN_ID[name], 0) >= share * frames, name
