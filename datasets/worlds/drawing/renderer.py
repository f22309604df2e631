"""From a scene to pixels with OpenGL on EGL: an image pass with multisampling, and a label pass without.

Works with any OpenGL 3.3 driver; Mesa's software rasteriser is enough. All passes draw the same triangles, and
the surfaces with holes share one test, so image and labels agree to the pixel (bare crowns and railings are
solid in the labels on purpose, the way people annotate them).
"""

from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.air.light import Light
from isthmus.datasets.worlds.camera.pinhole import orthographic
from isthmus.datasets.worlds.drawing.afterdark import is_dark, lamp_uniforms
from isthmus.datasets.worlds.drawing.noise import noise_texture
from isthmus.datasets.worlds.drawing.opengl import context_for
from isthmus.datasets.worlds.drawing.programs import Programs, set_uniforms, vertex_content
from isthmus.datasets.worlds.geometry.materials import SEE_THROUGH, Material
from isthmus.datasets.worlds.geometry.mesh import Floats
from isthmus.datasets.worlds.scene import Scene

_SHADOW_SIZE: Final = 1024
_SHADOW_RADIUS_M: Final = 62.0
_SHADOW_AHEAD_M: Final = 42.0
_NOISE_UNIT, _SUN_UNIT, _TOP_UNIT, _MIRROR_UNIT = 0, 1, 2, 3
_MIRROR_SHARE: Final = 2
"""The picture's sides are so many times those of its mirror image in wet ground."""
_LEVEL: Final = frozenset({Material.ASPHALT, Material.PAVING, Material.MARKING, Material.GRASS})
"""Ground: what mirrors, and so is left out of the mirror image."""
_BY_SHAPE: Final = np.array([k if k in SEE_THROUGH else Material.PLAIN for k in range(max(Material) + 1)], np.uint8)
"""For each material, the one whose triangles are drawn with its own where colour does not matter."""

Batches = dict[Material, tuple[Any, Any]]
"""Vertex and index buffer of each material's triangles."""


class _Triangles(NamedTuple):
    """One view's triangles, as the passes want them."""

    painted: Batches
    """By material."""
    shaped: Batches
    """Those with holes by material, and all others together under `PLAIN`: only painting tells them apart."""


class Frame(NamedTuple):
    """What the passes give, before any camera's faults."""

    radiance: NDArray[np.float32]
    """[H, W, 3] linear light, 0 and up."""
    train_ids: NDArray[np.uint8]
    """[H, W] train ids."""
    instances: NDArray[np.uint16]
    """[H, W] number of the object, 0 for stuff."""


