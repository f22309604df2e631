"""Labelled streets: readers of real data sets, a catalogue of them, transforms and sampling.

The names below are what other rooms build on; everything else is imported from its own module.
"""

from isthmus.datasets.base import FramePaths, SegmentationDataset
from isthmus.datasets.catalogue import DATASETS, DatasetConfig, build_dataset, dataset_digest
from isthmus.datasets.label_space import CITYSCAPES19, IGNORE_INDEX, LABEL_SPACES, LabelSpace

__all__ = [
    "CITYSCAPES19",
    "DATASETS",
    "IGNORE_INDEX",
    "LABEL_SPACES",
    "DatasetConfig",
    "FramePaths",
    "LabelSpace",
    "SegmentationDataset",
    "build_dataset",
    "dataset_digest",
]
