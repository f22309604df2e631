"""What makes one world differ from another, as parameters: streets, art, light, camera, sensor."""

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.datasets.worlds.geometry.materials import Rgb

Range = tuple[float, float]
"""Lower and upper end of a uniform draw."""


@dataclass(frozen=True, slots=True)
class LightStyle:
    """Sun, sky and air."""

    moods: Mapping[str, float]
    """Weight of each time of day and weather; see `weather.MOODS`."""
    sun_height_deg: Range
    sun_strength: Range
    sky_strength: Range
    zenith: tuple[Rgb, ...]
    horizon: tuple[Rgb, ...]
    cloud_cover: Range
    fog_density: Range
    """Per metre."""
    shadow_softness: Range
    """Blur of the sun's shadows, in shares of the shadow map."""
    back_light_probability: float = 0.15
    """How often a sunny street is seen against the sun."""
    golden_probability: float = 0.15
    """How often the sun is low and yellow."""
    clear_sky_probability: float = 0.4
    """How often a sunny sky is blue down to the roofs."""
    white_sky_probability: float = 0.2
    """How often an overcast sky burns out."""
    wet_night_probability: float = 0.3
    """How often it has rained on a night."""


@dataclass(frozen=True, slots=True)
class CameraStyle:
    """Where the camera sits and how it sees."""

    height_m: Range
    pitch_deg: Range
    yaw_deg: Range
    roll_deg: Range
    focal: Range
    """Focal length in units of the geometric mean of the image's sides: one look for every aspect ratio."""
    lateral_m: Range
    """Offset from the middle of the lane."""
    off_road_probability: float
    """How often the camera stands on the sidewalk or on the oncoming lane instead."""
    radial: Range = (0.0, 0.0)
    """First coefficient of the lens's distortion; positive is a barrel. See `lens.Lens`."""
    tangential: float = 0.0
    """Largest share of the decentring terms."""
    bonnet_probability: float = 0.0
    """How often the camera car's own bonnet is in the picture."""


@dataclass(frozen=True, slots=True)
class SensorStyle:
    """From light to bytes; see `sensor`."""

    exposure: Range
    contrast: Range
    saturation: Range
    warmth: Range
    """Red against blue: 0 neutral, 0.1 is 10 % more red and less blue."""
    noise: Range
    blur_px: Range
    """Standard deviation at 256 lines; scales with the image."""
    vignette: Range
    bloom: Range
    jpeg_quality: tuple[int, int] | None
    """None leaves the image uncompressed."""
    motion: Range = (0.0, 0.0)
    """Zoom during the exposure: 0.02 moves the border of the picture by 1 % of its width."""
    dirt: Range = (0.0, 0.0)
    """On the windscreen: 0 clean to 1 blind."""
    fringe: Range = (0.0, 0.0)
    """How much larger red is drawn than green, and blue smaller."""
    sharpening: Range = (0.0, 0.0)
    """Strength of the camera's unsharp mask."""
    tint: Rgb = (1.0, 1.0, 1.0)
    """What the colour filter lets through of red, green and blue, after the tone curve."""
    veil: Range = (0.0, 0.0)
    """Level that black is lifted to, as the tone mapping of cameras with a high dynamic range does."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Which large vehicles a city runs."""

    buses: tuple[float, ...] = (0.45, 0.15, 0.24, 0.16)
    """Weights of `hulls.BUSES`: city bus, midi, double-decker, coach."""
    articulated_probability: float = 0.15
    """Of a bus."""
    old_tram_probability: float = 0.3
    """Of a tram: one or two cars of an old build, instead of an articulated one."""
    loads: tuple[str, ...] = ("box", "box", "box", "tipper", "tanker", "refuse", "flatbed", "curtain")
    """What trucks below 11 m carry, drawn uniformly."""
    curtain_probability: float = 0.6
    """Of a trailer's curtain sides, instead of one of the loads."""
    bus_liveries: tuple[Rgb, ...] = (
        (0.70, 0.10, 0.08), (0.85, 0.84, 0.80), (0.12, 0.30, 0.55), (0.85, 0.65, 0.12), (0.15, 0.42, 0.25),
        (0.86, 0.86, 0.86), (0.45, 0.47, 0.50), (0.75, 0.38, 0.08),
    )  # fmt: skip
    tram_liveries: tuple[Rgb, ...] = (
        (0.75, 0.70, 0.30), (0.80, 0.78, 0.74), (0.60, 0.10, 0.10), (0.12, 0.30, 0.45),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StreetStyle:
    """Statistics of streets, buildings and of what stands and moves in them."""

    street_kinds: Mapping[str, float]
    """How often the main street is of each kind that `streets` draws: street, tee, crossroads, boulevard, residential,
    highway, tunnel, bridge, square."""
    lane_width_m: Range
    lanes: tuple[int, ...]
    """Lanes a direction, drawn uniformly."""
    sidewalk_m: Range
    verge_probability: float
    parking_probability: float
    curvature: Range
    """1/m."""
    junction_probability: float
    tram_probability: float
    left_hand_probability: float
    asphalt_sidewalk_probability: float
    cobbles_probability: float
    """Of a road of stones instead of asphalt."""
    concrete_probability: float
    """Of a road of concrete slabs."""
    asphalt: tuple[Rgb, ...]
    paving: tuple[Rgb, ...]
    markings: tuple[Rgb, ...]
    marking_wear: Range
    lot_weights: Mapping[str, float]
    """How often each kind of lot lines the street: terrace, block, detached, garden, wall, lot."""
    floors: tuple[int, int]
    wall_kinds: tuple[int, ...]
    walls: tuple[Rgb, ...]
    roofs: tuple[Rgb, ...]
    pitched_roof_probability: float
    shop_probability: float
    balcony_probability: float
    tree_spacing_m: Range
    tree_probability: float
    bare_tree_probability: float
    leaves: tuple[Rgb, ...]
    wires_probability: float
    """Of wooden poles with wires along one side."""
    lamp_spacing_m: Range
    people_per_100m: Range
    cars_ahead: tuple[int, int]
    parked_share: float
    """Occupied share of parking places."""
    cars: tuple[Rgb, ...]
    grass: tuple[Rgb, Rgb] = ((0.16, 0.28, 0.08), (0.30, 0.38, 0.14))
    """The two ends of what verges and meadows are coloured like."""
    fleet: Fleet = Fleet()


@dataclass(frozen=True, slots=True)
class LabelHabits:
    """How coarse labels are; the defaults are a simulator's exact ones. See `annotation`."""

    closing: float = 0.0
    """Gaps up to twice so wide, as a share of the image's height, belong to the plant, railing, person or two-wheeler
    that they are in."""
    smallest: float = 0.0
    """Regions with a smaller share of the image's pixels have no label."""


@dataclass(frozen=True, slots=True)
class WorldStyle:
    """One simulator."""

    name: str
    key: int
    """Enters every frame's seed, so that no two worlds share a street."""
    layout: str
    """The data set's layout that it stands in for; others are allowed."""
    train_ids: frozenset[int]
    flatness: float
    """0 textured to 1 plastic."""
    street: StreetStyle
    light: LightStyle
    camera: CameraStyle
    sensor: SensorStyle
    samples: int = 4
    """Coverage samples a pixel."""
    labels: LabelHabits = LabelHabits()
