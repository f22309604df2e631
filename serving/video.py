"""Videos and cameras in, overlay videos out, through OpenCV."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataMissingError, EnvironmentMissingError, UnreadableFileError

Image: TypeAlias = NDArray[np.uint8]
"""RGB [H, W, 3] uint8."""
SUFFIXES: Final = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"})
"""Files that are taken for videos."""
_USUAL_FPS: Final = 30.0  # of a camera that does not say


class Video:
    """Frames from a file or a camera.

    Args:
        capture: The open `cv2.VideoCapture`.
        where: The file or the camera, for errors.
    """

    def __init__(self, capture: Any, where: str) -> None:
        self._capture = capture
        self._where = where
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps < 1000 else _USUAL_FPS
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.num_frames = count if count > 0 else None
        """As its header says, which may be wrong; None where it says nothing."""

    def close(self) -> None:
        """Let the file or the camera go."""
        self._capture.release()

    def __iter__(self) -> Iterator[Image]:
        """RGB [H, W, 3] uint8.

        Raises:
            UnreadableFileError: Not one frame can be decoded.
        """
        number = 0
        while True:
            read, image = self._capture.read()
            if not read:
                break
            number += 1
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        if number == 0:
            raise UnreadableFileError("gives no frame", where=self._where)


def open_video(path: Path) -> Video:
    """Open a video file.

    Raises:
        DataMissingError: There is no such file.
        UnreadableFileError: It is no video that OpenCV's FFmpeg can read.
    """
    if not path.is_file():
        raise DataMissingError("no such video file", where=path)
    capture = _open(str(path))
    if not capture.isOpened():
        raise UnreadableFileError(
            "is no video that can be read", where=path, remedy="Play it with another program, or convert it to MP4."
        )
    return Video(capture, str(path))


def open_camera(index: int) -> Video:
    """Open a camera of this machine.

    Args:
        index: 0 is /dev/video0.

    Raises:
        EnvironmentMissingError: There is none, or another program has it.
    """
    capture = _open(index)
    if not capture.isOpened():
        raise EnvironmentMissingError(
            "no camera answers",
            where=f"camera {index}",
            remedy=f"Look whether /dev/video{index} is there, may be read by you, and is free.",
        )
    return Video(capture, f"camera {index}")


class VideoWriter:
    """Writes an MP4 file, made with its first frame and complete when it is closed.

    Args:
        path: The file.
        fps: Frames a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._writer: Any = None

    @property
    def has_begun(self) -> bool:
        """Whether a frame was written, and with it the file."""
        return self._writer is not None

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()

    def write(self, image: Image) -> None:
        """Add a frame, RGB [H, W, 3] uint8; all have one size.

        Raises:
            EnvironmentMissingError: OpenCV cannot write such a file here.
        """
        height, width = image.shape[:2]
        if height % 2 or width % 2:  # the codec halves colours: it would cut the last row and column off
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._writer is None:
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, (image.shape[1], image.shape[0]))
            if not self._writer.isOpened():
                raise EnvironmentMissingError(
                    "OpenCV cannot write this video", where=self._path, remedy="Ask for masks only: --only masks."
                )
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _open(source: str | int) -> Any:
    # What the libraries below would print about a file that is no video, our own error says better.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(source)
    finally:
        cv2.utils.logging.setLogLevel(level)
