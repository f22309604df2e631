"""How labels were drawn: a simulator knows the class of every pixel, people with a mouse draw outlines.

Cityscapes' labelling policy asks for objects without holes: what is seen through leaves, railings or wheels gets the
label of what it is seen through (Cordts et al., CVPR 2016, and the policy on the data set's page). What is too small to
be outlined stays without a label.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.datasets.worlds.style import LabelHabits

_SEEN_THROUGH: Final = tuple(
    TRAIN_ID[name] for name in ("fence", "vegetation", "person", "rider", "motorcycle", "bicycle")
)
"""In the order in which outlines are drawn: a person is drawn over the hedge behind."""

_BACKGROUND: Final = tuple(
    TRAIN_ID[name] for name in ("road", "sidewalk", "building", "wall", "fence", "vegetation", "terrain", "sky")
)
"""What may be seen through something; never an object."""


def outlined(
    train_ids: NDArray[np.uint8], instances: NDArray[np.uint16], habits: LabelHabits
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Labels as people would have drawn them.

    Args:
        train_ids: [H, W] exact train ids, 255 ignored; stays as it is.
        instances: [H, W] number of the object, 0 for none; stays as it is.
        habits: How coarse the outlines are.

    Returns:
        Both anew. Pixels that join an object take the number of its nearest pixel; those that lose their label lose it.
    """
    ids, numbers = train_ids.copy(), instances.copy()
    reach = round(habits.closing * train_ids.shape[0])
    if reach > 0:
        for train_id in _SEEN_THROUGH:
            _close(ids, numbers, train_id, reach)
    smallest = habits.smallest * train_ids.size
    if smallest >= 1:
        specks = _specks(ids, smallest)
        ids[specks], numbers[specks] = IGNORE_INDEX, 0
    return ids, numbers


def _close(ids: NDArray[np.uint8], numbers: NDArray[np.uint16], train_id: int, reach: int) -> None:
    """Give gaps in a class, narrower than twice `reach`, to it, in place."""
    own = (ids == train_id).astype(np.uint8)
    if not own.any():
        return
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    wide = cv2.copyMakeBorder(own, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[reach:-reach, reach:-reach]
    gaps = (closed > 0) & np.isin(ids, _BACKGROUND) & (own == 0)
    if not gaps.any():
        return
    _, nearest = cv2.distanceTransformWithLabels(1 - own, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    number_of = np.zeros(int(nearest.max()) + 1, numbers.dtype)
    number_of[nearest[own > 0]] = numbers[own > 0]
    ids[gaps] = train_id
    numbers[gaps] = number_of[nearest[gaps]]


def _specks(ids: NDArray[np.uint8], smallest: float) -> NDArray[np.bool_]:
    """[H, W] where one class's connected region has fewer than `smallest` pixels."""
    found = np.zeros(ids.shape, np.bool_)
    for train_id in np.unique(ids):
        if train_id == IGNORE_INDEX:
            continue
        count, regions, statistics, _ = cv2.connectedComponentsWithStats(
            (ids == train_id).astype(np.uint8), connectivity=8
        )
        small = [region for region in range(1, count) if statistics[region, cv2.CC_STAT_AREA] < smallest]
        if small:
            found |= np.isin(regions, small)
    return found
