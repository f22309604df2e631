import random

import numpy as np
import pytest

from isthmus.configuration import parse_config
from isthmus.datasets.transforms import (
    AugmentationConfig,
    build_training_transform,
    resize_pair,
)
from isthmus.errors import ConfigurationError

GEOMETRY_ONLY = AugmentationConfig(
    resize_hw=(48, 64),
    crop_size_hw=(40, 56),
    scale_range=(0.5, 2.0),
    horizontal_flip_p=0.5,
    color_jitter_p=0.0,
    blur_p=0.0,
)


def painted(size_hw=(48, 64)):
    """Big blocks of train ids, painted into the image: grey = 10 · id."""
    rng = np.random.default_rng(0)
    mask = np.kron(rng.integers(0, 19, (3, 4)), np.ones((size_hw[0] // 3, size_hw[1] // 4))).astype(np.uint8)
    return np.repeat(10 * mask[..., None], 3, axis=2), mask


def test_image_and_mask_stay_aligned():
    transform = build_training_transform(GEOMETRY_ONLY)
    image, mask = painted()
    for seed in range(20):
        new_image, new_mask = transform(image, mask, seed=seed)
        assert new_image.shape == (40, 56, 3)
        assert new_mask.shape == (40, 56)
        valid = new_mask != 255
        assert valid.mean() > 0.2
        agrees = np.abs(new_image[..., 0].astype(int) - 10 * new_mask.astype(int)) <= 5
        assert agrees[valid].mean() > 0.85  # all but blocks' edges, which the image blends


def test_padding_is_ignored():
    transform = build_training_transform(
        AugmentationConfig(resize_hw=(10, 10), crop_size_hw=(20, 30), scale_range=(1.0, 1.0), color_jitter_p=0.0)
    )
    image, mask = np.full((10, 10, 3), 9, np.uint8), np.zeros((10, 10), np.uint8)
    _, new_mask = transform(image, mask, seed=0)
    assert (new_mask == 0).sum() == 100
    assert (new_mask == 255).sum() == 500


def test_masks_hold_no_new_ids():
    transform = build_training_transform(AugmentationConfig(resize_hw=(33, 47), crop_size_hw=(32, 32)))
    image, mask = painted()
    for seed in range(10):
        assert set(np.unique(transform(image, mask, seed=seed)[1])) <= set(np.unique(mask)) | {255}


def test_same_seed_same_result_and_no_global_generator():
    transform = build_training_transform(AugmentationConfig(resize_hw=(48, 64), crop_size_hw=(32, 32)))
    image, mask = painted()
    numpy_state, python_state = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - it must not move
    first = transform(image, mask, seed=7)
    transform(image, mask, seed=8)
    again = build_training_transform(AugmentationConfig(resize_hw=(48, 64), crop_size_hw=(32, 32)))
    for other in (transform(image, mask, seed=7), again(image, mask, seed=7)):
        assert np.array_equal(first[0], other[0])
        assert np.array_equal(first[1], other[1])
    assert not np.array_equal(first[0], transform(image, mask, seed=8)[0])
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


def test_an_unlabelled_image_changes_as_a_labelled_one():
    transform = build_training_transform(AugmentationConfig(resize_hw=(48, 64), crop_size_hw=(32, 32)))
    image, mask = painted()
    alone, nothing = transform(image, None, seed=3)
    assert nothing is None
    assert np.array_equal(alone, transform(image, mask, seed=3)[0])


def test_callers_arrays_are_unchanged():
    transform = build_training_transform(AugmentationConfig(resize_hw=(48, 64), crop_size_hw=(48, 64)))
    image, mask = painted()
    before = image.copy(), mask.copy()
    for seed in range(5):
        transform(image, mask, seed=seed)
    assert np.array_equal(image, before[0])
    assert np.array_equal(mask, before[1])


def test_shrinking_averages_and_growing_interpolates():
    image = np.array([[[0] * 3, [100] * 3]], np.uint8)
    assert resize_pair(image, None, (1, 1))[0].tolist() == [[[50] * 3]]
    grown = resize_pair(image, None, (1, 4))[0][0, :, 0]
    assert grown.tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("blur_p: 1.5", "blur_p is 1.5"),
        ("hue: 0.6", "hue is 0.6"),
        ("scale_range: [2.0, 1.0]", "scale_range"),
        ("crop_size_hw: [0, 10]", "above 0"),
    ],
)
def test_wrong_augmentation(line, message):
    text = (
        f"resize_hw: [10, 10]\n{line}\n" if "crop" in line else f"resize_hw: [10, 10]\ncrop_size_hw: [8, 8]\n{line}\n"
    )
    with pytest.raises(ConfigurationError, match=message):
        parse_config(text, AugmentationConfig)
