"""Shadows: smooth on what they fall on, and joined to what casts them."""

from dataclasses import replace

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds import WORLDS, Renderer
from isthmus.datasets.worlds.air.weather import draw_light
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.geometry.materials import Material, Paint
from isthmus.datasets.worlds.geometry.mesh import MeshBuilder, Point, Thing
from isthmus.datasets.worlds.geometry.shapes import box
from isthmus.datasets.worlds.scene import Scene

WHITE = Paint(Material.CAR_PAINT, (0.9, 0.9, 0.9))
CAMERA = Camera((0.0, 1.5, 0.0), 0.0, 0.0, 0.0, 1.0)


def scene_of(mesh: MeshBuilder, sun: Point, *, sky: float) -> Scene:
    direction = np.asarray(sun) / np.linalg.norm(sun)
    light = replace(
        draw_light(WORLDS["arcade"].light, np.random.default_rng(0)),
        sun_direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        sun_color=(1.0, 1.0, 1.0),
        sun_softness=0.003,
        ambient_sky=(sky,) * 3,
        ambient_ground=(sky,) * 3,
        fog_density=0.0,
        haze=0.0,
        night=0.0,
        wetness=0.0,
    )
    return Scene(mesh.build(), light, CAMERA, 0.0)


def test_a_white_side_has_no_grain_under_a_grazing_sun(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    mesh.add(box((8.0, 4.0, 2.0), (0.0, 1.5, 11.0)), WHITE, Thing(TRAIN_ID["car"], 1))
    # f = 90.5 pixels: the face 10 m ahead spans 72 x 36 pixels about the middle.
    side = renderer.render(scene_of(mesh, (1.0, 0.4, -0.2), sky=0.5)).radiance[22:42, 36:92, 0]
    assert side.min() > 0.1
    assert np.abs(np.diff(side, axis=1)).max() < 0.05 * side.mean()


def test_a_shadow_begins_at_the_foot_of_what_casts_it(renderer: Renderer) -> None:
    mesh = MeshBuilder()
    mesh.add(box((60.0, 0.2, 120.0), (0.0, -0.1, 40.0)), WHITE, Thing(TRAIN_ID["road"]))
    mesh.add(box((4.0, 1.0, 2.0), (0.0, 0.5, 9.0)), WHITE, Thing(TRAIN_ID["car"], 1))
    # The sun stands behind the box at 45 degrees: its shadow runs 1 m towards the camera from its foot 8 m ahead,
    # which lies 17 pixels below the middle.
    ground = renderer.render(scene_of(mesh, (0.0, 1.0, 1.0), sky=0.1)).radiance[:, 64, 0]
    assert ground[49] < 0.3 * ground[58]
