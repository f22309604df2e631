"""What is kept of a video while its masks come: pictures wait for their reports, and are written in their order."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import cv2
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
        name: The video's.
        verdicts: How many frames got which verdict.
        masks: Folder of the masks, `NUMBER.png` by the frame's place in the video; None where none were asked for, or
            no frame got one.
        overlay: The video with class colours, in which frames without a mask are grey and say why; None where it was
            not asked for, or no frame came.
        reason: Why the last of the frames without a mask has none; empty if all have one.
        num_older: Masks of an earlier run that lie in the same folder and were not written anew.
    """

    name: str
    verdicts: Mapping[Verdict, int]
    masks: Path | None
    overlay: Path | None
    reason: str = ""
    num_older: int = 0

    @property
    def num_segmented(self) -> int:
        """How many frames got a mask."""
        return self.verdicts.get(Verdict.SEGMENTED, 0)

    def __str__(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{count} {verdict.value}" for verdict, count in sorted(self.verdicts.items()))
        made = " and ".join(str(path) for path in (self.masks, self.overlay) if path is not None)
        num_frames = sum(self.verdicts.values())
        line = f"{num_frames} {'frame' if num_frames == 1 else 'frames'}: {counts or 'none'}; {made or 'nothing made'}"
        if not self.num_older:
            return line
        masks = "mask" if self.num_older == 1 else "masks"
        return f"{line}; {self.num_older} {masks} of an earlier run lie there too"


class Reel:
    """Writes `OUT/masks/NAME/NUMBER.png` and `OUT/overlays/NAME.mp4`; a context manager that completes them.

    Args:
        out: Folder for the results; made if it is missing.
        name: The video's.
        fps: Of the overlay video.
        products: What is written.
    """

    def __init__(self, out: Path, name: str, fps: float, products: frozenset[Product]) -> None:
        self._name = name
        self._masks = out / "masks" / name if Product.MASKS in products else None
        self._overlay = out / "overlays" / f"{name}.mp4" if Product.OVERLAYS in products else None
        self._older = set() if self._masks is None else {path.name for path in self._masks.glob("*.png")}
        self._any_mask = False
        self._reason = ""
        if self._overlay is not None:
            self._overlay.parent.mkdir(parents=True, exist_ok=True)
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
        if report.segmentation is None:
            self._reason = report.reason
        while self._pictures and self._pictures[0][0] in self._reports:
            number, place, image = self._pictures.popleft()
            self._write(place, image, self._reports.pop(number))

    def result(self) -> SegmentedVideo:
        """What was made."""
        return SegmentedVideo(
            name=self._name,
            verdicts=dict(self._verdicts),
            masks=self._masks if self._any_mask else None,
            overlay=self._overlay if self._writer is not None and self._writer.has_begun else None,
            reason=self._reason,
            num_older=len(self._older),
        )

    def _write(self, place: int, image: Image, report: FrameReport) -> None:
        answer = report.segmentation
        if self._masks is not None and answer is not None:
            if not self._any_mask:  # not before: a folder without a mask would look like a result
                self._masks.mkdir(parents=True, exist_ok=True)
                self._any_mask = True
            path = self._masks / f"{place:06d}.png"
            path.write_bytes(encode_mask(answer.mask, MaskFormat.PNG))
            self._older.discard(path.name)
        if self._writer is not None:
            if answer is None:
                drawn = without_mask(image, report.verdict)
            elif report.model is None:  # the server has not named its colours
                drawn = image
            else:
                drawn = overlay(image, answer.mask, report.model.palette)
            self._writer.write(drawn)


def without_mask(image: Image, verdict: Verdict) -> Image:
    """A frame that got no mask, so that nobody takes it for one without objects: grey, with its verdict, RGB."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    scale = max(0.4, image.shape[0] / 600)
    at = (round(10 * scale), round(30 * scale))
    for color, width in (((0, 0, 0), max(2, round(4 * scale))), ((255, 255, 255), 1)):  # legible on any picture
        cv2.putText(grey, f"no mask: {verdict.value}", at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)
    return np.asarray(grey, np.uint8)
