"""One frame's scene: streets, what lines them, who moves on them, the light and the camera; all from one seed."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.camera import Camera
from isthmus.datasets.worlds.kerbside import build_kerbsides
from isthmus.datasets.worlds.layout import KERB_M, Layout, draw_layout
from isthmus.datasets.worlds.lots import build_backdrop, build_lots
from isthmus.datasets.worlds.materials import Rgb
from isthmus.datasets.worlds.mesh import Mesh, MeshBuilder
from isthmus.datasets.worlds.road import build_ground, draw_ground
from isthmus.datasets.worlds.style import CameraStyle, LightStyle, WorldStyle
from isthmus.datasets.worlds.traffic import build_traffic


@dataclass(frozen=True, slots=True)
class Light:
    """Sun, sky and air of a scene; colours are linear light."""

    sun_direction: tuple[float, float, float]
    """Towards the sun."""
    sun_color: Rgb
    sun_softness: float
    zenith: Rgb
    horizon: Rgb
    clouds: tuple[float, float, float, float]
    ambient_sky: Rgb
    ambient_ground: Rgb
    fog_color: Rgb
    fog_density: float
    haze: float
    night: float = 0.0
    """0 day to 1 night: how far lamps and windows are lit."""
    wetness: float = 0.0
    """0 dry to 1 pouring."""


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
    layout = draw_layout(world.street, rng)
    mesh = MeshBuilder()
    ground = draw_ground(world.street, rng, has_terrain=TRAIN_ID["terrain"] in world.train_ids)
    build_ground(mesh, layout, ground, rng)
    for street in layout.streets:
        build_lots(mesh, street, world.street, rng)
        build_backdrop(mesh, street, world.street, rng)
    build_kerbsides(mesh, layout.main, world.street, rng)
    build_traffic(mesh, layout.main, world, rng)
    light = draw_light(world.light, rng)
    camera = draw_camera(world.camera, layout, rng)
    return Scene(mesh.build(), light, camera, world.flatness)


def draw_light(style: LightStyle, rng: np.random.Generator) -> Light:
    """Draw a time of day and a weather."""
    overcast = bool(rng.random() < style.overcast_probability)
    height, around = np.radians(rng.uniform(*style.sun_height_deg)), rng.uniform(0, 2 * np.pi)
    direction = (float(np.cos(height) * np.sin(around)), float(np.sin(height)), float(np.cos(height) * np.cos(around)))
    low = float(np.clip(1.0 - np.degrees(height) / 35.0, 0.0, 1.0))
    strength = rng.uniform(*style.sun_strength) * (0.12 if overcast else 1.0)
    sky = rng.uniform(*style.sky_strength)
    sun = (strength, strength * (0.95 - 0.20 * low), strength * (0.88 - 0.42 * low))
    zenith = _linear(style.zenith[int(rng.integers(len(style.zenith)))], sky)
    horizon = _linear(style.horizon[int(rng.integers(len(style.horizon)))], sky)
    if overcast:
        grey = sum(zenith) / 3 * 0.6 + sum(horizon) / 3 * 0.4
        zenith = (grey * 0.97, grey, grey * 1.04)
    cover = rng.uniform(0.75, 1.0) if overcast else rng.uniform(*style.cloud_cover)
    ambient = tuple(
        0.45 * (0.55 * z + 0.45 * h) * (1.5 if overcast else 1.0) for z, h in zip(zenith, horizon, strict=True)
    )
    bounce = 0.10 * (sun[0] * direction[1] + sum(ambient))
    fog = _mixed(horizon, (sum(horizon) / 3,) * 3, 0.5)
    return Light(
        sun_direction=direction,
        sun_color=sun,
        sun_softness=float(rng.uniform(*style.shadow_softness)) * (3.0 if overcast else 1.0),
        zenith=zenith,
        horizon=horizon,
        clouds=(float(cover), float(rng.uniform(0.08, 0.3)), float(rng.random()), float(rng.random())),
        ambient_sky=(ambient[0], ambient[1], ambient[2]),
        ambient_ground=(bounce, bounce * 0.95, bounce * 0.88),
        fog_color=fog,
        fog_density=float(rng.uniform(*style.fog_density)),
        haze=float(rng.uniform(0.2, 0.9)),
    )


def draw_camera(style: CameraStyle, layout: Layout, rng: np.random.Generator) -> Camera:
    """Put the camera into the ego lane, or now and then somewhere less usual."""
    street = layout.main
    lane = street.lanes - 1 if rng.random() < 0.6 else int(rng.integers(street.lanes))
    t = street.drive_side * (lane + 0.5) * street.lane_width + rng.uniform(*style.lateral_m)
    y = rng.uniform(*style.height_m)
    if rng.random() < style.off_road_probability:
        side = 1 if rng.random() < 0.5 else -1
        on_sidewalk = street.kerb(side) + street.verge[side > 0] + street.sidewalk[side > 0] * 0.5
        t = side * (on_sidewalk if rng.random() < 0.5 else street.half_road * 0.4)
        y += KERB_M
    x, _, z = (float(v) for v in street.curve.at(0.0, t))
    return Camera(
        eye=(x, float(y), z),
        yaw=float(np.radians(rng.uniform(*style.yaw_deg))),
        pitch=float(np.radians(rng.uniform(*style.pitch_deg))),
        roll=float(np.radians(rng.uniform(*style.roll_deg))),
        focal=float(rng.uniform(*style.focal)),
    )


def _linear(color: Rgb, strength: float) -> Rgb:
    r, g, b = (float(c**2.2 * strength) for c in color)
    return (r, g, b)


def _mixed(a: Rgb, b: tuple[float, ...], share: float) -> Rgb:
    r, g, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return (r, g, blue)
