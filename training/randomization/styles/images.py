"""Style images: found, dealt to domains, read once at a small size, and cut to the frames' size when used."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isthmus.artifact import sha256_of
from isthmus.datasets.images import read_image_rgb
from isthmus.datasets.pairing import IMAGE_SUFFIXES
from isthmus.errors import DataMissingError

IMAGES_KEY: Final = "method.styles.images"
"""What names the folder of style images in a run's configuration."""
MAX_PIXELS: Final = 256 * 256
"""A kept style image's size, 192 KiB: only its low frequencies and channel statistics are ever used."""


class StyleImages:
    """The style images of one domain, in memory as 8-bit RGB.

    Args:
        folder: Of all style images; paths are told relative to it.
        paths: This domain's files.
        device: Where they are kept.

    Raises:
        UnreadableFileError: A file is truncated or no image.
    """

    def __init__(self, folder: Path, paths: list[Path], device: torch.device) -> None:
        self._names = [path.relative_to(folder).as_posix() for path in paths]
        self._digests = [sha256_of(path) for path in paths]
        self._pixels = [_small(read_image_rgb(path)).to(device) for path in paths]

    def __len__(self) -> int:
        return len(self._pixels)

    def draw(self, count: int, size_hw: tuple[int, int], draws: np.random.Generator) -> Tensor:
        """Style images for so many frames: each resized to cover the frame, then cut at a random place.

        Args:
            count: B.
            size_hw: Height and width of the frames.
            draws: Decides image and place.

        Returns:
            RGB in [0, 1], [B,3,H,W], float32.
        """
        chosen = draws.integers(len(self), size=count)
        return torch.stack([_cover(self._pixels[one], size_hw, draws) for one in chosen])

    def describe(self) -> list[dict[str, str]]:
        """Path, relative to the folder, and SHA-256 (hex) of each."""
        return [{"path": name, "sha256": digest} for name, digest in zip(self._names, self._digests, strict=True)]


def deal_images(folder: Path, owners: int, limit: int) -> list[list[Path]]:
    """Each domain's own style images.

    With at least as many subfolders of images as owners, the first ones in alphabetical order go to one owner each.
    Else all files in and below the folder are sorted by path and dealt in turns.

    Args:
        folder: Of PNG and JPEG files; hidden files are passed over.
        owners: Domains that need images, 1 and up.
        limit: Most images an owner gets, evenly spaced over its files.

    Raises:
        DataMissingError: No such folder, or fewer images in it than owners.
    """
    place = f"{IMAGES_KEY}: {folder}"
    if not folder.is_dir():
        raise DataMissingError(
            "no such folder of style images",
            where=place,
            remedy="Name a folder of photographs, or make one with `isthmus worlds styles`.",
        )
    stocks = list(_by_subfolder(folder).values())
    if len(stocks) < owners:
        files = images_below([folder])
        if not files:
            raise DataMissingError(
                "no style images here",
                where=place,
                remedy=f"Put PNG or JPEG files there, at least {owners}, or name another folder in {IMAGES_KEY}.",
            )
        if len(files) < owners:
            raise DataMissingError(
                f"{len(files)} style images for {owners} domains that need their own",
                where=place,
                remedy="Put more PNG or JPEG files there, or ask for fewer domains.",
            )
        stocks = [files[owner::owners] for owner in range(owners)]
    return [_evenly(files, limit) for files in stocks[:owners]]


def dealing_to_know(folder: Path, owners: int) -> str | None:
    """What a person should know of how `deal_images` takes the subfolders; None where each domain owns one, or none is.

    Args:
        folder: As of `deal_images`; may be missing.
        owners: As of `deal_images`.
    """
    subfolders = list(_by_subfolder(folder)) if folder.is_dir() else []
    number = len(subfolders)
    if number > owners:
        left_out = f"{subfolders[owners]} and all after it" if number > owners + 1 else subfolders[owners]
        return f"{IMAGES_KEY}: {number} subfolders for {owners} domains that need images: {left_out} not used"
    if 0 < number < owners:
        return f"{IMAGES_KEY}: {number} subfolders for {owners} domains that need images: each domain mixes them all"
    return None


def _by_subfolder(folder: Path) -> dict[str, list[Path]]:
    """Style images of each direct subfolder that has any, in alphabetical order."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return {name: files for name in names if (files := images_below([folder / name]))}


def images_below(folders: Iterable[Path]) -> list[Path]:
    """PNG and JPEG files in and below some folders, sorted by path within each; hidden files are passed over."""
    return [path for folder in folders for path in sorted(folder.rglob("*")) if _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")


def _evenly(files: list[Path], limit: int) -> list[Path]:
    number = min(limit, len(files))
    return [files[index * len(files) // number] for index in range(number)]


def _small(pixels: NDArray[np.uint8]) -> Tensor:
    """[3,h,w] uint8 of at most `MAX_PIXELS` pixels, in the image's proportions."""
    import cv2

    height, width = pixels.shape[:2]
    scale = math.sqrt(MAX_PIXELS / (height * width))
    if scale < 1:
        size = max(int(width * scale), 1), max(int(height * scale), 1)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()


def _cover(pixels: Tensor, size_hw: tuple[int, int], draws: np.random.Generator) -> Tensor:
    height, width = size_hw
    tall, wide = pixels.shape[1:]
    scale = max(height / tall, width / wide)
    covering = max(round(tall * scale), height), max(round(wide * scale), width)
    top, left = (int(draws.integers(side - need + 1)) for side, need in zip(covering, size_hw, strict=True))
    resized = functional.interpolate(pixels[None].float() / 255, covering, mode="bilinear", antialias=True)[0]
    return resized[:, top : top + height, left : left + width].clamp(0, 1)
