"""Finding the files of a layout and pairing each image with its label."""

from collections.abc import Callable, Iterable, Mapping
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
    """
    if not folder.is_dir():
        raise DataMissingError(
            "no such folder", where=folder, remedy="`isthmus data list` shows the expected layout of each data set."
        )
    # Hidden files are half-written ones and file managers' own.
    return {key(path): path for path in folder.glob(pattern) if not path.name.startswith(".")}


def images_by_stem(folder: Path) -> dict[str, Path]:
    """PNG and JPEG files directly in a folder, by name without suffix."""
    files = files_by_key(folder, "*.*", lambda path: path.name)
    return {path.stem: path for path in files.values() if path.suffix.lower() in IMAGE_SUFFIXES}


def paired(
    root: Path, images: Mapping[str, Path], labels: Mapping[str, Path], report: Callable[[DataError], None]
) -> list[FramePaths]:
    """Frames of all keys that have both an image and a label.

    Args:
        root: The data set's top folder, for names.
        images: Image by key.
        labels: Label by key.
        report: Called with one error for all images without a label, and one for all labels without an image.
    """
    _report_lonely(images, images.keys() - labels.keys(), "image", "label", report)
    _report_lonely(labels, labels.keys() - images.keys(), "label", "image", report)
    return [frame(root, images[key], labels[key]) for key in images.keys() & labels.keys()]


def unlabelled(root: Path, images: Iterable[Path]) -> list[FramePaths]:
    """Frames of a split that has no labels."""
    return [frame(root, image, None) for image in images]


def frame(root: Path, image: Path, label: Path | None) -> FramePaths:
    """One frame, named by its image's path relative to the root."""
    return FramePaths(name=image.relative_to(root).as_posix(), image=image, label=label)


def _report_lonely(
    files: Mapping[str, Path], keys: Iterable[str], kind: str, other: str, report: Callable[[DataError], None]
) -> None:
    lonely = sorted(files[key] for key in keys)
    if not lonely:
        return
    more = f" (and {len(lonely) - 1} more)" if len(lonely) > 1 else ""
    report(
        PairMismatchError(
            f"{kind} has no {other}{more}", where=lonely[0], remedy=f"Fetch the missing {other} or remove the {kind}."
        )
    )
