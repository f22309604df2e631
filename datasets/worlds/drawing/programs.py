"""Shader programs, one for each pass and material, compiled when first needed."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import numpy as np

from isthmus.datasets.worlds.geometry.materials import SEE_THROUGH, Material
from isthmus.datasets.worlds.geometry.mesh import VERTEX

_VERSION: Final = "#version 330\n"
_ATTRIBUTES: Final = ("in_position", "in_normal", "in_uv", "in_params", "in_color", "in_kind", "in_instance")
_FORMATS: Final = ("3f", "3f", "2f", "4f", "4f1", "2u1", "1u2")
_DEFINED: Final = {"label": "LABELS", "shadow": "SHADOW"}
"""What the shared sources can ask about the pass."""
_NUMBERS: Final = tuple(f"{material.name} {int(material)}u" for material in Material)
"""The materials' numbers, as the sources name them."""
_PAINTING: Final = ("noise", "sky", "materials", "ground", "facade", "signs", "surface", "lamps", "wet")
"""Sources of the image pass, in order."""
_PADDING: Final = tuple(f"{VERTEX[name].itemsize}x" for name in VERTEX.names or ())


class Programs:
    """All programs of one context.

    Passes: `shadow` (depth from a light), `depth` (the image's depth), `image`, `label`. The material is a
    constant in each program, because software rasterisers run all branches of a shader, not only the taken one.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._programs: dict[tuple[str, Material | None, frozenset[str]], Any] = {}
        self.sky = context.program(
            vertex_shader=_VERSION + _source("sky_vertex"),
            fragment_shader=_VERSION + _source("noise", "sky", "sky_fragment"),
        )

    def get(self, name: str, material: Material, weather: frozenset[str] = frozenset()) -> Any:
        """The program of a pass for a material.

        Args:
            name: The pass. The image pass has no holes to cut: the depth pass before it has already done so.
            material: What is drawn.
            weather: `NIGHT` and `WET` where the image pass needs them; plain days do not pay for them.
        """
        image = name == "image"
        holes = material in SEE_THROUGH and not image
        key = (name, material if holes or image else None, weather if image else frozenset[str]())
        if key not in self._programs:
            defined = [*_NUMBERS, f"MATERIAL {int(material)}u", *sorted(key[2])]
            defined += ["HOLES"] if holes else []
            defined += [_DEFINED[name]] if name in _DEFINED else []
            head = _VERSION + "".join(f"#define {define}\n" for define in defined)
            parts = [*_PAINTING] if image else ["noise", "holes"] if holes else []
            self._programs[key] = self._context.program(
                vertex_shader=head + _source("vertex"), fragment_shader=head + _source(*parts, f"{name}_fragment")
            )
        return self._programs[key]


def set_uniforms(program: Any, uniforms: Mapping[str, Any]) -> None:
    """Set the uniforms that the program has; the compiler drops unused ones."""
    for name, value in uniforms.items():
        if name in program:
            if isinstance(value, np.ndarray):  # a matrix (OpenGL stores columns first) or an array of vectors
                program[name].write(np.ascontiguousarray(value.T if value.shape == (4, 4) else value, "f4").tobytes())
            else:
                program[name].value = value


def vertex_content(program: Any, buffer: Any) -> tuple[Any, ...]:
    """The vertex buffer's description for a program: attributes that it does not read become padding."""
    used = [name in program for name in _ATTRIBUTES]
    parts = [code if use else pad for code, pad, use in zip(_FORMATS, _PADDING, used, strict=True)]
    return (buffer, " ".join(parts), *[name for name, use in zip(_ATTRIBUTES, used, strict=True) if use])


def _source(*names: str) -> str:
    folder = files("isthmus.datasets.worlds.drawing") / "shaders"
    return "\n".join((folder / f"{name}.glsl").read_text(encoding="utf-8") for name in names)
