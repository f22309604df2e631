"""What shines after dark, as uniforms: the nearest lamps of the scene and the camera car's headlights."""

from typing import Any, Final

import numpy as np

from isthmus.datasets.worlds.scene import Scene

_LAMPS: Final = 12
"""As many as `shaders/lamps.glsl` holds."""
_REACH_M: Final = 110.0
_LOOKED_AT_M: Final = 18.0
_BELOW_EYE_M: Final = 0.6
_IN_A_CONE: Final = -0.25
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
    places, colors, directions = np.zeros((_LAMPS, 4)), np.zeros((_LAMPS, 3)), np.zeros((_LAMPS, 3))
    for row, i in enumerate(nearest):
        lamp = scene.mesh.lights[i]
        places[row] = *lamp.position, _IN_A_CONE if any(lamp.direction) else 1.0
        colors[row], directions[row] = np.asarray(lamp.color) * light.night, lamp.direction
    return {
        "u_lamp_position": places,
        "u_lamp_color": colors,
        "u_lamp_direction": directions,
        "u_lamp_count": len(nearest),
        "u_headlight_position": (camera.eye[0], max(camera.eye[1] - _BELOW_EYE_M, 0.5), camera.eye[2]),
        "u_headlight_direction": tuple(forward),
        "u_headlight": light.headlights,
    }
