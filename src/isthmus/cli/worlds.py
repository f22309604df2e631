"""Verbs that render the built-in worlds."""

from pathlib import Path
from typing import Literal

World = Literal["arcade", "studio", "street"]
Layout = Literal[
    "gta5", "synthia", "cityscapes", "bdd100k", "mapillary", "mapillary_v2", "idd", "idd_lite", "camvid", "folder"
]


def render(
    *,
    world: World,
    layout: Layout,
    num_frames: int,
    size_hw: tuple[int, int],
    seed: int,
    out: Path,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Render labelled street frames in a real data set's layout on disk.

    $ isthmus worlds render --world arcade --layout gta5 --num-frames 400 --size-hw 256 512 --seed 1 --out data/arcade

    The same seed gives the same frames; an interrupted render goes on where it stopped.

    Args:
        world: Whose look: arcade and studio are simulators, street stands in for the real street.
        layout: Whose files: they are read back as `dataset: LAYOUT`.
        num_frames: How many frames.
        size_hw: Height and width in pixels.
        seed: Decides geometry, light and camera.
        out: Folder of the data set.
        split: Split of the layout that is written; by default its first.
        workers: Processes; by default as many as there are cores.
    """
    import os

    from rich.console import Console

    from isthmus.datasets.catalogue import layout_writer
    from isthmus.datasets.worlds import render_world

    wanted = split or layout_writer(layout).splits[0]
    manifest = render_world(
        world=world,
        layout=layout,
        split=wanted,
        num_frames=num_frames,
        size_hw=size_hw,
        seed=seed,
        out=out,
        workers=len(os.sched_getaffinity(0)) if workers is None else workers,
        progress=True,
    )
    made = manifest.splits[wanted]
    Console().print(f"{made.num_frames} frames of {world} in {out} ({wanted}), digest {made.digest[:12]}")


def gallery(
    *,
    out: Path,
    worlds: tuple[World, ...] = ("arcade", "studio", "street"),
    frames: int = 3,
    size_hw: tuple[int, int] = (256, 512),
    seed: int = 0,
) -> None:
    """Draw a contact sheet: images, labels and instances of each world.

    $ isthmus worlds gallery --out gallery.png

    Args:
        out: The PNG to write.
        worlds: Which worlds.
        frames: Frames of each.
        size_hw: Height and width of each picture in pixels.
        seed: Decides which streets are shown.
    """
    from rich.console import Console

    from isthmus.datasets.worlds import render_gallery

    render_gallery(out, worlds=worlds, frames_per_world=frames, size_hw=size_hw, seed=seed)
    Console().print(f"{out}")
