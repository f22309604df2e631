"""Data sets of a run, opened so that what is wrong with one names the key that asks for it."""

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.errors import ConfigurationError, DataError


def open_named(key: str, config: DatasetConfig, *, labelled: bool = True) -> SegmentationDataset:
    """Open a data set of a run.

    Args:
        key: Where the run's configuration names it, such as `evaluated_on.3`.
        config: Which one, and where.
        labelled: False lists images only, for a target.

    Raises:
        DataError: As `build_dataset` does, with the key, and the set's own name if it has one, before the place.
        ConfigurationError: The same.
    """
    try:
        return build_dataset(config, labelled=labelled)
    except (DataError, ConfigurationError) as error:
        asked = key if config.name is None else f"{key} ({config.name})"
        place = asked if error.where is None else f"{asked}: {error.where}"
        raise type(error)(error.problem, where=place, remedy=error.remedy) from error
