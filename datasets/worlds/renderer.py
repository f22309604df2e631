"""From a scene to pixels with OpenGL on EGL: an image pass with multisampling, and a label pass without.

Works with any OpenGL 3.3 driver; Mesa's software rasteriser is enough. All passes draw the same triangles, and
the surfaces with holes share one test, so image and labels agree to the pixel (bare crowns and railings are
solid in the labels on purpose, the way people annotate them).
"""

import importlib.util
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.camera import orthographic
from isthmus.datasets.worlds.materials import Material
from isthmus.datasets.worlds.mesh import Floats, Mesh
from isthmus.datasets.worlds.noise import noise_texture
from isthmus.datasets.worlds.programs import Programs, set_uniforms, vertex_content
from isthmus.datasets.worlds.scene import Light, Scene
from isthmus.errors import ConfigurationError, EnvironmentMissingError

_SHADOW_SIZE: Final = 1024
_SHADOW_RADIUS_M: Final = 62.0
_SHADOW_AHEAD_M: Final = 42.0
_NOISE_UNIT, _SUN_UNIT, _TOP_UNIT = 0, 1, 2

Batches = dict[Material, tuple[Any, Any]]
"""Vertex and index buffer of each material's triangles."""


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
        self._context = context = _context_for(size_hw)
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
        self._noise.filter = (context.LINEAR_MIPMAP_LINEAR, context.LINEAR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.release()

    @property
    def driver(self) -> str:
        """The driver's own name, for manifests: pixels are equal only on the same one."""
        return str(self._context.info["GL_RENDERER"])

    def render(self, scene: Scene) -> Frame:
        """Draw one scene."""
        with self._context:  # makes it the current one: several renderers may live side by side
            return self._render(scene)

    def _render(self, scene: Scene) -> Frame:
        uniforms = self._uniforms(scene)
        casters, batches = self._upload(scene, uniforms)
        self._noise.use(_NOISE_UNIT)
        self._context.enable(self._context.DEPTH_TEST)
        for texture in self._shadow_maps:
            texture.use(_SUN_UNIT)  # anything but the map that is being drawn to
        for view, target in zip(("u_sun_from_world", "u_top_from_world"), self._shadows, strict=True):
            target.use()
            target.clear(depth=1.0)
            self._draw(casters, "shadow", {**uniforms, "u_clip_from_world": uniforms[view]})
        self._draw_image(batches, uniforms)
        self._draw_labels(batches, uniforms)
        for vertices, indices in (*casters.values(), *batches.values()):
            indices.release()
            vertices.release()  # one buffer for all; releasing it again does nothing
        return self._read()

    def _upload(self, scene: Scene, uniforms: dict[str, Any]) -> tuple[Batches, Batches]:
        """The triangles that light's views and that the camera can see, the camera's near ones first."""
        mesh = scene.mesh
        positions = mesh.vertices["position"]
        distance = ((positions[mesh.faces[:, 0]] - np.asarray(scene.camera.eye, np.float32)) ** 2).sum(1)
        faces = mesh.faces[np.argsort(distance, kind="stable")]
        vertices = self._context.buffer(mesh.vertices.tobytes())
        lit = _seen(positions, faces, uniforms["u_sun_from_world"]) | _seen(
            positions, faces, uniforms["u_top_from_world"]
        )
        seen = _seen(positions, faces, uniforms["u_clip_from_world"])
        return self._batches(mesh, vertices, faces[lit]), self._batches(mesh, vertices, faces[seen])

    def _batches(self, mesh: Mesh, vertices: Any, faces: NDArray[np.uint32]) -> Batches:
        kinds = mesh.vertices["kind"][faces[:, 0], 0]
        return {
            Material(kind): (vertices, self._context.buffer(faces[kinds == kind].tobytes()))
            for kind in np.unique(kinds).tolist()
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
            "u_flatness": scene.flatness,
            "u_noise": _NOISE_UNIT,
            "u_sun_map": _SUN_UNIT,
            "u_top_map": _TOP_UNIT,
        }

    def _draw(self, batches: Batches, name: str, uniforms: dict[str, Any]) -> None:
        """Draw all triangles with the programs of one pass."""
        for material, (vertices, indices) in batches.items():
            program = self._programs.get(name, material)
            set_uniforms(program, uniforms)
            content = [vertex_content(program, vertices)]
            array = self._context.vertex_array(program, content, index_buffer=indices, index_element_size=4)
            array.render()
            array.release()

    def _draw_image(self, batches: Batches, uniforms: dict[str, Any]) -> None:
        for unit, texture in zip((_SUN_UNIT, _TOP_UNIT), self._shadow_maps, strict=True):
            texture.use(unit)
        self._image.use()
        self._image.clear(depth=1.0)
        # Depth alone first: the dear shaders then run only where something is seen.
        self._draw(batches, "depth", uniforms)
        self._image.depth_mask = False
        self._context.depth_func = "=="  # what lies in front of a hole's background was cut, not hidden
        self._draw(batches, "image", uniforms)
        self._context.depth_func = "<"
        set_uniforms(self._programs.sky, uniforms)
        self._sky.render()
        self._image.depth_mask = True
        self._context.copy_framebuffer(self._resolved, self._image)

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


def create_context() -> Any:
    """A windowless OpenGL context.

    Raises:
        EnvironmentMissingError: moderngl or an EGL driver is missing.
    """
    try:
        import moderngl
    except ImportError as error:
        raise EnvironmentMissingError(
            "the package moderngl is missing, so no world can be rendered", remedy='Run `pip install "isthmus[train]"`.'
        ) from error
    _load_triton_first()
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[arg-type]  # as its manual says
    except Exception as error:  # the binding raises bare Exceptions of several kinds
        raise EnvironmentMissingError(
            f"no OpenGL context through EGL ({error})",
            remedy="Run `sudo apt-get install -y libegl1 libgl1-mesa-dri` (a GPU's own EGL driver serves too).",
        ) from error


def _context_for(size_hw: tuple[int, int]) -> Any:
    """A context that can draw frames of this size."""
    context = create_context()
    largest = min(context.info["GL_MAX_RENDERBUFFER_SIZE"], *context.info["GL_MAX_VIEWPORT_DIMS"])
    if max(size_hw) > largest:
        context.release()
        raise ConfigurationError(
            f"size {size_hw[0]}x{size_hw[1]} is more than this OpenGL driver can draw",
            remedy=f"Use sides of at most {largest}.",
        )
    return context


def _load_triton_first() -> None:
    """Let torch's compiler into the process before Mesa.

    Both bring an LLVM of their own. Loaded after Mesa's software rasteriser, triton's crashes the process (seen with
    Mesa 22.3 and triton 3.9), and torch loads it at times that nobody expects; in this order both work.
    """
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton._C.libtriton")


def _seen(positions: Floats, faces: NDArray[np.uint32], clip_from_world: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[M] False for triangles that lie wholly beyond one side of a view."""
    matrix = clip_from_world.astype(np.float32)
    clip = positions @ matrix[:, :3].T + matrix[:, 3]
    w = clip[:, 3:]
    beyond = np.concatenate([clip[:, :2] > w, clip[:, :2] < -w, clip[:, 2:3] < -w], axis=1)
    return np.asarray(~np.any(beyond[faces[:, 0]] & beyond[faces[:, 1]] & beyond[faces[:, 2]], axis=1))


def _light_uniforms(light: Light) -> dict[str, Any]:
    return {
        "u_sun_direction": light.sun_direction,
        "u_sun_color": light.sun_color,
        "u_sun_softness": light.sun_softness,
        "u_zenith": light.zenith,
        "u_horizon": light.horizon,
        "u_clouds": light.clouds,
        "u_ambient_sky": light.ambient_sky,
        "u_ambient_ground": light.ambient_ground,
        "u_fog_color": light.fog_color,
        "u_fog_density": light.fog_density,
        "u_haze": light.haze,
        "u_night": light.night,
        "u_wetness": light.wetness,
    }
