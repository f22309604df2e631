"""Labels as people draw them: outlines without holes, nothing for specks, objects untouched."""

import numpy as np
import pytest

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds import WORLDS
from isthmus.datasets.worlds.annotation import outlined
from isthmus.datasets.worlds.style import LabelHabits

SKY, TREE, CAR, PERSON, BICYCLE = (TRAIN_ID[name] for name in ("sky", "vegetation", "car", "person", "bicycle"))
NO_OBJECTS = np.zeros((40, 40), np.uint16)
COARSE = LabelHabits(closing=0.05)
"""Of 40 rows: gaps of up to 4 pixels."""


def ids_of(background: int, *boxes: tuple[int, slice, slice]) -> np.ndarray:
    ids = np.full((40, 40), background, np.uint8)
    for train_id, rows, columns in boxes:
        ids[rows, columns] = train_id
    return ids


@pytest.mark.parametrize(("gap", "belongs_to"), [(2, TREE), (10, SKY)])
def test_sky_in_a_narrow_gap_of_a_crown_is_the_trees(gap: int, belongs_to: int) -> None:
    hole = slice(20, 20 + gap)
    ids = ids_of(SKY, (TREE, slice(8, 36), slice(8, 36)), (SKY, hole, hole))
    drawn, _ = outlined(ids, NO_OBJECTS, COARSE)
    assert drawn[20 + gap // 2, 20 + gap // 2] == belongs_to
    assert drawn[2, 2] == SKY
    assert ids[20, 20] == SKY, "the caller's labels stay"


def test_an_object_behind_leaves_keeps_its_label_and_number() -> None:
    ids = ids_of(SKY, (TREE, slice(8, 36), slice(8, 36)), (CAR, slice(20, 22), slice(20, 22)))
    numbers = np.where(ids == CAR, 7, 0).astype(np.uint16)
    drawn, kept = outlined(ids, numbers, COARSE)
    assert (drawn[20:22, 20:22] == CAR).all()
    assert (kept[20:22, 20:22] == 7).all()


def test_what_is_seen_through_a_wheel_joins_the_nearest_bicycle() -> None:
    ids = ids_of(SKY, (BICYCLE, slice(10, 20), slice(4, 14)), (BICYCLE, slice(10, 20), slice(24, 34)))
    ids[14:16, 8:10] = ids[14:16, 28:30] = SKY
    numbers = np.where(ids == BICYCLE, np.where(np.arange(40) < 20, 1, 2), 0).astype(np.uint16)
    drawn, joined = outlined(ids, numbers, COARSE)
    assert (drawn[14:16, 8:10] == BICYCLE).all()
    assert set(joined[14:16, 8:10].ravel()) == {1}
    assert set(joined[14:16, 28:30].ravel()) == {2}


def test_specks_lose_label_and_number_and_no_more_than_specks() -> None:
    ids = ids_of(SKY, (PERSON, slice(5, 7), slice(5, 7)), (PERSON, slice(20, 30), slice(20, 24)))
    numbers = np.where(ids == PERSON, 3, 0).astype(np.uint16)
    drawn, left = outlined(ids, numbers, LabelHabits(smallest=5 / 1600))
    assert (drawn[5:7, 5:7] == IGNORE_INDEX).all()
    assert (left[5:7, 5:7] == 0).all()
    assert ((drawn == PERSON) == (left == 3)).all()
    assert np.count_nonzero(drawn == PERSON) == 40
    assert np.count_nonzero(drawn == IGNORE_INDEX) == 4


def test_simulators_are_exact_and_streets_are_drawn_by_people() -> None:
    ids = np.random.default_rng(0).choice([SKY, TREE, PERSON], (160, 160)).astype(np.uint8)
    for name, world in WORLDS.items():
        drawn, _ = outlined(ids, np.zeros_like(ids, np.uint16), world.labels)
        assert np.array_equal(drawn, ids) == (name in {"arcade", "studio"})
