"""What an examination notes: of one frame, and of one thing that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError, IsthmusError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    """Name of the error class, for example `UnknownLabelIdError`."""
    problem: str
    where: str | None
    remedy: str | None

    @classmethod
    def of(cls, error: IsthmusError) -> "Problem":
        """An error as a row."""
        return cls(type(error).__name__, error.problem, error.where, error.remedy)


@dataclass(frozen=True, slots=True)
class Finding:
    """One frame's examination."""

    size: str | None = None
    """Of the image, written `WIDTHxHEIGHT`; None where it cannot be read."""
    raw_ids: NDArray[np.integer] | None = None
    """The different ids of its label, sorted; None where there is none or it cannot be read."""
    pixels: NDArray[np.integer] | None = None
    """Number of pixels of each of them."""
    problems: tuple[Problem, ...] = ()


def examine_pair(
    read_image: Callable[[], NDArray[np.uint8]],
    read_label: Callable[[], NDArray[np.integer]] | None,
    check_sizes: Callable[[tuple[int, ...], tuple[int, ...]], None],
    check_ids: Callable[[NDArray[np.integer]], None],
) -> Finding:
    """Examine one frame, noting each `DataError` that a step raises.

    Args:
        read_image: Gives the image [H, W, 3].
        read_label: Gives its label ids [H, W]; None where it has none.
        check_sizes: Told the shapes of both.
        check_ids: Told the different ids.
    """
    problems: list[Problem] = []

    def noting(step: Callable[[], T]) -> T | None:
        try:
            return step()
        except DataError as error:
            problems.append(Problem.of(error))
            return None

    image = noting(read_image)
    size = None if image is None else f"{image.shape[1]}x{image.shape[0]}"
    label = None if read_label is None else noting(read_label)
    if label is None:
        return Finding(size, problems=tuple(problems))
    if image is not None:
        image_shape, label_shape = image.shape, label.shape
        noting(lambda: check_sizes(image_shape, label_shape))
    raw_ids, pixels = np.unique(label, return_counts=True)
    noting(lambda: check_ids(raw_ids))
    return Finding(size, raw_ids, pixels, tuple(problems))
