"""What is kept of a video while its masks come: pictures wait for their reports, and are written in their order."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np

from isthmus.serving.client import FrameReport, Verdict, overlay
from isthmus.serving.codec import MaskFormat, encode_mask
from isthmus.serving.video import Image, VideoWriter


class Product(StrEnum):
    """What is written."""

    MASKS = "masks"
    OVERLAYS = "overlays"


@dataclass(frozen=True)
class SegmentedVideo:
    """What was made of a video or a camera's frames.

    Args:
        verdicts: How many frames got which verdict.
        masks: Folder of the masks, `NUMBER.png` by the frame's place in the video; None where none were asked for, or
            none came.
        overlay: The video with class colours, in which frames without a mask are grey; None where it was not asked
            for, or no frame came.
    """

    verdicts: Mapping[Verdict, int]
    masks: Path | None
    overlay: Path | None

    @property
    def num_segmented(self) -> int:
        """Frames that got a mask."""
        return self.verdicts.get(Verdict.SEGMENTED, 0)

    def __str__(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{count} {verdict.value}" for verdict, count in sorted(self.verdicts.items()))
        made = " and ".join(str(path) for path in (self.masks, self.overlay) if path is not None)
        return f"{sum(self.verdicts.values())} frames: {counts or 'none'}; {made or 'nothing was made'}"


class Reel:
    """Writes `OUT/masks/NAME/NUMBER.png` and `OUT/overlays/NAME.mp4`; a context manager that completes them.

    Args:
        out: Folder for the results; made if it is missing.
        name: The video's.
        fps: Of the overlay video.
        products: What is written.
    """

    def __init__(self, out: Path, name: str, fps: float, products: frozenset[Product]) -> None:
        self._masks = out / "masks" / name if Product.MASKS in products else None
        self._overlay = out / "overlays" / f"{name}.mp4" if Product.OVERLAYS in products else None
        for folder in (self._masks, self._overlay and self._overlay.parent):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        self._writer = None if self._overlay is None else VideoWriter(self._overlay, fps)
        self._verdicts: Counter[Verdict] = Counter()
        self._pictures: deque[tuple[int, int, Image]] = deque()
        self._reports: dict[int, FrameReport] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, number: int, place: int, image: Image) -> None:
        """Keep a picture until its report comes.

        Args:
            number: Its sequence number; these grow.
            place: Its place in the video, from 0.
            image: RGB [H, W, 3] uint8.
        """
        self._pictures.append((number, place, image))

    def report(self, report: FrameReport) -> None:
        """Take a report, and write all pictures whose turn it is."""
        self._verdicts[report.verdict] += 1
        self._reports[report.sequence_number] = report
        while self._pictures and self._pictures[0][0] in self._reports:
            number, place, image = self._pictures.popleft()
            self._write(place, image, self._reports.pop(number))

    def result(self) -> SegmentedVideo:
        """What was made."""
        overlay_made = self._overlay if self._overlay is not None and self._overlay.exists() else None
        masks_made = self._masks if self._verdicts[Verdict.SEGMENTED] else None
        return SegmentedVideo(dict(self._verdicts), masks_made, overlay_made)

    def _write(self, place: int, image: Image, report: FrameReport) -> None:
        answer = report.segmentation
        if self._masks is not None and answer is not None:
            (self._masks / f"{place:06d}.png").write_bytes(encode_mask(answer.mask, MaskFormat.PNG))
        if self._writer is not None:
            drawn = np.repeat(image.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
            if answer is not None and report.model is not None:
                drawn = overlay(image, answer.mask, report.model.palette)
            self._writer.write(drawn)
