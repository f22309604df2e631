"""House fronts, their relief and their signs; trees and hedges: geometry and classes, as the shaders count on them."""

import numpy as np
import pytest

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds import WORLDS
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.drawing.renderer import Frame, Renderer
from isthmus.datasets.worlds.geometry.cuboids import cuboid_rows, cuboids, sheets, walls
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import Mesh, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.houses.buildings import House, add_house, draw_house
from isthmus.datasets.worlds.houses.facade_grammar import Front, Grammar, draw_front, fitting_bay
from isthmus.datasets.worlds.plants.crowns import SHADED, cards, leaves_on, lobes_in
from isthmus.datasets.worlds.plants.species import PALM, SPECIES, Species
from isthmus.datasets.worlds.plants.vegetation import add_bush, add_conifer, add_hedge, add_tree
from isthmus.datasets.worlds.scene import Scene, draw_light

STREET = WORLDS["street"]
LEAF = (0.2, 0.3, 0.1)


def front(grammar: Grammar = Grammar.SASH, *, shops: bool = False, floors: int = 3) -> Front:
    return Front(
        grammar=grammar, wall_kind=1, seed=0.5, bay=2.0, floor_height=3.0, floors=floors, share=0.5, shops=shops
    )


def house(grammar: Grammar, *, shops: bool = False) -> House:
    return House(
        width=8.0,
        depth=9.0,
        front=front(grammar, shops=shops, floors=1 if grammar in (Grammar.SHED, Grammar.CHURCH) else 3),
        color=(0.6, 0.5, 0.4),
        tiles=(0.4, 0.2, 0.1),
        pitched=True,
        balconies=True,
        low=False,
    )


def built(what: House, *, ahead: float, seed: int = 0) -> Mesh:
    mesh = MeshBuilder()
    add_house(mesh, Placement((-4.0, 0.0, ahead)), what, np.random.default_rng(seed))
    return mesh.build()


def rendered(renderer: Renderer, mesh: Mesh) -> Frame:
    light = draw_light(STREET.light, np.random.default_rng(0))
    camera = Camera(eye=(0.0, 1.5, 0.0), yaw=0.0, pitch=0.0, roll=0.0, focal=0.9)
    return renderer.render(Scene(mesh, light, camera, 0.0))


def test_a_box_on_a_wall_has_five_faces_and_the_walls_own_uv() -> None:
    shape = cuboids(np.array([[1.0, 2.0, -0.5, 3.0, 4.0, 0.0]]))
    assert shape.positions.shape == (20, 3)
    assert shape.faces.shape == (10, 3)
    np.testing.assert_allclose(shape.uvs[:4], [[1, 2], [3, 2], [3, 4], [1, 4]])  # the front: x and y
    np.testing.assert_allclose(shape.normals[0], [0, 0, -1])
    assert not (shape.normals[:, 2] > 0).any()  # nothing faces the wall behind


def test_rows_of_boxes_stand_at_every_crossing() -> None:
    boxes = cuboid_rows(np.array([1.0, 3.0]), np.array([0.0, 3.0, 6.0]), (0.5, 0.2, 0.1))
    assert boxes.shape == (6, 6)
    np.testing.assert_allclose(boxes[0], [0.75, 0.0, -0.1, 1.25, 0.2, 0.0])


def test_walls_measure_their_uv_from_their_own_start() -> None:
    shape = walls(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]), -0.5, 6.0)
    np.testing.assert_allclose(shape.uvs[:4], [[0, -0.5], [4, -0.5], [4, 6], [0, 6]])
    np.testing.assert_allclose(shape.uvs[4:, 0], [0, 3, 3, 0])
    np.testing.assert_allclose(np.abs(shape.normals[[0, 4]]), [[0, 0, 1], [1, 0, 0]], atol=1e-6)


def test_sheets_measure_metres_in_their_plane() -> None:
    shape = sheets(np.array([[[0, 0, 0], [2, 0, 0], [2, 3, 4], [0, 3, 4.0]]]))
    np.testing.assert_allclose(shape.uvs, [[0, 0], [2, 0], [2, 5], [0, 5]], atol=1e-5)


