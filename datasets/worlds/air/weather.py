"""Moods: times of day and weathers, each a recipe from a world's style to a scene's light."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from isthmus.datasets.worlds.air.light import Light
from isthmus.datasets.worlds.geometry.materials import Rgb, mixed, scaled
from isthmus.datasets.worlds.style import LightStyle

_AHEAD_DEG: Final = 28.0
"""The sun shines into the lens when it stands this close to the street's direction."""
_GOLDEN_DEG: Final = 35.0
"""Below this height the sun turns yellow."""
_LAMP_GLOW: Final[Rgb] = (1.0, 0.62, 0.30)
"""What a lit city throws at its clouds."""


def draw_light(style: LightStyle, rng: np.random.Generator) -> Light:
    """Draw a mood by its weight in the style, then the light in it."""
    names = list(style.moods)
    weights = np.array([style.moods[name] for name in names])
    return MOODS[names[int(rng.choice(len(names), p=weights / weights.sum()))]](style, rng)


def sun(style: LightStyle, rng: np.random.Generator) -> Light:
    """A clear or broken sky: high sun, golden low sun, or sun straight ahead behind dark fronts."""
    kind = rng.random()
    into_lens = kind < style.back_light_probability
    golden = not into_lens and kind > 1.0 - style.golden_probability
    height = rng.uniform(7.0, 24.0) if into_lens else rng.uniform(6.0, 16.0) if golden else None
    light = _daylight(style, rng, height_deg=height, ahead=into_lens)
    if not into_lens:
        return _cleared(light) if rng.random() < style.clear_sky_probability else light
    return replace(light, metered_on_sky=float(rng.uniform(0.1, 0.6)), haze=float(rng.uniform(0.5, 1.0)))


def overcast(style: LightStyle, rng: np.random.Generator) -> Light:
    """A closed sky without shadows; now and then so bright that it burns out over a dark street."""
    light = _daylight(style, rng)
    zenith, horizon = light.zenith, light.horizon
    grey = sum(zenith) / 3 * 0.6 + sum(horizon) / 3 * 0.4
    white = rng.uniform(1.4, 2.2) if rng.random() < style.white_sky_probability else 1.0
    dome = scaled((grey * 0.97, grey, grey * 1.04), white)
    light = replace(
        light,
        sun_color=scaled(light.sun_color, 0.12),
        sun_softness=light.sun_softness * 3.0,
        zenith=dome,
        horizon=scaled(horizon, white),
        clouds=(float(rng.uniform(0.75, 1.0)), *light.clouds[1:]),
        fog_color=scaled(light.fog_color, white),
        metered_on_sky=float(rng.uniform(0.2, 0.7)) if white > 1.0 else 0.0,
    )
    return _lit_by_sky(light, 1.5 / white)


def dusk(style: LightStyle, rng: np.random.Generator) -> Light:
    """After sunset: a bright horizon, a street that is nearly dark, lamps that begin to glow."""
    light = _daylight(style, rng, height_deg=rng.uniform(3.0, 7.0), ahead=rng.random() < 0.5)
    late = float(rng.uniform(0.0, 1.0))
    strength = 0.75 - 0.5 * late
    horizon = scaled(
        mixed(light.horizon, ((1.0, 0.62, 0.34), (0.95, 0.70, 0.62), (0.80, 0.82, 0.86))[int(rng.integers(3))], 0.7),
        strength,
    )
    zenith = scaled(mixed(light.zenith, (0.10, 0.16, 0.34), 0.7), strength * 0.7)
    light = replace(
        light,
        sun_color=scaled((1.0, 0.55, 0.25), 0.5 * (1.0 - late)),
        zenith=zenith,
        horizon=horizon,
        cloud_color=scaled(mixed(zenith, horizon, 0.5), 0.5),
        fog_color=scaled(horizon, 0.6),
        night=0.35 + 0.45 * late,
        headlights=float(rng.uniform(0.0, 0.5)),
        exposure=float(rng.uniform(0.6, 1.0)),
        metered_on_sky=float(rng.uniform(0.2, 0.9)),
    )
    return _lit_by_sky(light, 1.0)


def night(style: LightStyle, rng: np.random.Generator) -> Light:
    """Lamps, windows and headlights under the glow of the city; the street may be wet from a rain that is over."""
    light = _daylight(style, rng)
    glow = float(rng.uniform(0.008, 0.05))
    horizon = scaled(mixed(_LAMP_GLOW, (0.5, 0.6, 0.9), float(rng.uniform(0.0, 0.6))), glow)
    zenith = scaled((0.16, 0.22, 0.42), glow * float(rng.uniform(0.3, 0.8)))
    wet = rng.random() < style.wet_night_probability
    light = replace(
        light,
        sun_color=(0.0, 0.0, 0.0),
        zenith=zenith,
        horizon=horizon,
        cloud_color=scaled(horizon, 0.4),
        fog_color=scaled(horizon, 0.9),
        fog_density=light.fog_density * float(rng.uniform(0.5, 2.0)),
        night=1.0,
        wetness=float(rng.uniform(0.3, 0.9)) if wet else 0.0,
        headlights=float(rng.uniform(0.6, 1.3)),
        exposure=float(rng.uniform(0.45, 0.95)),
    )
    return _lit_by_sky(light, 1.2)


