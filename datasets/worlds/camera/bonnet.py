"""The camera car's own bonnet at the picture's lower edge: seen, but ignored in the labels."""

from typing import Final

import numpy as np

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.geometry.materials import Material, Paint, Rgb
from isthmus.datasets.worlds.geometry.mesh import Geometry, MeshBuilder, Placement, Thing
from isthmus.datasets.worlds.geometry.shapes import grid

_ASPECT: Final = 2.0
"""The bonnet is placed for pictures of this shape; others see a little more or less of it."""
_NOSE_M: Final = 1.55
_SCREEN_M: Final = 0.36
_ROWS, _COLUMNS = 9, 17
_LABEL: Final = Thing(IGNORE_INDEX)
_BLACK: Final[Rgb] = (0.03, 0.03, 0.035)


def build_bonnet(mesh: MeshBuilder, camera: Camera, colors: tuple[Rgb, ...], rng: np.random.Generator) -> None:
    """Add a bonnet, or the dark edge of a dashboard, that covers the lowest part of the picture."""
    covered = float(rng.uniform(0.03, 0.16))
    half_height = 0.5 / (camera.focal * _ASPECT**0.5)
    down = float(np.arctan(half_height * (1.0 - 2.0 * covered))) - camera.pitch
    place = Placement(camera.eye, camera.yaw)
    if rng.random() < 0.25:
        mesh.add(
            _sheet(down, half_width=1.2, crown=0.0, nose=0.8, rise=0.0),
            Paint(Material.PLAIN, _BLACK, 0.25),
            _LABEL,
            place,
        )
        return
    paint = Paint(Material.CAR_PAINT, colors[int(rng.integers(len(colors)))], 0.85, (0.1, 2.0, 0.0, 0.0))
    shape = _sheet(
        down, half_width=float(rng.uniform(0.78, 0.95)), crown=float(rng.uniform(0.05, 0.12)), nose=_NOSE_M, rise=0.05
    )
    mesh.add(shape, paint, _LABEL, place)


def _sheet(down: float, *, half_width: float, crown: float, nose: float, rise: float) -> Geometry:
    """A sheet below the eye, from the windscreen to its nose, which is seen `down` radians under the horizon."""
    across, along = np.meshgrid(np.linspace(-1.0, 1.0, _COLUMNS), np.linspace(0.0, 1.0, _ROWS))
    rounded = nose - 0.30 * nose * across**4  # the corners lie further back
    z = _SCREEN_M + (rounded - _SCREEN_M) * along
    low = -nose * np.tan(down)
    y = low + rise * (1.0 - along) - crown * np.abs(across) ** 2.5
    return grid(np.stack([across * half_width, y, z], -1).astype(np.float32))