def test_no_window_is_cut_by_an_edge() -> None:
    assert fitting_bay(10.0, 3.0) == pytest.approx(10 / 3)
    assert fitting_bay(1.0, 3.0) == 1.0
    for seed in range(40):
        drawn = draw_front(STREET.street, np.random.default_rng(seed), width=9.0, low=False)
        assert 9.0 / drawn.bay == pytest.approx(round(9.0 / drawn.bay))


def test_a_front_with_shops_is_taller_and_says_so_to_the_shader() -> None:
    plain, shops = front(), front(shops=True)
    assert plain.height == pytest.approx(9.0)
    assert shops.height == pytest.approx(9.45)
    assert plain.paint((1, 1, 1)).params == pytest.approx((2.0, 3.0, 3.5, 1.5))
    assert shops.paint((1, 1, 1)).params[2] == pytest.approx(-3.5)


@pytest.mark.parametrize("grammar", Grammar)
def test_a_grammars_number_survives_the_byte_it_travels_in(grammar: Grammar) -> None:
    mesh = MeshBuilder()
    mesh.add(cuboids(np.zeros((1, 6))), front(grammar).paint((0.5, 0.5, 0.5)), Thing(0))
    gloss = mesh.build().vertices["color"][0, 3] / 255.0
    assert int(gloss * 32.0) == grammar


def test_doors_recur_along_a_front() -> None:
    assert front().door_columns(7) == [1, 4]  # seed 0.5: every third bay from the second on
    assert front().door_columns(1) == []


@pytest.mark.parametrize("shops", [False, True])
@pytest.mark.parametrize("grammar", Grammar)
def test_a_house_is_a_building_whatever_hangs_on_it(grammar: Grammar, shops: bool) -> None:
    for seed in range(4):
        vertices = built(house(grammar, shops=shops), ahead=10.0, seed=seed).vertices
        ivy = np.isin(vertices["kind"][:, 0], (Material.FOLIAGE, Material.BARK))
        assert (vertices["kind"][~ivy, 1] == TRAIN_ID["building"]).all()
        assert (vertices["kind"][ivy, 1] == TRAIN_ID["vegetation"]).all()
        assert np.isfinite(vertices["position"]).all()
        np.testing.assert_allclose(np.linalg.norm(vertices["normal"], axis=1), 1.0, atol=1e-3)
        assert vertices["position"][:, 1].min() > -0.5


def test_relief_is_for_near_houses() -> None:
    shop = house(Grammar.VICTORIAN, shops=True)
    near, far, behind = (len(built(shop, ahead=z).faces) for z in (10.0, 150.0, -60.0))
    assert near > 2 * far > 2 * behind


def test_how_much_relief_a_house_gets_does_not_move_the_rest() -> None:
    after = []
    for z in (10.0, 150.0):
        rng = np.random.default_rng(3)
        add_house(MeshBuilder(), Placement((0.0, 0.0, z)), house(Grammar.GEORGIAN), rng)
        after.append(rng.random())
    assert after[0] == after[1]


@pytest.mark.parametrize("world", ["arcade", "studio", "street"])
def test_a_worlds_fronts_are_of_many_kinds(world: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_house(WORLDS[world].street, rng, width=float(w), low=False) for w in rng.uniform(6, 30, 300)]
    assert len({each.front.grammar for each in drawn}) >= 8
    assert len({each.front.seed for each in drawn}) == 300


def test_cards_lie_where_they_are_put_and_are_numbered() -> None:
    centers = np.array([[0.0, 1.0, 0.0], [5.0, 2.0, 0.0]])
    facing = np.tile([0.0, 0.0, -1.0], (2, 1))
    shape = cards(centers, facing, facing, np.array([0.5, 0.5]), np.random.default_rng(0), tall=2.0)
    points = shape.positions.reshape(2, 4, 3)
    np.testing.assert_allclose(points.mean(1), centers, atol=1e-6)
    np.testing.assert_allclose(np.ptp(points[0], axis=0), [1.0, 2.0, 0.0], atol=0.05)
    np.testing.assert_allclose(np.floor(shape.uvs.reshape(2, 4, 2).min(1)), [[0, 0], [1, 0]])


