"""The worst frames as pictures that travel inside the page.

Legend: `H W` pixels of a frame.
"""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.datasets.catalogue import build_dataset
from isthmus.datasets.label_space import IGNORE_INDEX, LABEL_SPACES, LabelSpace
from isthmus.datasets.sample import Sample
from isthmus.training.figures import overlay
from isthmus.training.gate.config import GateConfig
from isthmus.training.gate.evidence import FrameScore, Judgement
from isthmus.training.method import Picture
from isthmus.training.onnx_model import OnnxModel

ONLY_CHALLENGER: Final = (0, 114, 178)
"""Blue: the challenger is right and the champion wrong. These three stay apart for colour-blind eyes."""
ONLY_CHAMPION: Final = (213, 94, 0)
"""Orange: the challenger is wrong and the champion, if there is one, right."""
BOTH_WRONG: Final = (204, 121, 167)
"""Pink: they differ and neither is right, or nobody knows."""
_WIDTHS: Final = (420, 320, 240, 180, 120)
_BUDGET_BYTES: Final = 2_000_000
_QUALITY: Final = 78
_DIMMED: Final = 0.35

Labels = NDArray[np.uint8]
"""[H, W] train ids, 255 unlabelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturedFrame:
    """A frame and what was seen in it."""

    score: FrameScore
    """Which frame, and how well it was segmented."""
    image: Picture
    """[H, W, 3]."""
    challenger: Labels
    champion: Labels | None
    """None where there is no champion."""
    truth: Labels


FramePictures = Mapping[str, Sequence[PicturedFrame]]
"""By title of the target, worst frames first."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a frame, ready for a page."""

    title: str
    told: str
    """What it shows, for those who cannot see it."""
    uri: str
    """`data:image/webp;base64,…`."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FrameRow:
    """All pictures of one frame."""

    score: FrameScore
    panels: tuple[Panel, ...]


def draw_worst_frames(
    judgement: Judgement,
    gate: GateConfig,
    challenger: OnnxModel,
    champion: OnnxModel | None,
    *,
    most: int = 4,
    on_progress: Callable[[int, int], None] | None = None,
) -> FramePictures:
    """Read the challenger's worst frames again and segment them with both models.

    Args:
        judgement: Names the frames.
        gate: Says where the frames lie.
        challenger: The judged model.
        champion: The one that it was compared with, if any.
        most: Frames a target.
        on_progress: Called after each frame with the numbers done and in all.

    Raises:
        DataError: A frame cannot be read.
    """
    configs = {target.title: target.data for target in gate.targets}
    chosen = {
        target.title: target.worst_frames[:most]
        for target in judgement.challenger.targets
        if target.title in configs and target.worst_frames
    }
    number = sum(map(len, chosen.values()))
    pictures: dict[str, list[PicturedFrame]] = {}
    done = 0
    for title, scores in chosen.items():
        dataset = build_dataset(configs[title])
        pictures[title] = []
        for score in scores:
            pictures[title].append(_pictured(dataset[score.index], score, challenger, champion))
            done += 1
            if on_progress is not None:
                on_progress(done, number)
    return pictures


def frame_rows(pictures: FramePictures, spaces: Mapping[str, str]) -> dict[str, list[FrameRow]]:
    """Pictures as panels: frame, champion, challenger, difference, truth; small enough for a page together.

    Args:
        pictures: By target.
        spaces: Name of the label space by target.
    """
    rows: dict[str, list[FrameRow]] = {}
    for width in _WIDTHS:
        rows = {
            title: [
                FrameRow(frame.score, tuple(_panels(frame, LABEL_SPACES[spaces[title]], width))) for frame in frames
            ]
            for title, frames in pictures.items()
        }
        if sum(len(panel.uri) for each in rows.values() for row in each for panel in row.panels) <= _BUDGET_BYTES:
            break
    return rows


def difference_picture(frame: PicturedFrame, space: LabelSpace) -> Picture:
    """A dimmed frame with the pixels on which the two models differ, by who is right; without a champion, with errors.

    Only pixels whose truth has a class of the target are coloured as right or wrong.
    """
    grey = frame.image.mean(2, keepdims=True) * _DIMMED
    picture: Picture = np.repeat(grey, 3, axis=2).round().astype(np.uint8)
    truth, challenger = space.fold(frame.truth), space.fold(frame.challenger)
    known = truth != IGNORE_INDEX
    right = challenger == truth
    if frame.champion is None:
        picture[known & ~right] = ONLY_CHAMPION
        return picture
    champion = space.fold(frame.champion)
    differ = challenger != champion
    picture[differ] = BOTH_WRONG
    picture[differ & known & right] = ONLY_CHALLENGER
    picture[differ & known & (champion == truth)] = ONLY_CHAMPION
    return picture


def _panels(frame: PicturedFrame, space: LabelSpace, width: int) -> Iterator[Panel]:
    name = frame.score.name

    def labels(train_ids: Labels) -> Picture:
        return overlay(frame.image, space.fold(train_ids), space)

    drawn = [("frame", f"Frame {name}", frame.image)]
    if frame.champion is not None:
        drawn.append(("champion", f"Classes that the champion sees in {name}", labels(frame.champion)))
    drawn.append(("challenger", f"Classes that the challenger sees in {name}", labels(frame.challenger)))
    told = "Wrong pixels" if frame.champion is None else "Pixels on which challenger and champion differ"
    drawn.append(
        ("errors" if frame.champion is None else "difference", f"{told} in {name}", difference_picture(frame, space))
    )
    drawn.append(("truth", f"True classes in {name}", labels(frame.truth)))
    for title, told, picture in drawn:
        yield _panel(title, told, picture, width)


def _panel(title: str, told: str, picture: Picture, width: int) -> Panel:
    height, whole = picture.shape[:2]
    size = (width, max(1, round(height * width / whole))) if whole > width else (whole, height)
    buffer = io.BytesIO()
    Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=_QUALITY)
    uri = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Panel(title=title, told=told, uri=uri, width=size[0], height=size[1])


def _pictured(sample: Sample, score: FrameScore, challenger: OnnxModel, champion: OnnxModel | None) -> PicturedFrame:
    return PicturedFrame(
        score=score,
        image=sample["image"],
        challenger=_labels(challenger, sample["image"]),
        champion=None if champion is None else _labels(champion, sample["image"]),
        truth=sample["mask"],
    )


def _labels(model: OnnxModel, image: Picture) -> Labels:
    labels, _ = model.predict(image[None])
    first: Labels = labels[0]
    return first
