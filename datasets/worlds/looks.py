"""The worlds: two simulators with a look of their own, and the real street's stand-in, by day, by night and in rain."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from isthmus.datasets.label_space import SYNTHIA16
from isthmus.datasets.worlds.geometry.materials import Rgb
from isthmus.datasets.worlds.style import (
    CameraStyle,
    Fleet,
    LabelHabits,
    LightStyle,
    SensorStyle,
    StreetStyle,
    WorldStyle,
)
from isthmus.errors import ConfigurationError

_EVERYDAY_CARS: Final[tuple[Rgb, ...]] = (
    (0.06, 0.06, 0.07), (0.10, 0.11, 0.13), (0.22, 0.23, 0.25), (0.45, 0.46, 0.48), (0.66, 0.67, 0.68),
    (0.88, 0.88, 0.87), (0.07, 0.11, 0.24), (0.12, 0.22, 0.42), (0.45, 0.06, 0.06), (0.09, 0.19, 0.13),
    (0.33, 0.27, 0.20), (0.05, 0.05, 0.09),
)  # fmt: skip
_LOUD_CARS: Final[tuple[Rgb, ...]] = (
    (0.80, 0.08, 0.06), (0.95, 0.75, 0.10), (0.10, 0.28, 0.75), (0.92, 0.92, 0.92), (0.05, 0.05, 0.06),
    (0.12, 0.50, 0.25), (0.95, 0.45, 0.08), (0.55, 0.57, 0.60), (0.20, 0.65, 0.75), (0.30, 0.08, 0.35),
)  # fmt: skip

ARCADE: Final = WorldStyle(
    name="arcade",
    key=101,
    layout="gta5",
    train_ids=frozenset(range(19)),
    flatness=0.15,
    street=StreetStyle(
        street_kinds={"street": 0.26, "tee": 0.10, "crossroads": 0.13, "boulevard": 0.12, "residential": 0.10,
                      "highway": 0.12, "tunnel": 0.04, "bridge": 0.05, "square": 0.08},
        lane_width_m=(3.3, 3.9),
        lanes=(1, 2, 2, 3),
        sidewalk_m=(2.6, 6.0),
        verge_probability=0.35,
        parking_probability=0.45,
        curvature=(-0.004, 0.004),
        junction_probability=0.65,
        tram_probability=0.28,
        left_hand_probability=0.0,
        asphalt_sidewalk_probability=0.4,
        cobbles_probability=0.01,
        concrete_probability=0.10,
        asphalt=((0.36, 0.36, 0.38), (0.44, 0.43, 0.42), (0.28, 0.28, 0.30)),
        paving=((0.66, 0.63, 0.58), (0.72, 0.70, 0.67), (0.55, 0.53, 0.50), (0.45, 0.44, 0.43)),
        markings=((0.92, 0.92, 0.90), (0.90, 0.72, 0.18)),
        marking_wear=(0.05, 0.4),
        lot_weights={"terrace": 0.28, "block": 0.34, "detached": 0.14, "garden": 0.10, "wall": 0.05, "lot": 0.05},
        floors=(1, 8),
        wall_kinds=(0, 0, 1, 2, 3, 4),
        walls=((0.78, 0.62, 0.42), (0.80, 0.74, 0.62), (0.62, 0.30, 0.22), (0.55, 0.58, 0.62), (0.86, 0.84, 0.80),
               (0.70, 0.48, 0.36), (0.42, 0.50, 0.55), (0.88, 0.72, 0.60)),
        roofs=((0.45, 0.22, 0.16), (0.30, 0.30, 0.32), (0.40, 0.35, 0.30)),
        pitched_roof_probability=0.25,
        shop_probability=0.55,
        balcony_probability=0.25,
        tree_spacing_m=(9.0, 22.0),
        tree_probability=0.5,
        bare_tree_probability=0.30,
        leaves=((0.20, 0.42, 0.10), (0.30, 0.50, 0.12), (0.14, 0.34, 0.14), (0.55, 0.45, 0.12)),
        wires_probability=0.25,
        lamp_spacing_m=(24.0, 40.0),
        people_per_100m=(3.0, 14.0),
        cars_ahead=(2, 8),
        parked_share=0.6,
        cars=_LOUD_CARS + _EVERYDAY_CARS,
        fleet=Fleet(
            buses=(0.55, 0.15, 0.0, 0.30),
            articulated_probability=0.0,
            old_tram_probability=1.0,
            loads=("box", "box", "box", "tipper", "tanker", "refuse", "flatbed"),
            curtain_probability=0.0,
            bus_liveries=((0.85, 0.65, 0.12), (0.86, 0.86, 0.86), (0.45, 0.47, 0.50), (0.75, 0.38, 0.08)),
            tram_liveries=((0.60, 0.10, 0.10), (0.75, 0.70, 0.30), (0.15, 0.42, 0.25)),
        ),
    ),
    light=LightStyle(
        moods={"sun": 0.68, "overcast": 0.18, "dusk": 0.09, "rain": 0.05},
        sun_height_deg=(18.0, 65.0),
        sun_strength=(2.2, 3.4),
        sky_strength=(0.75, 1.0),
        zenith=((0.10, 0.28, 0.70), (0.16, 0.34, 0.72), (0.22, 0.30, 0.60)),
        horizon=((0.65, 0.78, 0.92), (0.90, 0.78, 0.62), (0.72, 0.80, 0.88)),
        cloud_cover=(0.05, 0.5),
        fog_density=(0.0005, 0.0022),
        shadow_softness=(0.0004, 0.0009),
    ),
    camera=CameraStyle(
        height_m=(1.15, 1.7), pitch_deg=(-2.5, 3.0), yaw_deg=(-6.0, 6.0), roll_deg=(-0.6, 0.6),
        focal=(0.78, 1.1), lateral_m=(-0.6, 0.6), off_road_probability=0.06, bonnet_probability=0.12,
    ),
    sensor=SensorStyle(
        exposure=(0.6, 1.4), contrast=(0.92, 1.12), saturation=(1.0, 1.3), warmth=(-0.04, 0.10),
        noise=(0.0, 0.012), blur_px=(0.0, 0.35), vignette=(0.0, 0.15), bloom=(0.03, 0.10), jpeg_quality=None,
        sharpening=(0.0, 0.5),
    ),
)  # fmt: skip

STUDIO: Final = WorldStyle(
    name="studio",
    key=202,
    layout="synthia",
    train_ids=SYNTHIA16,
    flatness=0.6,
    street=StreetStyle(
        street_kinds={"street": 0.32, "tee": 0.12, "crossroads": 0.15, "boulevard": 0.11, "residential": 0.13,
                      "tunnel": 0.02, "bridge": 0.04, "square": 0.11},
        lane_width_m=(2.8, 3.6),
        lanes=(1, 1, 2, 2),
        sidewalk_m=(1.8, 5.5),
        verge_probability=0.0,
        parking_probability=0.6,
        curvature=(-0.008, 0.008),
        junction_probability=0.7,
        tram_probability=0.0,
        left_hand_probability=0.0,
        asphalt_sidewalk_probability=0.45,
        cobbles_probability=0.05,
        concrete_probability=0.04,
        asphalt=((0.30, 0.30, 0.32), (0.40, 0.40, 0.40), (0.22, 0.22, 0.23), (0.42, 0.38, 0.35)),
        paving=((0.60, 0.56, 0.52), (0.50, 0.47, 0.47), (0.66, 0.50, 0.42), (0.40, 0.40, 0.42)),
        markings=((0.95, 0.95, 0.95),),
        marking_wear=(0.0, 0.25),
        lot_weights={"terrace": 0.46, "block": 0.22, "detached": 0.08, "garden": 0.08, "wall": 0.08, "lot": 0.02},
        floors=(1, 5),
        wall_kinds=(0, 0, 0, 1, 4, 3),
        walls=((0.85, 0.78, 0.60), (0.75, 0.55, 0.45), (0.62, 0.66, 0.70), (0.90, 0.88, 0.84), (0.60, 0.28, 0.22),
               (0.55, 0.60, 0.50), (0.82, 0.66, 0.50)),
        roofs=((0.55, 0.25, 0.18), (0.35, 0.34, 0.36)),
        pitched_roof_probability=0.45,
        shop_probability=0.4,
        balcony_probability=0.4,
        tree_spacing_m=(7.0, 16.0),
        tree_probability=0.5,
        bare_tree_probability=0.4,
        leaves=((0.16, 0.36, 0.14), (0.24, 0.44, 0.16), (0.42, 0.40, 0.14), (0.12, 0.28, 0.16)),
        wires_probability=0.1,
        lamp_spacing_m=(18.0, 32.0),
        people_per_100m=(8.0, 26.0),
        cars_ahead=(1, 7),
        parked_share=0.55,
        cars=_EVERYDAY_CARS + _LOUD_CARS[:5],
        fleet=Fleet(buses=(0.40, 0.20, 0.40, 0.0), articulated_probability=0.0),
    ),
    light=LightStyle(
        moods={"sun": 0.40, "overcast": 0.43, "dusk": 0.10, "fog": 0.07},
        sun_height_deg=(25.0, 70.0),
        sun_strength=(1.4, 2.4),
        sky_strength=(0.85, 1.2),
        zenith=((0.22, 0.38, 0.66), (0.40, 0.48, 0.60), (0.55, 0.58, 0.62)),
        horizon=((0.78, 0.84, 0.90), (0.82, 0.82, 0.82), (0.88, 0.84, 0.78)),
        cloud_cover=(0.0, 0.8),
        fog_density=(0.0004, 0.0035),
        shadow_softness=(0.0008, 0.0025),
    ),
    camera=CameraStyle(
        height_m=(1.2, 2.4), pitch_deg=(-4.0, 5.0), yaw_deg=(-12.0, 12.0), roll_deg=(-1.5, 1.5),
        focal=(0.8, 1.35), lateral_m=(-1.0, 1.0), off_road_probability=0.12,
    ),
    sensor=SensorStyle(
        exposure=(0.55, 1.3), contrast=(0.95, 1.1), saturation=(0.75, 1.05), warmth=(-0.06, 0.06),
        noise=(0.0, 0.012), blur_px=(0.0, 0.5), vignette=(0.0, 0.1), bloom=(0.0, 0.05), jpeg_quality=None,
    ),
)  # fmt: skip

STREET: Final = WorldStyle(
    name="street",
    key=303,
    layout="cityscapes",
    train_ids=frozenset(range(19)),
    flatness=0.0,
    street=StreetStyle(
        street_kinds={"street": 0.36, "tee": 0.10, "crossroads": 0.13, "boulevard": 0.08, "residential": 0.16,
                      "highway": 0.04, "tunnel": 0.02, "bridge": 0.03, "square": 0.08},
        lane_width_m=(2.7, 3.5),
        lanes=(1, 1, 1, 2),
        sidewalk_m=(1.7, 5.0),
        verge_probability=0.25,
        parking_probability=0.5,
        curvature=(-0.011, 0.011),
        junction_probability=0.6,
        tram_probability=0.30,
        left_hand_probability=0.3,
        asphalt_sidewalk_probability=0.55,
        cobbles_probability=0.16,
        concrete_probability=0.03,
        asphalt=((0.30, 0.30, 0.31), (0.36, 0.35, 0.34), (0.26, 0.26, 0.28), (0.40, 0.39, 0.37)),
        paving=((0.46, 0.44, 0.42), (0.40, 0.39, 0.38), (0.52, 0.48, 0.43), (0.48, 0.38, 0.34)),
        markings=((0.78, 0.78, 0.75), (0.75, 0.68, 0.35)),
        marking_wear=(0.2, 0.6),
        lot_weights={"terrace": 0.42, "block": 0.14, "detached": 0.16, "garden": 0.10, "wall": 0.07, "lot": 0.04},
        floors=(2, 4),
        wall_kinds=(0, 0, 1, 1, 1, 2, 4),
        walls=((0.56, 0.44, 0.34), (0.46, 0.27, 0.20), (0.70, 0.66, 0.58), (0.60, 0.53, 0.40), (0.38, 0.33, 0.29),
               (0.66, 0.58, 0.50), (0.50, 0.50, 0.50), (0.78, 0.75, 0.70)),
        roofs=((0.34, 0.20, 0.15), (0.24, 0.24, 0.26), (0.30, 0.25, 0.21)),
        pitched_roof_probability=0.75,
        shop_probability=0.4,
        balcony_probability=0.15,
        tree_spacing_m=(8.0, 20.0),
        tree_probability=0.5,
        bare_tree_probability=0.6,
        leaves=((0.13, 0.17, 0.08), (0.34, 0.28, 0.09), (0.40, 0.26, 0.08), (0.16, 0.19, 0.12)),
        wires_probability=0.14,
        lamp_spacing_m=(22.0, 38.0),
        people_per_100m=(4.0, 18.0),
        cars_ahead=(1, 6),
        parked_share=0.6,
        cars=_EVERYDAY_CARS,
        grass=((0.27, 0.24, 0.11), (0.42, 0.36, 0.20)),
        fleet=Fleet(
            buses=(0.55, 0.15, 0.0, 0.30),
            articulated_probability=0.5,
            old_tram_probability=0.0,
            loads=("tipper", "tanker", "refuse", "flatbed", "curtain", "curtain", "box"),
            curtain_probability=0.9,
            bus_liveries=((0.70, 0.10, 0.08), (0.12, 0.30, 0.55), (0.15, 0.42, 0.25), (0.45, 0.47, 0.50)),
            tram_liveries=((0.80, 0.78, 0.74), (0.12, 0.30, 0.45), (0.45, 0.47, 0.50)),
        ),
    ),
    light=LightStyle(
        moods={"sun": 0.28, "overcast": 0.40, "dusk": 0.14, "rain": 0.12, "fog": 0.06},
        sun_height_deg=(10.0, 45.0),
        sun_strength=(1.2, 3.0),
        sky_strength=(0.8, 1.2),
        zenith=((0.30, 0.42, 0.62), (0.50, 0.54, 0.60), (0.62, 0.64, 0.66), (0.36, 0.42, 0.52)),
        horizon=((0.80, 0.83, 0.86), (0.86, 0.84, 0.80), (0.92, 0.92, 0.92)),
        cloud_cover=(0.2, 1.0),
        fog_density=(0.0003, 0.0026),
        shadow_softness=(0.0006, 0.0030),
    ),
    camera=CameraStyle(
        height_m=(1.15, 1.5), pitch_deg=(-1.5, 3.0), yaw_deg=(-4.0, 4.0), roll_deg=(-0.8, 0.8),
        focal=(1.15, 1.55), lateral_m=(-0.4, 0.4), off_road_probability=0.03,
        radial=(-0.02, 0.10), tangential=0.004, bonnet_probability=0.5,
    ),
    sensor=SensorStyle(
        exposure=(0.35, 0.95), contrast=(0.6, 0.9), saturation=(0.45, 0.8), warmth=(-0.08, 0.10),
        noise=(0.005, 0.025), blur_px=(0.1, 0.9), vignette=(0.05, 0.35), bloom=(0.04, 0.20), jpeg_quality=(55, 92),
        motion=(0.0, 0.02), dirt=(-0.25, 0.22), fringe=(0.0, 0.0025), sharpening=(0.0, 1.2),
        tint=(0.84, 1.0, 0.83), veil=(0.04, 0.11),
    ),
    labels=LabelHabits(closing=0.0125, smallest=0.0003),
)  # fmt: skip

STREET_NIGHT: Final = replace(
    STREET, name="street-night", key=404, light=replace(STREET.light, moods={"night": 1.0}, wet_night_probability=0.35)
)
"""The real street's stand-in after dark: no method sees it before it is tested on it."""

STREET_RAIN: Final = replace(STREET, name="street-rain", key=505, light=replace(STREET.light, moods={"rain": 1.0}))
"""The real street's stand-in in the rain: no method sees it before it is tested on it."""

WORLDS: Final[Mapping[str, WorldStyle]] = {
    world.name: world for world in (ARCADE, STUDIO, STREET, STREET_NIGHT, STREET_RAIN)
}
"""The built-in simulators by name."""


def world_style(name: str) -> WorldStyle:
    """A world by its name.

    Raises:
        ConfigurationError: No such world.
    """
    if name not in WORLDS:
        raise ConfigurationError(f"no world {name!r}", remedy=f"Choose from {', '.join(WORLDS)}.")
    return WORLDS[name]