class Renderer:
    """An OpenGL context with everything that frames of one size share. Use as a context manager.

    Args:
        size_hw: Height and width of the frames.
        samples: Coverage samples a pixel of the image pass; the driver may allow fewer.

    Raises:
        ConfigurationError: The frames are larger than the driver can draw.
        EnvironmentMissingError: moderngl or an EGL driver is missing.
    """

    def __init__(self, size_hw: tuple[int, int], *, samples: int = 4) -> None:
        self._context = context = context_for(size_hw)
        self._height, self._width = size_hw
        size = (self._width, self._height)
        self._programs = Programs(context)
        corners = np.array([[-1, -1], [3, -1], [-1, 3]], "f4")
        self._sky = context.vertex_array(self._programs.sky, [(context.buffer(corners.tobytes()), "2f", "in_corner")])
        samples = min(samples, context.max_samples)
        self._image = context.framebuffer(
            [context.renderbuffer(size, 4, samples=samples, dtype="f2")],
            context.depth_renderbuffer(size, samples=samples),
        )
        self._resolved = context.framebuffer([context.texture(size, 4, dtype="f2")])
        small = (max(size[0] // _MIRROR_SHARE, 1), max(size[1] // _MIRROR_SHARE, 1))
        self._mirror_map = context.texture(small, 4, dtype="f2")
        self._mirror_map.repeat_x = self._mirror_map.repeat_y = False
        self._mirror = context.framebuffer([self._mirror_map], context.depth_renderbuffer(small))
        self._labels = context.framebuffer(
            [context.texture(size, 1, dtype="u1"), context.texture(size, 1, dtype="u2")],
            context.depth_renderbuffer(size),
        )
        self._shadow_maps = [context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE)) for _ in range(2)]
        self._shadows = [context.framebuffer(depth_attachment=texture) for texture in self._shadow_maps]
        for texture in self._shadow_maps:
            texture.compare_func = "<="
            texture.repeat_x = texture.repeat_y = False
        pixels = noise_texture()
        self._noise = context.texture(pixels.shape[1::-1], 4, pixels.tobytes())
        self._noise.build_mipmaps()
        self._noise.filter = (context.LINEAR_MIPMAP_NEAREST, context.LINEAR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.release()

    @property
    def driver(self) -> str:
        """The driver's own name and version, for manifests: pixels are equal only on the same one."""
        info = self._context.info
        return f"{info['GL_RENDERER']}, OpenGL {info['GL_VERSION']}"

    def render(self, scene: Scene) -> Frame:
        """Draw one scene."""
        with self._context:  # makes it the current one: several renderers may live side by side
            return self._render(scene)

    def _render(self, scene: Scene) -> Frame:
        uniforms = self._uniforms(scene)
        dark, wet = is_dark(scene), scene.light.wetness > 0
        if dark:
            uniforms.update(lamp_uniforms(scene))
        weather = frozenset({"NIGHT"} if dark else ())
        casters, seen = self._upload(scene, uniforms)
        self._noise.use(_NOISE_UNIT)
        self._context.enable(self._context.DEPTH_TEST)
        self._draw_shadows(casters, uniforms, sun=not dark)
        if wet:
            self._draw_mirror(seen, uniforms, weather)
        self._draw_image(seen, uniforms, weather | ({"WET"} if wet else frozenset()))
        self._draw_labels(seen.shaped, uniforms)
        for vertices, indices in (*casters.values(), *seen.shaped.values(), *seen.painted.values()):
            indices.release()
            vertices.release()  # one buffer for all; releasing it again does nothing
        return self._read()

    def _upload(self, scene: Scene, uniforms: dict[str, Any]) -> tuple[Batches, _Triangles]:
        """The triangles that light's views and that the camera can see, the camera's near ones first."""
        mesh = scene.mesh
        positions = np.ascontiguousarray(mesh.vertices["position"])
        vertices = self._context.buffer(mesh.vertices.tobytes())
        sun, top, camera = (
            _seen(positions, mesh.faces, uniforms[view])
            for view in ("u_sun_from_world", "u_top_from_world", "u_clip_from_world")
        )
        seen = mesh.faces[camera]
        distance = ((positions[seen[:, 0]] - np.asarray(scene.camera.eye, np.float32)) ** 2).sum(1)
        seen = seen[np.argsort(distance, kind="stable")]
        kinds = np.ascontiguousarray(mesh.vertices["kind"][:, 0])
        shapes = _BY_SHAPE[kinds]
        return (
            self._batches(shapes, vertices, mesh.faces[sun | top]),
            _Triangles(self._batches(kinds, vertices, seen), self._batches(shapes, vertices, seen)),
        )

    def _batches(self, kinds: NDArray[np.uint8], vertices: Any, faces: NDArray[np.uint32]) -> Batches:
        of_faces = kinds[faces[:, 0]]
        return {
            Material(kind): (vertices, self._context.buffer(faces[of_faces == kind].tobytes()))
            for kind in np.flatnonzero(np.bincount(of_faces)).tolist()
        }

    def _uniforms(self, scene: Scene) -> dict[str, Any]:
        """The uniforms of all passes."""
        camera, light = scene.camera, scene.light
        clip_from_world = camera.clip_from_world(self._width / self._height)
        forward = np.array([np.sin(camera.yaw), 0.0, np.cos(camera.yaw)])
        center = np.asarray(camera.eye) * (1.0, 0.0, 1.0) + forward * _SHADOW_AHEAD_M
        up = np.array([0.0, 1.0, 0.0])
        return {
            **_light_uniforms(light),
            "u_eye": camera.eye,
            "u_clip_from_world": clip_from_world,
            "u_world_from_clip": np.linalg.inv(clip_from_world),
            "u_sun_from_world": orthographic(center, np.asarray(light.sun_direction), radius=_SHADOW_RADIUS_M),
            "u_top_from_world": orthographic(center, up, radius=_SHADOW_RADIUS_M),
            "u_map_m": 2 * _SHADOW_RADIUS_M,
            "u_flatness": scene.flatness,
            "u_noise": _NOISE_UNIT,
            "u_sun_map": _SUN_UNIT,
            "u_top_map": _TOP_UNIT,
            "u_mirror": _MIRROR_UNIT,
            "u_size": (float(self._width), float(self._height)),
        }

    def _draw(
        self, batches: Batches, name: str, uniforms: dict[str, Any], weather: frozenset[str] = frozenset()
    ) -> None:
        """Draw all triangles with the programs of one pass."""
        for material, (vertices, indices) in batches.items():
            program = self._programs.get(name, material, weather)
            set_uniforms(program, uniforms)
            content = [vertex_content(program, vertices)]
            array = self._context.vertex_array(program, content, index_buffer=indices, index_element_size=4)
            array.render()
            array.release()

    def _draw_shadows(self, casters: Batches, uniforms: dict[str, Any], *, sun: bool) -> None:
        """What lies open to the sun and to the sky above."""
        for texture in self._shadow_maps:
            texture.use(_SUN_UNIT)  # anything but the map that is being drawn to
        for view, target in zip(("u_sun_from_world", "u_top_from_world"), self._shadows, strict=True):
            if view == "u_sun_from_world" and not sun:
                continue
            target.use()
            target.clear(depth=1.0)
            self._draw(casters, "shadow", {**uniforms, "u_clip_from_world": uniforms[view]})
        for unit, texture in zip((_SUN_UNIT, _TOP_UNIT), self._shadow_maps, strict=True):
            texture.use(unit)

    def _draw_mirror(self, seen: _Triangles, uniforms: dict[str, Any], weather: frozenset[str]) -> None:
        """The street as wet ground mirrors it: seen by the same camera, with heights turned over."""
        clip_from_world = uniforms["u_clip_from_world"] @ np.diag([1.0, -1.0, 1.0, 1.0])
        x, y, z = uniforms["u_eye"]
        turned = {
            **uniforms,
            "u_clip_from_world": clip_from_world,
            "u_world_from_clip": np.linalg.inv(clip_from_world),
            "u_eye": (x, -y, z),
        }
        standing = {material: batch for material, batch in seen.painted.items() if material not in _LEVEL}
        self._paint(self._mirror, _Triangles(standing, standing), turned, weather)
        self._mirror_map.use(_MIRROR_UNIT)

    def _draw_image(self, seen: _Triangles, uniforms: dict[str, Any], weather: frozenset[str]) -> None:
        self._paint(self._image, seen, uniforms, weather)
        self._context.copy_framebuffer(self._resolved, self._image)

    def _paint(self, target: Any, seen: _Triangles, uniforms: dict[str, Any], weather: frozenset[str]) -> None:
        target.use()
        target.clear(depth=1.0)
        # Depth alone first: the dear shaders then run only where something is seen.
        self._draw(seen.shaped, "depth", uniforms)
        target.depth_mask = False
        self._context.depth_func = "=="  # what lies in front of a hole's background was cut, not hidden
        self._draw(seen.painted, "image", uniforms, weather)
        self._context.depth_func = "<"
        set_uniforms(self._programs.sky, uniforms)
        self._sky.render()
        target.depth_mask = True

    def _draw_labels(self, batches: Batches, uniforms: dict[str, Any]) -> None:
        classes, instances = self._labels.color_attachments
        pixels = self._height * self._width
        self._labels.use()
        self._labels.clear(depth=1.0)
        classes.write(np.full(pixels, TRAIN_ID["sky"], np.uint8).tobytes(), alignment=1)
        instances.write(np.zeros(pixels, np.uint16).tobytes(), alignment=1)
        self._draw(batches, "label", uniforms)

    def _read(self) -> Frame:
        shape = (self._height, self._width)
        radiance = np.frombuffer(self._resolved.read(components=3, dtype="f2", alignment=1), np.float16)
        classes = np.frombuffer(self._labels.read(components=1, attachment=0, dtype="u1", alignment=1), np.uint8)
        instances = np.frombuffer(self._labels.read(components=1, attachment=1, dtype="u2", alignment=1), np.uint16)
        return Frame(  # OpenGL's first row is the lowest
            radiance.reshape(*shape, 3)[::-1].astype(np.float32),
            classes.reshape(shape)[::-1].copy(),
            instances.reshape(shape)[::-1].copy(),
        )


def _seen(positions: Floats, faces: NDArray[np.uint32], clip_from_world: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[M] False for triangles that lie wholly beyond one side of a view."""
    matrix = clip_from_world.astype(np.float32)
    x, y, z, w = matrix[:, :3] @ positions.T + matrix[:, 3:]
    beyond = np.zeros(len(positions), np.uint8)  # one bit a side
    for bit, outside in enumerate((x > w, x < -w, y > w, y < -w, z < -w)):
        beyond |= outside.view(np.uint8) << np.uint8(bit)
    a, b, c = faces.T
    return np.asarray((beyond[a] & beyond[b] & beyond[c]) == 0)


def _light_uniforms(light: Light) -> dict[str, Any]:
    return {
        "u_sun_direction": light.sun_direction,
        "u_sun_color": light.sun_color,
        "u_sun_softness": light.sun_softness,
        "u_zenith": light.zenith,
        "u_horizon": light.horizon,
        "u_clouds": light.clouds,
        "u_cloud_color": light.cloud_color,
        "u_ambient_sky": light.ambient_sky,
        "u_ambient_ground": light.ambient_ground,
        "u_fog_color": light.fog_color,
        "u_fog_density": light.fog_density,
        "u_fog_falloff": light.fog_falloff,
        "u_haze": light.haze,
        "u_night": light.night,
        "u_wetness": light.wetness,
    }
