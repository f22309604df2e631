"""The light and the air of one scene."""

from dataclasses import dataclass

from isthmus.datasets.worlds.geometry.materials import Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Sun, sky and air of a scene; colours are linear light."""

    sun_direction: tuple[float, float, float]
    """Towards the sun."""
    sun_color: Rgb
    sun_softness: float
    """Blur of the sun's shadows, in shares of the shadow map."""
    zenith: Rgb
    horizon: Rgb
    clouds: tuple[float, float, float, float]
    """Cover 0..1, softness, and where in the noise they begin."""
    cloud_color: Rgb
    """What clouds shine with besides the light of sun and horizon."""
    ambient_sky: Rgb
    ambient_ground: Rgb
    fog_color: Rgb
    fog_density: float
    """Extinction at the ground, 1/m."""
    haze: float
    """How far the horizon melts into the fog's colour."""
    fog_falloff: float = 0.01
    """How fast the fog thins out upwards, 1/m."""
    night: float = 0.0
    """0 day to 1 night: how far lamps and windows are lit. The sun shines by day only."""
    wetness: float = 0.0
    """Of the ground: 0 dry to 1 under puddles."""
    rain: float = 0.0
    """What is falling: 0 nothing to 1 pouring. The ground stays wet when it is over."""
    headlights: float = 0.0
    """Strength of the camera car's own headlights."""
    exposure: float = 1.0
    """What the camera makes of this light on purpose: nights stay dark."""
    metered_on_sky: float = 0.0
    """0: exposed for the street, 1: exposed for the sky, which leaves the street in the dark."""
