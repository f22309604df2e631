"""Transforms of an image together with its mask, deterministic by an explicit seed.

The geometry's first step, one resize to a jittered scale, is ours: chained resizes would blur images and shift
masks. Cropping, flipping and colours are albumentations'.
"""

import os
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from isthmus.configuration import config
from isthmus.datasets.label_space import IGNORE_INDEX

_SCALE_STREAM: Final = 1
"""Keeps the scale's random numbers apart from those that albumentations draws from the same seed."""


class JointTransform(Protocol):
    """Changes an image and, where there is one, its mask in the same way."""

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8] | None, *, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Transform one frame.

        Args:
            image: [H, W, 3] RGB; not changed.
            mask: [H, W] train ids or 255; not changed. None for an unlabelled frame.
            seed: Decides everything random; the same seed gives the same result in any process.

        Returns:
            Image [h, w, 3] and mask [h, w], or None, both new or the caller's own where nothing had to change.
        """
        ...


@config
class AugmentationConfig:
    """How training frames are varied. The defaults are the recipe of `docs/benchmarks.md`."""

    resize_hw: tuple[int, int]
    """Height and width that frames have at scale 1."""
    crop_size_hw: tuple[int, int]
    """Height and width that training sees; smaller frames are padded, masks with 255."""
    scale_range: tuple[float, float] = (0.75, 1.5)
    """Smallest and largest factor on `resize_hw`, drawn uniformly."""
    horizontal_flip_p: float = 0.5
    """Probability of a left-right flip."""
    color_jitter_p: float = 0.8
    """Probability that brightness, contrast, saturation and hue change."""
    brightness: float = 0.4
    """Largest relative change of brightness."""
    contrast: float = 0.4
    """Largest relative change of contrast."""
    saturation: float = 0.4
    """Largest relative change of saturation."""
    hue: float = 0.05
    """Largest turn of hue, as a share of the colour circle."""
    blur_p: float = 0.1
    """Probability of a Gaussian blur with sigma between 0.3 and 1.5 pixels."""

    def __post_init__(self) -> None:
        for name in ("horizontal_flip_p", "color_jitter_p", "blur_p", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a number from 0 to 1")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue is {self.hue}: write a number from 0 to 0.5")
        if not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(f"scale_range is {self.scale_range}: write a smaller and a larger factor above 0")
        if min(*self.resize_hw, *self.crop_size_hw) < 1:
            raise ValueError("resize_hw and crop_size_hw must be above 0")


class _TrainingTransform:
    def __init__(self, config: AugmentationConfig, pipeline: Any) -> None:
        self._config = config
        self._pipeline = pipeline

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8] | None, *, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        scale = np.random.default_rng([seed, _SCALE_STREAM]).uniform(*self._config.scale_range)
        height, width = self._config.resize_hw
        scaled_hw = max(1, round(height * scale)), max(1, round(width * scale))
        image, mask = resize_pair(image, mask, scaled_hw)
        self._pipeline.set_random_seed(seed)
        if mask is None:
            return self._pipeline(image=image)["image"], None
        done = self._pipeline(image=image, mask=mask)
        return done["image"], done["mask"]


def build_training_transform(config: AugmentationConfig) -> JointTransform:
    """Scale jitter, crop, flip, colour jitter and blur, in this order."""
    # Albumentations asks the network for a newer version at import unless told not to.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A  # noqa: N812 - its own name for itself

    height, width = config.crop_size_hw
    steps = [
        A.RandomCrop(height, width, pad_if_needed=True, pad_position="random", fill=0, fill_mask=IGNORE_INDEX),
        A.HorizontalFlip(p=config.horizontal_flip_p),
        A.ColorJitter(
            brightness=(1 - config.brightness, 1 + config.brightness),
            contrast=(1 - config.contrast, 1 + config.contrast),
            saturation=(1 - config.saturation, 1 + config.saturation),
            hue=(-config.hue, config.hue),
            p=config.color_jitter_p,
        ),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.5), p=config.blur_p),
    ]
    return _TrainingTransform(config, A.Compose(steps))


def resize_pair(
    image: NDArray[np.uint8], mask: NDArray[np.uint8] | None, size_hw: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Resize an image (by area where it shrinks, else linearly) and its mask (nearest)."""
    import cv2

    height, width = size_hw
    if image.shape[:2] == (height, width):
        return image, mask
    shrinks = height * width < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if mask is None:
        return np.asarray(resized, np.uint8), None
    nearest = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.uint8), np.asarray(nearest, np.uint8)
