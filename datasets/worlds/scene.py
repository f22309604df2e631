"""One frame's scene: streets, what lines them, who moves on them, the light and the camera; all from one seed."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.air.light import Light
from isthmus.datasets.worlds.air.weather import draw_light
from isthmus.datasets.worlds.camera.bonnet import build_bonnet
from isthmus.datasets.worlds.camera.lens import Lens
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.geometry.mesh import Mesh, MeshBuilder
from isthmus.datasets.worlds.roadside.kerbside import build_kerbsides
from isthmus.datasets.worlds.streets.ground import draw_ground
from isthmus.datasets.worlds.streets.kinds import draw_layout
from isthmus.datasets.worlds.streets.layout import KERB_M, Layout
from isthmus.datasets.worlds.streets.lots import build_backdrop, build_lots
from isthmus.datasets.worlds.streets.overpasses import build_overpass
from isthmus.datasets.worlds.streets.road import build_ground
from isthmus.datasets.worlds.style import CameraStyle, WorldStyle
from isthmus.datasets.worlds.traffic.street_traffic import build_traffic


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything the renderer needs."""

    mesh: Mesh
    light: Light
    camera: Camera
    flatness: float


def frame_generator(world: WorldStyle, *, split: str, seed: int, index: int) -> np.random.Generator:
    """The random numbers of one frame: nothing but (world, split, seed, index) decides about it."""
    return np.random.default_rng([world.key, crc32(split.encode()), seed, index])


def build_scene(world: WorldStyle, rng: np.random.Generator) -> Scene:
    """Draw and build a scene."""
    light = draw_light(world.light, rng)
    layout = draw_layout(world.street, rng)
    mesh = MeshBuilder()
    ground = draw_ground(world.street, rng, has_terrain=TRAIN_ID["terrain"] in world.train_ids)
    build_ground(mesh, layout, ground, rng)
    bays = [bay for street in layout.streets for bay in build_lots(mesh, street, world.street, ground, rng)]
    for street in layout.streets:
        build_backdrop(mesh, street, world.street, rng)
    build_overpass(mesh, layout.main, world.street, ground, rng)
    build_kerbsides(mesh, layout, world.street, ground, rng)
    build_traffic(mesh, layout.main, world, rng, bays=bays, raining=light.rain > 0.0)
    camera, on_road = draw_camera(world.camera, layout, rng)
    if on_road and rng.random() < world.camera.bonnet_probability:
        build_bonnet(mesh, camera, world.street.cars, rng)
    return Scene(mesh.build(), light, camera, world.flatness)


def draw_camera(style: CameraStyle, layout: Layout, rng: np.random.Generator) -> tuple[Camera, bool]:
    """Put the camera into the ego lane, or now and then somewhere less usual; and whether it is in the lane."""
    street = layout.main
    lane = street.lanes - 1 if rng.random() < 0.6 else int(rng.integers(street.lanes))
    t = street.lane_middle(1, lane) + rng.uniform(*style.lateral_m)
    y = rng.uniform(*style.height_m)
    on_road = bool(rng.random() >= style.off_road_probability)
    if not on_road:
        side = 1 if rng.random() < 0.5 else -1
        on_sidewalk = street.kerb(side) + street.verge[side > 0] + street.sidewalk[side > 0] * 0.5
        t = side * (on_sidewalk if rng.random() < 0.5 else street.half_road * 0.4)
        y += KERB_M
    x, _, z = (float(v) for v in street.curve.at(0.0, t))
    decentring = rng.uniform(-style.tangential, style.tangential, 2)
    camera = Camera(
        eye=(x, float(y), z),
        yaw=float(np.radians(rng.uniform(*style.yaw_deg))),
        pitch=float(np.radians(rng.uniform(*style.pitch_deg))),
        roll=float(np.radians(rng.uniform(*style.roll_deg))),
        focal=float(rng.uniform(*style.focal)),
        lens=Lens(float(rng.uniform(*style.radial)), 0.0, float(decentring[0]), float(decentring[1])),
    )
    return camera, on_road
