"""Procedural street simulators: worlds with a visible gap, drawn with OpenGL, written in real layouts.

    style ─┐
    seed ──┴─> scene (plan → meshes, materials, ids) ─> renderer ─> lens ─> sensor ─> a layout's writer

`render_world` makes a set, `render_gallery` a contact sheet, `class_statistics` the shares of the classes. Below them:

    looks, style, scene      what makes a world, and one scene of it
    geometry/                triangles, surfaces, shapes
    streets/ roadside/ houses/ plants/ traffic/   what a scene holds
    air/ camera/ drawing/    light and weather; glass and sensor; OpenGL
"""

from isthmus.datasets.worlds.drawing.renderer import Renderer
from isthmus.datasets.worlds.gallery import render_gallery
from isthmus.datasets.worlds.looks import WORLDS, world_style
from isthmus.datasets.worlds.manifest import Manifest, read_manifest
from isthmus.datasets.worlds.render import LabelledFrame, render_frame, render_world
from isthmus.datasets.worlds.statistics import ClassStatistics, class_statistics
from isthmus.datasets.worlds.style import WorldStyle

__all__ = [
    "WORLDS",
    "ClassStatistics",
    "LabelledFrame",
    "Manifest",
    "Renderer",
    "WorldStyle",
    "class_statistics",
    "read_manifest",
    "render_frame",
    "render_gallery",
    "render_world",
    "world_style",
]
