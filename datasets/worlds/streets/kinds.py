"""Which streets a scene has: the kind of the main one, its widths, and those that meet it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from isthmus.datasets.worlds.streets.layout import BEHIND_M, Curve, Junction, Layout, Square, StreetPlan
from isthmus.datasets.worlds.style import StreetStyle

_CORNER_HOUSE_M: Final = 12.0
_ARM_M: Final = 66.0


def draw_layout(style: StreetStyle, rng: np.random.Generator) -> Layout:
    """Draw a scene's streets."""
    kinds = list(style.street_kinds)
    weights = np.array([style.street_kinds[kind] for kind in kinds])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    plain = replace(_draw_street(style, rng), kind=kind)
    main = _KINDS[kind](plain, style, rng) if kind in _KINDS else plain
    arms = [_side_street(main, j, side, rng) for j in main.junctions for side in j.sides]
    if kind == "tee":
        main, cross = _end_at_cross_street(main, style, rng)
        arms.append(cross)
    return Layout(main, tuple(arms))


def _draw_street(style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A straight or bent street as most are; every other kind is made out of one."""
    bends = rng.uniform(*style.curvature, 3) * (rng.random(3) < 0.6)
    curve = Curve.bent(bends, np.array([-BEHIND_M, rng.uniform(15, 50), rng.uniform(60, 110)]))
    lanes = int(rng.choice(style.lanes))
    tram = bool(rng.random() < style.tram_probability)
    parking = (bool(rng.random() < style.parking_probability), bool(rng.random() < style.parking_probability))
    verge = float(rng.uniform(1.0, 3.0)) if rng.random() < style.verge_probability else 0.0
    sidewalk = (float(rng.uniform(*style.sidewalk_m)), float(rng.uniform(*style.sidewalk_m)))
    verges = (verge, verge if rng.random() < 0.6 else 0.0)
    return StreetPlan(
        curve=curve,
        start=-12.0,
        lots_start=-12.0,
        end=float(rng.uniform(110, 170)),
        lanes=max(lanes, 2) if tram else lanes,
        lane_width=float(rng.uniform(*style.lane_width_m)),
        parking=parking,
        sidewalk=sidewalk,
        verge=verges,
        junctions=_draw_junctions(style, rng, min(sidewalk)),
        tram=tram,
        drive_side=-1 if rng.random() < style.left_hand_probability else 1,
    )


def _draw_junctions(style: StreetStyle, rng: np.random.Generator, sidewalk: float) -> tuple[Junction, ...]:
    junctions: list[Junction] = []
    at = float(rng.uniform(6, 50))
    while at < 110 and len(junctions) < 2:
        if rng.random() < style.junction_probability:
            sides = ((-1,), (1,), (-1, 1))[int(rng.integers(3))]
            junctions.append(
                _junction(style, rng, s=at, half_width=float(rng.uniform(2.8, 5.5)), sides=sides, sidewalk=sidewalk)
            )
        at += float(rng.uniform(35, 60))
    return tuple(junctions)


def _junction(
    style: StreetStyle,
    rng: np.random.Generator,
    *,
    s: float,
    half_width: float,
    sides: tuple[int, ...],
    sidewalk: float,
) -> Junction:
    """A junction whose corners fit on the narrower of the sidewalks that meet there."""
    arm = float(rng.uniform(*style.sidewalk_m))
    return Junction(s, half_width, sides, arm, min(float(rng.uniform(0.8, 4.5)), arm, sidewalk))


def _side_street(main: StreetPlan, junction: Junction, side: int, rng: np.random.Generator) -> StreetPlan:
    origin = main.curve.place(junction.s, side * main.kerb(side), turn=side * np.pi / 2)
    behind = main.lot_line(side) - main.kerb(side)
    lanes = 2 if junction.half_width > 5.0 and rng.random() < 0.6 else 1
    return StreetPlan(
        curve=Curve.straight(origin.position[0], origin.position[2], origin.heading, _ARM_M + 10.0),
        start=junction.radius,
        lots_start=behind + _CORNER_HOUSE_M,
        end=_ARM_M,
        lanes=lanes,
        lane_width=junction.half_width / lanes,
        parking=(False, False),
        sidewalk=(junction.sidewalk, junction.sidewalk),
        verge=(0.0, 0.0),
        junctions=(),
        tram=False,
        drive_side=main.drive_side,
        kind="arm",
        road=(0.0, _ARM_M),
    )


def _crossroads(street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A wide crossing close ahead, both arms in view."""
    at, half = float(rng.uniform(9.0, 32.0)), float(rng.uniform(3.2, 7.5))
    near = _junction(style, rng, s=at, half_width=half, sides=(-1, 1), sidewalk=min(street.sidewalk))
    later = tuple(j for j in street.junctions if j.s > at + half + 35.0)
    return replace(street, junctions=(near, *later))


def _tee(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A road that ends soon: straight, without side streets."""
    curve = Curve.bent(np.zeros(1), np.array([-BEHIND_M]))
    return replace(
        street, curve=curve, junctions=(), end=float(rng.uniform(13.0, 40.0)), tram=False, parking=(False, False)
    )


def _end_at_cross_street(
    main: StreetPlan, style: StreetStyle, rng: np.random.Generator
) -> tuple[StreetPlan, StreetPlan]:
    """Let the main street run into another one, whose middle line lies across it."""
    sidewalk = (float(rng.uniform(*style.sidewalk_m)), float(rng.uniform(*style.sidewalk_m)))
    lanes = int(rng.choice(style.lanes))
    width = float(rng.uniform(*style.lane_width_m))
    parking = bool(rng.random() < style.parking_probability)
    radius = min(float(rng.uniform(1.0, 5.0)), sidewalk[1], *main.sidewalk)
    mouth = main.end
    origin = main.curve.place(mouth + lanes * width, -_ARM_M, turn=np.pi / 2)
    # Its s runs to the right, so that the camera's side of it is the right one (+1).
    junction = Junction(
        _ARM_M + (main.kerb(1) - main.kerb(-1)) / 2,
        (main.kerb(1) + main.kerb(-1)) / 2,
        (1,),
        max(main.sidewalk[side > 0] + main.verge[side > 0] for side in (-1, 1)),
        radius,
        corner_house=_CORNER_HOUSE_M,
    )
    cross = StreetPlan(
        curve=Curve.straight(origin.position[0], origin.position[2], origin.heading, 2 * _ARM_M),
        start=0.0,
        lots_start=0.0,
        end=2 * _ARM_M,
        lanes=lanes,
        lane_width=width,
        parking=(parking, False),
        sidewalk=sidewalk,
        verge=(0.0, 0.0),
        junctions=(junction,),
        tram=False,
        drive_side=main.drive_side,
        kind="cross",
        road=(0.0, 2 * _ARM_M),
    )
    main = replace(main, end=mouth - radius, road=(-25.0, mouth), lots_end=mouth - sidewalk[1] - 0.3)
    return main, cross


def _boulevard(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """Two carriageways with a planted or paved strip between them, which may carry the tram."""
    half = float(rng.uniform(3.4, 4.5)) if street.tram else float(rng.uniform(0.7, 3.0))
    return replace(street, half_median=half, lanes=int(rng.integers(1, 4)))


def _residential(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A narrow street of houses with front gardens and parked cars."""
    return replace(
        street,
        lanes=1,
        lane_width=float(rng.uniform(2.2, 2.9)),
        parking=(bool(rng.random() < 0.75), bool(rng.random() < 0.6)),
        sidewalk=(float(rng.uniform(1.2, 2.4)), float(rng.uniform(1.2, 2.4))),
        junctions=tuple(replace(j, half_width=min(j.half_width, 3.2), radius=1.1) for j in street.junctions),
        tram=False,
    )


def _highway(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """Many lanes, a barrier in the middle, rails and banks beside them, nobody on foot."""
    verge = float(rng.uniform(1.5, 4.0))
    return replace(
        street,
        curve=Curve.bent(rng.uniform(-0.003, 0.003, 1), np.array([-BEHIND_M])),
        lanes=int(rng.integers(2, 5)),
        lane_width=float(rng.uniform(3.4, 3.9)),
        parking=(False, False),
        sidewalk=(0.0, 0.0),
        verge=(verge, verge),
        junctions=(),
        tram=False,
        end=185.0,
        half_median=float(rng.uniform(0.8, 2.5)),
        shoulder=float(rng.uniform(0.6, 3.0)),
        crossing=float(rng.uniform(25.0, 90.0)) if rng.random() < 0.3 else None,
    )


def _tunnel(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A street that leads into a hill."""
    portal = float(rng.uniform(30.0, 75.0))
    junctions = tuple(j for j in street.junctions if j.s < portal - 30.0)
    return replace(street, crossing=portal, lots_end=portal - 1.0, junctions=junctions, verge=(0.0, 0.0))


def _bridge(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A street under a bridge."""
    at = float(rng.uniform(22.0, 80.0))
    junctions = tuple(j for j in street.junctions if abs(j.s - at) > j.half_width + j.sidewalk + 12.0)
    return replace(street, crossing=at, junctions=junctions)


def _square(street: StreetPlan, _style: StreetStyle, rng: np.random.Generator) -> StreetPlan:
    """A street beside a car park or a paved place."""
    side, start = (-1 if rng.random() < 0.5 else 1), float(rng.uniform(0.0, 14.0))
    end, depth = start + float(rng.uniform(24.0, 50.0)), float(rng.uniform(18.0, 34.0))
    junctions = tuple(j for j in street.junctions if j.s > end + j.half_width + j.sidewalk + 10.0)
    square = Square(side, start, end, depth, is_car_park=bool(rng.random() < 0.6))
    return replace(street, square=square, junctions=junctions)


_KINDS: Final[Mapping[str, Callable[[StreetPlan, StreetStyle, np.random.Generator], StreetPlan]]] = {
    "tee": _tee,
    "crossroads": _crossroads,
    "boulevard": _boulevard,
    "residential": _residential,
    "highway": _highway,
    "tunnel": _tunnel,
    "bridge": _bridge,
    "square": _square,
}
"""What turns a plain street into each kind; `street` itself stays as it is drawn."""
