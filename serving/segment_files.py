"""Files through a server: id masks and overlays for pictures on disk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import grpc
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isthmus.errors import FrameDroppedError, FrameTooLargeError, InvalidFrameError, ServingError
from isthmus.serving.client import DEFAULT_TIMEOUT_S, ModelInfo, SegmentationClient, overlay
from isthmus.serving.codec import MaskFormat, encode_mask
from isthmus.serving.video import SUFFIXES as VIDEO_SUFFIXES

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
_OF_THE_PICTURE: Final = (InvalidFrameError, FrameTooLargeError, FrameDroppedError)
"""What is wrong with one picture alone: the next may do."""


@dataclass(frozen=True)
class SegmentedFile:
    """What was made of one picture.

    Args:
        image: The picture.
        mask: Its ids, an 8-bit grey PNG.
        overlay: The picture under its class colours, a PNG.
    """

    image: Path
    mask: Path
    overlay: Path


@dataclass(frozen=True)
class SegmentedFiles:
    """What was made of all pictures.

    Args:
        made: Those that got a mask, in their order.
        failures: Why the others got none; each names its picture.
    """

    made: tuple[SegmentedFile, ...]
    failures: tuple[ServingError, ...]


def segment_paths(
    paths: Sequence[Path],
    server: str,
    out: Path,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    credentials: grpc.ChannelCredentials | None = None,
    show_progress: bool = True,
) -> SegmentedFiles:
    """Segment pictures; writes `OUT/masks/NAME.png` and `OUT/overlays/NAME.png`.

    A picture that cannot be read, or that the server does not take, does not keep the others from it.

    Args:
        paths: JPEG and PNG files, and folders whose JPEG and PNG files are taken.
        server: `HOST:PORT`.
        out: Folder for the results; made if it is missing.
        timeout_s: Seconds that one picture may take.
        credentials: For TLS; None for plaintext.
        show_progress: Draw a progress bar.

    Raises:
        InvalidFrameError: There is no picture, or two of them would get one name.
        ServingError: No server, no model yet, or too much to do.
    """
    images = find_images(paths)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    made: list[SegmentedFile] = []
    failures: list[ServingError] = []
    with SegmentationClient(server, timeout_s=timeout_s, credentials=credentials) as client:
        info = client.model_info()  # before folders are made and a bar is drawn: an unreachable server leaves no trace
        for folder in ("masks", "overlays"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        with Progress(*columns, disable=not show_progress) as bar:
            for image in bar.track(images, description=f"{info.name} version {info.version}"):
                try:
                    made.append(_segment_file(client, info, image, out))
                except _OF_THE_PICTURE as error:
                    failures.append(error)
    return SegmentedFiles(tuple(made), tuple(failures))


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The JPEG and PNG files among `paths` and directly in its folders, folders sorted by name.

    Raises:
        InvalidFrameError: One of `paths` is missing or another kind of file, there is none at all, or two have the
            same name.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            found.append(path)
        elif not path.exists():
            raise InvalidFrameError("no such file or folder", where=path)
        else:
            raise InvalidFrameError("is no folder, no JPEG or PNG file and no video", where=path)
    if not found:
        others = left_out(paths)
        raise InvalidFrameError(
            "holds no JPEG or PNG file" + (f", but {others}" if others else ""),
            where=", ".join(map(str, paths)),
            remedy="Name videos and inner folders themselves." if others else None,
        )
    by_name: dict[str, Path] = {}
    for path in found:
        if (other := by_name.setdefault(path.stem, path)) is not path:
            raise InvalidFrameError(f"would get the same mask as {other}", where=path, remedy="Rename one of them.")
    return found


def left_out(paths: Sequence[Path]) -> str:
    """What lies directly in the folders among `paths` and is not taken, for people; empty if all is.

    Returns:
        For example `2 videos and 1 folder`.
    """
    counts: Counter[str] = Counter()
    for item in (item for path in paths if path.is_dir() for item in path.iterdir()):
        if item.is_dir():
            counts["folder"] += 1
        elif item.suffix.lower() in VIDEO_SUFFIXES:
            counts["video"] += 1
        elif item.suffix.lower() not in SUFFIXES and not item.name.startswith("."):
            counts["other file"] += 1
    parts = [f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}" for kind in sorted(counts, reverse=True)]
    return " and ".join(", ".join(parts).rsplit(", ", 1))


def _segment_file(client: SegmentationClient, info: ModelInfo, path: Path, out: Path) -> SegmentedFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidFrameError(f"cannot be read: {error.strerror or error}", where=path) from error
    try:
        mask = client.segment(data).mask
    except ServingError as error:
        raise type(error)(str(error), where=path) from error
    image = np.asarray(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8
    )
    result = SegmentedFile(path, out / "masks" / f"{path.stem}.png", out / "overlays" / f"{path.stem}.png")
    result.mask.write_bytes(encode_mask(mask, MaskFormat.PNG))
    drawn = cv2.cvtColor(overlay(image, mask, info.palette), cv2.COLOR_RGB2BGR)
    result.overlay.write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
    return result
