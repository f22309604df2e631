"""A contact sheet to look at with one's own eyes: image, labels and instances of a few frames a world."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.datasets.layout import write_png
from isthmus.datasets.worlds.drawing.renderer import Renderer
from isthmus.datasets.worlds.looks import WORLDS, world_style
from isthmus.datasets.worlds.render import LabelledFrame, check_numbers, render_frame
from isthmus.errors import ConfigurationError

_GOLDEN: Final = 0.6180339887498949


def render_gallery(
    out_png: Path,
    *,
    worlds: Sequence[str] = tuple(WORLDS),
    frames_per_world: int = 3,
    size_hw: tuple[int, int] = (256, 512),
    seed: int = 0,
) -> None:
    """Write one PNG: a row of images, a row of labels and a row of instances for each world.

    Args:
        out_png: The file to write.
        worlds: Names of worlds, one block of rows each.
        frames_per_world: Columns.
        size_hw: Size of each picture.
        seed: Seed of the frames.

    Raises:
        ConfigurationError: No such world, a number is out of range, or `out_png` cannot be written.
        EnvironmentMissingError: OpenGL cannot start.
    """
    check_numbers(size_hw, seed, worlds=len(worlds), frames=frames_per_world)
    styles = [world_style(name) for name in worlds]
    rows = []
    for style in styles:
        with Renderer(size_hw, samples=style.samples) as renderer:
            frames = [
                render_frame(renderer, style, split="gallery", seed=seed, index=index)
                for index in range(frames_per_world)
            ]
        for draw in (_image, _labels, _instances):
            rows.append(np.concatenate([draw(frame) for frame in frames], axis=1))
    try:
        write_png(out_png, np.concatenate(rows, axis=0))
    except OSError as error:
        raise ConfigurationError(
            f"cannot be written ({error.strerror})", where=out_png, remedy="Choose another file for the gallery."
        ) from error


def _image(frame: LabelledFrame) -> NDArray[np.uint8]:
    return frame.image


def _labels(frame: LabelledFrame) -> NDArray[np.uint8]:
    return CITYSCAPES19.colorize(frame.train_ids)


def _instances(frame: LabelledFrame) -> NDArray[np.uint8]:
    """One colour an object, far apart for neighbouring numbers; stuff is dark."""
    hue = (frame.instances[..., None] * _GOLDEN + np.array([0.0, 0.33, 0.67])) % 1.0
    colors = (80 + 175 * np.abs(2 * hue - 1)).astype(np.uint8)
    return np.where(frame.instances[..., None] > 0, colors, frame.image // 4).astype(np.uint8)