def test_leaves_stay_about_their_lobes_and_inner_ones_are_marked() -> None:
    rng = np.random.default_rng(0)
    lobes = lobes_in(np.array([0.0, 5.0, 0.0]), np.array([2.0, 2.0, 2.0]), 6, rng)
    assert lobes.shape == (6, 6)
    shape = leaves_on(lobes, 100, 0.3, rng, inner=20)
    assert np.abs(shape.positions - [0, 5, 0]).max() < 4.0
    assert (shape.uvs[:80, 1] >= SHADED).all()
    assert (shape.uvs[80:, 1] < SHADED).all()


@pytest.mark.parametrize("species", [*SPECIES, PALM], ids=lambda kind: kind.name)
def test_a_tree_stands_on_the_ground_and_keeps_to_its_height(species: Species) -> None:
    for distance in (5.0, 30.0, 90.0):
        mesh = MeshBuilder()
        place = Placement((0.0, 0.0, distance))
        add_tree(mesh, place, np.random.default_rng(1), LEAF, bare=False, height=8.0, species=species)
        vertices = mesh.build().vertices
        assert (vertices["kind"][:, 1] == TRAIN_ID["vegetation"]).all()
        assert vertices["position"][:, 1].min() > -0.6
        assert vertices["position"][:, 1].max() < 8.0 * 1.35
        np.testing.assert_allclose(np.linalg.norm(vertices["normal"], axis=1), 1.0, atol=1e-3)


def test_near_trees_have_more_leaves_than_far_ones() -> None:
    counts = []
    for distance in (5.0, 30.0, 90.0):
        mesh = MeshBuilder()
        place = Placement((0.0, 0.0, distance))
        add_tree(mesh, place, np.random.default_rng(1), LEAF, bare=False, height=8.0, species=SPECIES[0])
        counts.append(len(mesh.build().faces))
    assert counts[0] > counts[1] > counts[2]


def test_hedges_bushes_and_conifers_are_vegetation() -> None:
    rng = np.random.default_rng(2)
    mesh = MeshBuilder()
    line = np.stack([np.linspace(-4, 4, 7), np.zeros(7), np.full(7, 9.0)], 1)
    for _ in range(6):
        add_hedge(mesh, line, rng, LEAF, height=1.2, width=0.8)
        add_bush(mesh, Placement((0.0, 0.0, 8.0)), rng, LEAF, size=1.0)
        add_conifer(mesh, Placement((2.0, 0.0, 12.0)), rng, LEAF, height=7.0)
    vertices = mesh.build().vertices
    assert (vertices["kind"][:, 1] == TRAIN_ID["vegetation"]).all()
    assert np.isfinite(vertices["position"]).all()


def test_a_card_is_ragged_in_the_picture_and_whole_in_the_labels(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    paint = Paint(Material.FOLIAGE, LEAF, 0.0, (0.3, 0.9, 1.0, 0.0))
    facing = np.array([[0.0, 0.0, -1.0]])
    center = np.array([[0.0, 1.5, 4.0]])
    mesh.add(
        cards(center, facing, facing, np.array([1.5]), np.random.default_rng(0)), paint, Thing(TRAIN_ID["vegetation"])
    )
    frame = rendered(renderer, mesh.build())
    crown = frame.train_ids == TRAIN_ID["vegetation"]
    empty = rendered(renderer, behind_the_camera(mesh)).radiance
    painted = np.abs(frame.radiance - empty).max(2) > 1e-3
    assert crown[32, 64]
    assert 0.2 < (painted & crown).sum() / crown.sum() < 0.95  # sky shows between the leaves


def behind_the_camera(mesh: MeshBuilder) -> Mesh:
    """The same triangles where nobody sees them."""
    moved = mesh.build()
    moved.vertices["position"][:, 2] -= 100.0
    return moved
