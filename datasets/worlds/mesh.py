"""Triangles: a few shapes that everything is made of, and the builder that collects them for the renderer.

Coordinates are metres, x to the right, y up, z forward along the street. Legend: `N` vertices, `M` triangles,
`R C` rows and columns of a grid.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.materials import Paint

Floats = NDArray[np.floating]

Point = tuple[float, float, float]
"""x, y, z in metres."""

VERTEX: Final = np.dtype(
    [
        ("position", "f4", 3),
        ("normal", "f4", 3),
        ("uv", "f4", 2),
        ("params", "f4", 4),
        ("color", "u1", 4),  # red, green, blue, gloss
        ("kind", "u1", 2),  # material, class
        ("instance", "u2"),
    ]
)
"""One vertex as the shaders read it; 56 bytes."""


class Geometry(NamedTuple):
    """A shape in its own coordinates."""

    positions: Floats
    """[N, 3] metres."""
    normals: Floats
    """[N, 3], unit length; the shaders turn them towards the viewer."""
    uvs: Floats
    """[N, 2] metres along the surface."""
    faces: NDArray[np.uint32]
    """[M, 3] vertex numbers."""


class Placement(NamedTuple):
    """A turn about the vertical axis, then a move."""

    position: tuple[float, float, float]
    heading: float = 0.0
    """Radians; 0 looks along +z, positive turns to +x."""

    def point(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """A point of the placed thing's own coordinates in the world's."""
        c, s = float(np.cos(self.heading)), float(np.sin(self.heading))
        px, py, pz = self.position
        return (px + x * c + z * s, py + y, pz - x * s + z * c)


class Thing(NamedTuple):
    """What the label and instance pass write for a shape."""

    class_id: int
    instance: int = 0
    """0 for stuff that is not counted."""


class PointLight(NamedTuple):
    """A lamp that shines on its surroundings after dark."""

    position: Point
    """Metres."""
    color: tuple[float, float, float]
    """Linear light."""
    direction: Point
    """Where its cone points, unit length; (0, 0, 0) shines every way."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A scene's triangles, ready for the renderer."""

    vertices: NDArray[np.void]
    """[N] of `VERTEX`."""
    faces: NDArray[np.uint32]
    """[M, 3] vertex numbers."""
    lights: tuple[PointLight, ...]
    """The lamps in it."""


class MeshBuilder:
    """Collects placed, painted and labelled shapes."""

    def __init__(self) -> None:
        self._vertices: list[NDArray[np.void]] = []
        self._faces: list[NDArray[np.uint32]] = []
        self._lights: list[PointLight] = []
        self._count = 0

    def add_light(self, position: Point, color: tuple[float, float, float], direction: Point = (0.0, 0.0, 0.0)) -> None:
        """Let a lamp shine from here after dark; the lamp's own body is a shape of `Material.LAMP`.

        Args:
            position: Metres.
            color: Linear light; about 1 lights a street as a lamp does.
            direction: Where its cone points, unit length; (0, 0, 0) shines every way.
        """
        self._lights.append(PointLight(position, color, direction))

    def add(self, shape: Geometry, paint: Paint, thing: Thing, place: Placement | None = None) -> None:
        """Add one shape."""
        vertices = np.empty(len(shape.positions), VERTEX)
        positions, normals = shape.positions, shape.normals
        if place is not None:
            c, s = np.cos(place.heading), np.sin(place.heading)
            turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
            positions = positions @ turn + np.asarray(place.position, np.float32)
            normals = normals @ turn
        vertices["position"] = positions
        vertices["normal"] = normals
        vertices["uv"] = shape.uvs
        vertices["params"] = paint.params
        vertices["color"] = np.clip(np.array([*paint.color, paint.gloss]) * 255.0, 0, 255).astype(np.uint8)
        vertices["kind"] = (int(paint.material), thing.class_id)
        vertices["instance"] = thing.instance
        self._vertices.append(vertices)
        self._faces.append(shape.faces + np.uint32(self._count))
        self._count += len(vertices)

    def build(self) -> Mesh:
        """Everything added so far as one mesh."""
        return Mesh(np.concatenate(self._vertices), np.concatenate(self._faces), tuple(self._lights))


def merged(*shapes: Geometry) -> Geometry:
    """Several shapes as one."""
    offsets = np.cumsum([0, *(len(shape.positions) for shape in shapes[:-1])])
    return Geometry(
        np.concatenate([shape.positions for shape in shapes]),
        np.concatenate([shape.normals for shape in shapes]),
        np.concatenate([shape.uvs for shape in shapes]),
        np.concatenate([shape.faces + np.uint32(o) for shape, o in zip(shapes, offsets, strict=True)]),
    )


@dataclass(frozen=True, slots=True)
class Assembly:
    """One thing that is made of several shapes: where it stands and what it counts as."""

    mesh: MeshBuilder
    place: Placement
    thing: Thing

    def add(self, paint: Paint, *shapes: Geometry) -> None:
        """Add shapes of one paint, in the thing's own coordinates."""
        self.mesh.add(merged(*shapes), paint, self.thing, self.place)
