"""What lines a street: rows of houses, blocks, gardens, walls and empty lots, chosen lot by lot."""

import numpy as np

from isthmus.datasets.worlds.buildings import add_house, draw_house
from isthmus.datasets.worlds.furniture import add_fence, add_wall
from isthmus.datasets.worlds.layout import KERB_M, StreetPlan
from isthmus.datasets.worlds.mesh import Floats, MeshBuilder
from isthmus.datasets.worlds.style import StreetStyle
from isthmus.datasets.worlds.vegetation import add_bush, add_conifer, add_hedge, add_tree

_GROUND_Y = KERB_M - 0.03


def build_lots(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Fill both sides of a street. Neighbouring lots tend to be alike, as in real quarters."""
    kinds = list(style.lot_weights)
    weights = np.array([style.lot_weights[kind] for kind in kinds])
    weights = weights / weights.sum()
    for side in (-1, 1):
        kind = str(rng.choice(kinds, p=weights))
        for s0, s1 in street.free_spans(side, 1.0):
            at = s0
            while at < s1 - 5.0:
                if rng.random() < 0.35:
                    kind = str(rng.choice(kinds, p=weights))
                width = min(float(_draw_width(kind, rng)), s1 - at)
                if width < 5.0:
                    break
                _LOTS[kind](mesh, street, side, at, width, style, rng)
                at += width + (float(rng.uniform(1.0, 4.0)) if kind in ("block", "detached") else 0.0)


def build_backdrop(mesh: MeshBuilder, street: StreetPlan, style: StreetStyle, rng: np.random.Generator) -> None:
    """Close the view at the street's end with trees or a house front."""
    end = max(street.end, 80.0)
    if rng.random() < 0.5:
        house = draw_house(style, rng, width=60.0, low=False)
        # The street's end looks back at the camera: its front runs from right to left.
        add_house(mesh, street.curve.place(end + 30.0, -30.0), house, rng)
    for _ in range(10):
        t = float(rng.uniform(-40, 40))
        leaf = style.leaves[int(rng.integers(len(style.leaves)))]
        place = street.curve.place(end + float(rng.uniform(12, 25)), t, _GROUND_Y)
        add_tree(mesh, place, rng, leaf, bare=False, height=float(rng.uniform(6, 12)))


def _draw_width(kind: str, rng: np.random.Generator) -> float:
    low, high = {"terrace": (5.0, 11.0), "block": (14.0, 32.0), "detached": (12.0, 18.0)}.get(kind, (10.0, 24.0))
    return float(rng.uniform(low, high))


def _edge(street: StreetPlan, side: int, s0: float, s1: float, setback: float) -> Floats:
    """Ground points along the lot line."""
    s = np.linspace(s0, s1, max(2, round((s1 - s0) / 1.3)))
    return street.curve.at(s, side * (street.lot_line(side) + setback), _GROUND_Y)


def _place_house(
    mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, setback: float,
    style: StreetStyle, rng: np.random.Generator, *, low: bool,
) -> None:  # fmt: skip
    """A house whose front looks at the street, however the street bends."""
    line = side * (street.lot_line(side) + setback)
    near, far = street.curve.at(np.array([s, s + width]), line)
    # The house's x axis runs along its front with the yard behind it: backwards along s on the right side.
    start, stop = (near, far) if side < 0 else (far, near)
    chord = stop - start
    length = float(np.hypot(chord[0], chord[2]))
    heading = float(np.arctan2(-chord[2], chord[0]))
    from isthmus.datasets.worlds.mesh import Placement

    house = draw_house(style, rng, width=length, low=low)
    add_house(mesh, Placement((float(start[0]), _GROUND_Y, float(start[2])), heading), house, rng)


def _terrace(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    _place_house(mesh, street, side, s, width, 0.0, style, rng, low=False)


def _block(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    setback = float(rng.uniform(0.0, 4.0))
    _place_house(mesh, street, side, s, width, setback, style, rng, low=False)
    if setback > 2.0 and rng.random() < 0.5:
        _border(mesh, street, side, s, width, style, rng)


def _detached(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    setback = float(rng.uniform(3.5, 8.0))
    _place_house(mesh, street, side, s + 1.5, width - 3.0, setback, style, rng, low=True)
    _border(mesh, street, side, s, width, style, rng)
    for _ in range(int(rng.integers(1, 4))):
        _plant(
            mesh,
            street,
            side,
            s + float(rng.uniform(0.5, width - 0.5)),
            float(rng.uniform(1.0, setback - 0.8)),
            style,
            rng,
            small=True,
        )


def _garden(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    """A park or a big garden: a border in front, trees behind."""
    if rng.random() < 0.8:
        _border(mesh, street, side, s, width, style, rng)
    for row in (float(rng.uniform(2.0, 4.0)), float(rng.uniform(7.0, 10.0)), float(rng.uniform(13.0, 18.0))):
        for at in np.arange(s + 1.5, s + width - 1.0, rng.uniform(3.0, 6.0)):
            _plant(mesh, street, side, float(at + rng.uniform(-1, 1)), row, style, rng, small=rng.random() < 0.3)


def _wall_lot(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    color = style.walls[int(rng.integers(len(style.walls)))]
    tone = rng.uniform(0.6, 1.0)
    add_wall(mesh, _edge(street, side, s, s + width, 0.1), rng, (color[0] * tone, color[1] * tone, color[2] * tone))
    for at in np.arange(s + 2.0, s + width - 1.0, rng.uniform(4.0, 7.0)):
        _plant(mesh, street, side, float(at), float(rng.uniform(2.5, 6.0)), style, rng, small=False)
    if rng.random() < 0.5:
        _place_house(mesh, street, side, s, width, 9.0, style, rng, low=False)


def _open_lot(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    if rng.random() < 0.7:
        add_fence(mesh, _edge(street, side, s, s + width, 0.1), rng)
    _place_house(mesh, street, side, s, width, float(rng.uniform(14, 20)), style, rng, low=False)
    for _ in range(3):
        _plant(
            mesh, street, side, s + float(rng.uniform(1, width - 1)), float(rng.uniform(4, 12)), style, rng, small=False
        )


_LOTS = {
    "terrace": _terrace,
    "block": _block,
    "detached": _detached,
    "garden": _garden,
    "wall": _wall_lot,
    "lot": _open_lot,
}


def _border(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, width: float, style: StreetStyle, rng: np.random.Generator) -> None:  # fmt: skip
    """A fence, a hedge, a hedge behind a fence, or a low wall on the lot line."""
    luck = rng.random()
    leaf = style.leaves[int(rng.integers(len(style.leaves)))]
    if luck < 0.62:
        add_fence(mesh, _edge(street, side, s, s + width, 0.12), rng)
    if 0.42 < luck < 0.85:
        height, thick = float(rng.uniform(0.9, 2.2)), float(rng.uniform(0.7, 1.3))
        add_hedge(mesh, _edge(street, side, s, s + width, 0.3 + thick / 2), rng, leaf, height=height, width=thick)
    if luck >= 0.85:
        color = style.walls[int(rng.integers(len(style.walls)))]
        add_wall(mesh, _edge(street, side, s, s + width, 0.12), rng, color)


def _plant(mesh: MeshBuilder, street: StreetPlan, side: int, s: float, setback: float, style: StreetStyle, rng: np.random.Generator, *, small: bool) -> None:  # fmt: skip
    place = street.curve.place(s, side * (street.lot_line(side) + setback), _GROUND_Y, turn=float(rng.uniform(0, 6.28)))
    leaf = style.leaves[int(rng.integers(len(style.leaves)))]
    if small:
        add_bush(mesh, place, rng, leaf, size=float(rng.uniform(0.7, 2.2)))
    elif rng.random() < 0.15:
        add_conifer(mesh, place, rng, leaf, height=float(rng.uniform(5, 12)))
    else:
        bare = bool(rng.random() < style.bare_tree_probability)
        add_tree(mesh, place, rng, leaf, bare=bare, height=float(rng.uniform(5.0, 12.0)))
