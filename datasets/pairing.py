"""Finding the files of a layout and pairing each image with its label."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from isthmus.datasets.base import FramePaths
from isthmus.errors import DataError, DataMissingError, PairMismatchError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def files_by_key(folder: Path, pattern: str, key: Callable[[Path], str]) -> dict[str, Path]:
    """Files below a folder by the key that an image shares with its label.

    Args:
        folder: Must exist.
        pattern: Glob pattern below `folder`, for example `*/*_leftImg8bit.png`.
        key: From a file's path to its key.

    Raises:
        DataMissingError: No such folder.
        PairMismatchError: Two files have the same key.
    """
    if not folder.is_dir():
        raise DataMissingError(
            "no such folder", where=folder, remedy="`isthmus data list` shows the expected layout of each data set."
        )
    # Hidden files are half-written ones and file managers' own.
    return _by_key((path for path in folder.glob(pattern) if not path.name.startswith(".")), key)


def images_by_stem(folder: Path) -> dict[str, Path]:
    """PNG and JPEG files directly in a folder, by name without suffix; raises as `files_by_key` does."""
    files = files_by_key(folder, "*.*", lambda path: path.name).values()
    return _by_key((path for path in files if path.suffix.lower() in IMAGE_SUFFIXES), lambda path: path.stem)


def paired(
    root: Path, images: Mapping[str, Path], labels: Mapping[str, Path], report: Callable[[Sequence[DataError]], None]
) -> list[FramePaths]:
    """Frames of all keys that have both an image and a label.

    Args:
        root: The data set's top folder, for names.
        images: Image by key.
        labels: Label by key.
        report: Called with the errors of all images without a label, then with those of all labels without an image.
    """
    report(_lonely(images, images.keys() - labels.keys(), "image", "label"))
    report(_lonely(labels, labels.keys() - images.keys(), "label", "image"))
    return [frame(root, images[key], labels[key]) for key in images.keys() & labels.keys()]


def unlabelled(root: Path, images: Iterable[Path]) -> list[FramePaths]:
    """Frames of a split that has no labels."""
    return [frame(root, image, None) for image in images]


def frame(root: Path, image: Path, label: Path | None) -> FramePaths:
    """One frame, named by its image's path relative to the root."""
    return FramePaths(name=image.relative_to(root).as_posix(), image=image, label=label)


def _by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(paths):
        other = found.setdefault(key(path), path)
        if other is not path:
            raise PairMismatchError(
                f"stands for the same frame as {other.name}", where=path, remedy="Remove one of the two."
            )
    return found


def _lonely(files: Mapping[str, Path], keys: Iterable[str], kind: str, other: str) -> list[DataError]:
    remedy = f"Fetch the missing {other} or remove the {kind}."
    lonely = sorted(files[key] for key in keys)
    return [PairMismatchError(f"{kind} has no {other}", where=path, remedy=remedy) for path in lonely]
