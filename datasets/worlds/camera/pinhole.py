"""Pinhole camera and the light's parallel views, as matrices that act on column vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.worlds.camera.lens import PINHOLE, Lens

_NEAR_M = 0.3
_FAR_M = 700.0
_LIGHT_DEPTH_M = 150.0


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a frame is taken from.

    Args:
        eye: Position in metres.
        yaw: Radians to the right of +z.
        pitch: Radians upwards.
        roll: Radians clockwise.
        focal: Focal length in units of the geometric mean of the image's sides.
        lens: What bends the picture afterwards; the projection is wider by its margin.
    """

    eye: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal: float
    lens: Lens = PINHOLE

    def clip_from_world(self, aspect: float) -> NDArray[np.float64]:
        """The projection [4, 4] for an image whose width is `aspect` times its height."""
        forward = np.array(
            [np.sin(self.yaw) * np.cos(self.pitch), np.sin(self.pitch), np.cos(self.yaw) * np.cos(self.pitch)]
        )
        view = _view(np.asarray(self.eye), forward, self.roll)
        focal = self.focal / self.lens.margin(self.focal, aspect)
        fx = 2.0 * focal / np.sqrt(aspect)
        fy = 2.0 * focal * np.sqrt(aspect)
        a = -(_FAR_M + _NEAR_M) / (_FAR_M - _NEAR_M)
        b = -2.0 * _FAR_M * _NEAR_M / (_FAR_M - _NEAR_M)
        projection = np.array([[fx, 0, 0, 0], [0, fy, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])
        return projection @ view


def orthographic(
    center: NDArray[np.float64], towards_light: NDArray[np.float64], *, radius: float
) -> NDArray[np.float64]:
    """A parallel view [4, 4] along a light, `radius` metres around `center`."""
    view = _view(center + towards_light * (_LIGHT_DEPTH_M / 2), -towards_light, 0.0)
    projection = np.diag([1.0 / radius, 1.0 / radius, -2.0 / _LIGHT_DEPTH_M, 1.0])
    projection[2, 3] = -1.0
    return projection @ view


def _view(eye: NDArray[np.float64], forward: NDArray[np.float64], roll: float) -> NDArray[np.float64]:
    """World to eye coordinates: x right, y up, −z into the picture (the world is left-handed, z into it)."""
    forward = forward / np.linalg.norm(forward)
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.99 else np.array([0.0, 0.0, 1.0])
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    up = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    right, up = right * c + up * s, up * c - right * s
    rotation = np.stack([right, up, -forward])
    view = np.eye(4)
    view[:3, :3] = rotation
    view[:3, 3] = -rotation @ eye
    return view