def rain(style: LightStyle, rng: np.random.Generator) -> Light:
    """A dark grey sky, spray in the air, and a street that mirrors both."""
    light = overcast(style, rng)
    pouring = float(rng.uniform(0.35, 1.0))
    dark = float(rng.uniform(0.35, 0.8))
    grey = sum(light.horizon) / 3 * dark
    cold = (grey * 0.95, grey, grey * 1.05)
    light = replace(
        light,
        sun_color=scaled(light.sun_color, 0.3),
        zenith=scaled(cold, 0.8),
        horizon=cold,
        cloud_color=scaled(cold, 0.3),
        fog_color=scaled(cold, 0.95),
        fog_density=float(rng.uniform(0.0015, 0.007)),
        wetness=pouring,
        rain=pouring,
        metered_on_sky=float(rng.uniform(0.0, 0.4)),
        exposure=float(rng.uniform(0.65, 1.0)),
        headlights=float(rng.uniform(0.0, 0.3)),
    )
    return _lit_by_sky(light, 1.3)


def fog(style: LightStyle, rng: np.random.Generator) -> Light:
    """Fog that swallows the street's end; thinner above the roofs."""
    light = overcast(style, rng)
    return replace(
        light,
        sun_color=scaled(light.sun_color, 0.4),
        fog_color=scaled(mixed(light.horizon, light.zenith, 0.3), 0.95),
        fog_density=float(np.exp(rng.uniform(np.log(0.007), np.log(0.035)))),
        fog_falloff=float(rng.uniform(0.012, 0.04)),
        haze=1.0,
        metered_on_sky=0.0,
    )


MOODS: Final[Mapping[str, Callable[[LightStyle, np.random.Generator], Light]]] = {
    "sun": sun,
    "overcast": overcast,
    "dusk": dusk,
    "night": night,
    "rain": rain,
    "fog": fog,
}
"""All recipes by name; a `LightStyle` weighs them."""


def _daylight(
    style: LightStyle, rng: np.random.Generator, *, height_deg: float | None = None, ahead: bool = False
) -> Light:
    """The light of a plain day in a world: what the moods start from.

    Args:
        style: The world's own colours and strengths.
        rng: The frame's generator.
        height_deg: The sun's height over the horizon instead of the style's own.
        ahead: The sun stands over the street's end, in the picture.
    """
    height = np.radians(rng.uniform(*style.sun_height_deg) if height_deg is None else height_deg)
    around = np.radians(rng.uniform(-_AHEAD_DEG, _AHEAD_DEG)) if ahead else rng.uniform(0, 2 * np.pi)
    low = float(np.clip(1.0 - np.degrees(height) / _GOLDEN_DEG, 0.0, 1.0))
    strength = rng.uniform(*style.sun_strength)
    sky = rng.uniform(*style.sky_strength)
    zenith = _linear(style.zenith[int(rng.integers(len(style.zenith)))], sky)
    horizon = _linear(style.horizon[int(rng.integers(len(style.horizon)))], sky)
    light = Light(
        sun_direction=(
            float(np.cos(height) * np.sin(around)),
            float(np.sin(height)),
            float(np.cos(height) * np.cos(around)),
        ),
        sun_color=(strength, strength * (0.95 - 0.20 * low), strength * (0.88 - 0.42 * low)),
        sun_softness=float(rng.uniform(*style.shadow_softness)),
        zenith=zenith,
        horizon=horizon,
        clouds=(
            float(rng.uniform(*style.cloud_cover)),
            float(rng.uniform(0.08, 0.3)),
            float(rng.random()),
            float(rng.random()),
        ),
        cloud_color=(0.22, 0.22, 0.22),
        ambient_sky=zenith,
        ambient_ground=zenith,
        fog_color=mixed(horizon, _grey(horizon), 0.5),
        fog_density=float(rng.uniform(*style.fog_density)),
        haze=float(rng.uniform(0.2, 0.9)),
    )
    return _lit_by_sky(light, 1.0)


def _cleared(light: Light) -> Light:
    """The same day after the wind has swept the sky: blue down to the roofs, and sharp far away."""
    return replace(
        light,
        horizon=mixed(light.horizon, scaled(light.zenith, 1.6), 0.55),
        clouds=(light.clouds[0] * 0.4, *light.clouds[1:]),
        fog_density=light.fog_density * 0.35,
        haze=light.haze * 0.5,
    )


def _lit_by_sky(light: Light, strength: float) -> Light:
    """The same light with shadows that are as bright as its own sky makes them."""
    ambient = scaled(mixed(light.zenith, light.horizon, 0.45), 0.45 * strength)
    bounce = 0.10 * (light.sun_color[0] * light.sun_direction[1] + sum(ambient))
    return replace(light, ambient_sky=ambient, ambient_ground=(bounce, bounce * 0.95, bounce * 0.88))


def _linear(color: Rgb, strength: float) -> Rgb:
    r, g, b = (float(c**2.2 * strength) for c in color)
    return (r, g, b)


def _grey(color: Rgb) -> Rgb:
    mean = sum(color) / 3
    return (mean, mean, mean)
