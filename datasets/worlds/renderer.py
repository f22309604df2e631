"""From a scene to pixels with OpenGL on EGL: an image pass with multisampling, and a label pass without.

Works with any OpenGL 3.3 driver; Mesa's software rasteriser is enough. All passes draw the same triangles, and
the surfaces with holes share one `discard`, so image and labels agree to the pixel (bare crowns and railings are
solid in the labels on purpose).
"""

from importlib.resources import files
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import TRAIN_ID
from isthmus.datasets.worlds.camera import Camera, orthographic
from isthmus.datasets.worlds.materials import SEE_THROUGH
from isthmus.datasets.worlds.mesh import VERTEX, Mesh, material_of_faces
from isthmus.datasets.worlds.noise import noise_texture
from isthmus.datasets.worlds.scene import Light, Scene
from isthmus.errors import EnvironmentMissingError

_ATTRIBUTES: Final = ("in_position", "in_normal", "in_uv", "in_params", "in_color", "in_kind", "in_instance")
_FORMAT: Final = "3f 3f 2f 4f 4f1 2u1 1u2"
_SHADOW_SIZE: Final = 1024
_SUN_RADIUS_M: Final = 62.0
_TOP_RADIUS_M: Final = 62.0
_SHADOW_CENTRE_M: Final = 42.0


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
        samples: Coverage samples a pixel of the image pass.

    Raises:
        EnvironmentMissingError: moderngl or an EGL driver is missing.
    """

    def __init__(self, size_hw: tuple[int, int], *, samples: int = 4) -> None:
        self._context = create_context()
        self._height, self._width = size_hw
        size = (self._width, self._height)
        context = self._context
        self._programs = {
            (kind, holes): _program(context, kind, holes=holes)
            for kind in ("image", "label", "depth")
            for holes in (False, True)
        }
        self._sky = _sky_program(context)
        corners = np.array([[-1, -1], [3, -1], [-1, 3]], "f4")
        self._sky_array = context.vertex_array(self._sky, [(context.buffer(corners.tobytes()), "2f", "in_corner")])
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
        self._noise.anisotropy = 1.0

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
        batches = self._upload(scene.mesh, scene.camera)
        sun, top = _light_views(scene)
        self._noise.use(0)
        self._set("u_noise", 0)
        for matrix, target in zip((sun, top), self._shadows, strict=True):
            self._draw_depth(batches, matrix, target)
        self._set("u_eye", scene.camera.eye)
        self._draw_image(batches, scene, sun, top)
        self._draw_labels(batches, scene.camera)
        radiance = np.frombuffer(self._resolved.read(components=3, dtype="f2"), np.float16)
        classes = np.frombuffer(self._labels.read(components=1, attachment=0, dtype="u1"), np.uint8)
        instances = np.frombuffer(self._labels.read(components=1, attachment=1, dtype="u2"), np.uint16)
        for buffers in batches.values():
            for buffer in buffers:
                buffer.release()
        shape = (self._height, self._width)
        return Frame(  # OpenGL's first row is the lowest
            radiance.reshape(*shape, 3)[::-1].astype(np.float32),
            classes.reshape(shape)[::-1].copy(),
            instances.reshape(shape)[::-1].copy(),
        )

    def _upload(self, mesh: Mesh, camera: Camera) -> dict[bool, tuple[Any, Any]]:
        """Vertex and index buffers for the closed (False) and the see-through (True) triangles, near ones first."""
        centers = mesh.vertices["position"][mesh.faces[:, 0]]
        distance = ((centers - np.asarray(camera.eye, np.float32)) ** 2).sum(1)
        order = np.argsort(distance, kind="stable")
        faces = mesh.faces[order]
        holes = np.isin(material_of_faces(mesh)[order], [int(kind) for kind in SEE_THROUGH])
        vertices = self._context.buffer(mesh.vertices.tobytes())
        batches = {}
        for part in (False, True):
            chosen = faces[holes == part]
            if len(chosen):
                batches[part] = (vertices, self._context.buffer(chosen.astype("u4").tobytes()))
        return batches

    def _set(self, name: str, value: Any) -> None:
        """Set a uniform wherever it was not optimised away."""
        for program in (*self._programs.values(), self._sky):
            if name in program:
                if isinstance(value, np.ndarray):
                    program[name].write(np.ascontiguousarray(value.T, "f4").tobytes())
                else:
                    program[name].value = value

    def _draw(self, batches: dict[bool, tuple[Any, Any]], kind: str, clip_from_world: NDArray[np.float64]) -> None:
        self._set("u_clip_from_world", clip_from_world)
        for holes, (vertices, indices) in batches.items():
            program = self._programs[kind, holes]
            names = [name if name in program else None for name in _ATTRIBUTES]
            content = [(vertices, _format_without(names), *[name for name in names if name])]
            array = self._context.vertex_array(program, content, index_buffer=indices, index_element_size=4)
            array.render()
            array.release()

    def _draw_depth(self, batches: dict[bool, tuple[Any, Any]], matrix: NDArray[np.float64], target: Any) -> None:
        target.use()
        target.clear(depth=1.0)
        self._context.enable(self._context.DEPTH_TEST)
        self._draw(batches, "depth", matrix)

    def _draw_image(
        self,
        batches: dict[bool, tuple[Any, Any]],
        scene: Scene,
        sun: NDArray[np.float64],
        top: NDArray[np.float64],
    ) -> None:
        clip_from_world = scene.camera.clip_from_world(self._width / self._height)
        for unit, texture in enumerate(self._shadow_maps, start=1):
            texture.use(unit)
        for name, value in _light_uniforms(scene.light).items():
            self._set(name, value)
        self._set("u_sun_map", 1)
        self._set("u_top_map", 2)
        self._set("u_sun_from_world", sun)
        self._set("u_top_from_world", top)
        self._set("u_flatness", scene.flatness)
        self._set("u_world_from_clip", np.linalg.inv(clip_from_world))
        self._image.use()
        self._image.clear(depth=1.0)
        self._context.enable(self._context.DEPTH_TEST)
        self._draw(batches, "image", clip_from_world)
        self._sky_array.render()
        self._context.copy_framebuffer(self._resolved, self._image)

    def _draw_labels(self, batches: dict[bool, tuple[Any, Any]], camera: Camera) -> None:
        self._labels.use()
        self._labels.clear(depth=1.0)
        self._labels.color_attachments[0].write(
            np.full(self._height * self._width, TRAIN_ID["sky"], np.uint8).tobytes(), alignment=1
        )
        self._labels.color_attachments[1].write(np.zeros(self._height * self._width, np.uint16).tobytes(), alignment=1)
        self._context.enable(self._context.DEPTH_TEST)
        self._draw(batches, "label", camera.clip_from_world(self._width / self._height))


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
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception as error:  # noqa: BLE001 - the binding raises bare Exceptions of several kinds
        raise EnvironmentMissingError(
            f"no OpenGL context through EGL ({error})",
            remedy="Run `sudo apt-get install -y libegl1 libgl1-mesa-dri` (a GPU's own EGL driver serves too).",
        ) from error


def _source(*names: str) -> str:
    folder = files("isthmus.datasets.worlds") / "shaders"
    return "\n".join((folder / f"{name}.glsl").read_text(encoding="utf-8") for name in names)


def _program(context: Any, kind: str, *, holes: bool) -> Any:
    """The program of one pass; only the one for surfaces with holes can discard (early depth tests stay on)."""
    head = "#version 330\n" + ("#define HOLES\n" if holes else "") + ("#define LABELS\n" if kind == "label" else "")
    parts = ["noise", "holes"] if holes or kind == "image" else []
    if kind == "image":
        parts += ["sky", "surface"]
    return context.program(
        vertex_shader=head + _source("vertex"), fragment_shader=head + _source(*parts, f"{kind}_fragment")
    )


def _sky_program(context: Any) -> Any:
    return context.program(
        vertex_shader="#version 330\n" + _source("sky_vertex"),
        fragment_shader="#version 330\n" + _source("noise", "sky", "sky_fragment"),
    )


def _format_without(names: list[str | None]) -> str:
    """The vertex format with padding in place of attributes that a program does not read."""
    fields = zip(_FORMAT.split(), names, VERTEX.names or (), strict=True)
    return " ".join(code if name else f"{VERTEX[field].itemsize}x" for code, name, field in fields)


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
    }


def _light_views(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Clip matrices of the sun's shadow map and of the one from straight above, which tells how open a place is."""
    forward = np.array([np.sin(scene.camera.yaw), 0.0, np.cos(scene.camera.yaw)])
    center = np.asarray(scene.camera.eye) * (1.0, 0.0, 1.0) + forward * _SHADOW_CENTRE_M
    sun = orthographic(center, np.asarray(scene.light.sun_direction), radius=_SUN_RADIUS_M)
    top = orthographic(center, np.array([0.0, 1.0, 0.0]), radius=_TOP_RADIUS_M)
    return sun, top
