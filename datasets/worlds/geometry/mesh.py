"""Triangles: a few shapes that everything is made of, and the builder that collects them for the renderer.

Coordinates are metres, x to the right, y up, z forward along the street. Legend: `N` vertices, `M` triangles,
`R C` rows and columns of a grid.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.geometry.materials import Paint

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
        self._shapes: list[Geometry] = []
        self._paints: list[tuple[float, ...]] = []
        self._colors: list[tuple[float, ...]] = []
        self._ids: list[tuple[int, int, int]] = []
        self._places: list[tuple[float, float, float, float]] = []
        self._lights: list[PointLight] = []

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
        self._shapes.append(shape)
        self._paints.append(paint.params)
        self._colors.append((*paint.color, paint.gloss))
        self._ids.append((int(paint.material), thing.class_id, thing.instance))
        self._places.append((0.0, 0.0, 0.0, 0.0) if place is None else (*place.position, place.heading))

    def build(self) -> Mesh:
        """Everything added so far as one mesh; placed and painted here, all shapes at once."""
        counts = np.array([len(shape.positions) for shape in self._shapes])
        vertices = np.empty(int(counts.sum()), VERTEX)
        places = np.array(self._places, np.float32)
        # One row a vertex: where its shape stands, and the cosine and sine of how it is turned.
        x, y, z, c, s = np.repeat([*places[:, :3].T, np.cos(places[:, 3]), np.sin(places[:, 3])], counts, axis=1)
        for name, moved in (("position", (x, y, z)), ("normal", (0.0, 0.0, 0.0))):
            own = np.concatenate([getattr(shape, f"{name}s") for shape in self._shapes], dtype=np.float32).T
            vertices[name][:, 0] = own[0] * c + own[2] * s + moved[0]
            vertices[name][:, 1] = own[1] + moved[1]
            vertices[name][:, 2] = own[2] * c - own[0] * s + moved[2]
        vertices["uv"] = np.concatenate([shape.uvs for shape in self._shapes], dtype=np.float32)
        vertices["params"] = np.repeat(np.array(self._paints, np.float32), counts, axis=0)
        colors = np.clip(np.array(self._colors) * 255.0, 0, 255).astype(np.uint8)
        vertices["color"] = np.repeat(colors, counts, axis=0)
        ids = np.array(self._ids)
        vertices["kind"] = np.repeat(ids[:, :2].astype(np.uint8), counts, axis=0)
        vertices["instance"] = np.repeat(ids[:, 2].astype(np.uint16), counts)
        starts = np.repeat((np.cumsum(counts) - counts).astype(np.uint32), [len(shape.faces) for shape in self._shapes])
        faces = np.concatenate([shape.faces for shape in self._shapes], dtype=np.uint32) + starts[:, None]
        return Mesh(vertices, faces, tuple(self._lights))


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
