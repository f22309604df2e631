"""What shines after dark, as uniforms: the nearest lamps of the scene and the camera car's headlights."""

from typing import Any, Final

import numpy as np

from isthmus.datasets.worlds.scene import Scene

_LAMPS: Final = 16
"""As many as `shaders/lamps.glsl` holds."""
_REACH_M: Final = 110.0
_LOOKED_AT_M: Final = 18.0
_BELOW_EYE_M: Final = 0.6
_FIRST_LIT: Final = 0.05


def is_dark(scene: Scene) -> bool:
    """Whether lamps matter in this scene."""
    return scene.light.night > _FIRST_LIT


def lamp_uniforms(scene: Scene) -> dict[str, Any]:
    """Uniforms of the lamps that light what the camera sees best."""
    camera, light = scene.camera, scene.light
    forward = np.array([np.sin(camera.yaw), 0.0, np.cos(camera.yaw)])
    looked_at = np.asarray(camera.eye) + forward * _LOOKED_AT_M
    positions = np.array([lamp.position for lamp in scene.mesh.lights], np.float64).reshape(-1, 3)
    distance = np.linalg.norm(positions - looked_at, axis=1)
    nearest = [i for i in np.argsort(distance, kind="stable")[:_LAMPS].tolist() if distance[i] < _REACH_M]
    table = np.zeros((3, _LAMPS, 3))
    for row, i in enumerate(nearest):
        lamp = scene.mesh.lights[i]
        table[:, row] = lamp.position, np.asarray(lamp.color) * light.night, lamp.direction
    return {
        "u_lamp_position": table[0],
        "u_lamp_color": table[1],
        "u_lamp_direction": table[2],
        "u_lamp_count": len(nearest),
        "u_headlight_position": (camera.eye[0], max(camera.eye[1] - _BELOW_EYE_M, 0.5), camera.eye[2]),
        "u_headlight_direction": tuple(forward),
        "u_headlight": light.headlights,
    }
