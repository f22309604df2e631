"""Verbs that render the built-in worlds, and what goes with them."""

from pathlib import Path
from typing import Final, Literal, get_args

World = Literal["arcade", "studio", "street", "street-night", "street-rain"]
Layout = Literal[
    "gta5", "synthia", "cityscapes", "bdd100k", "mapillary", "mapillary_v2", "idd", "idd_lite", "camvid", "folder"
]
_WORLDS: Final[tuple[World, ...]] = get_args(World)


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
        world: Whose look: arcade and studio are simulators, the streets stand in for the real one.
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
    worlds: tuple[World, ...] = _WORLDS,
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


def styles(*, out: Path, num_images: int = 160, size_hw: tuple[int, int] = (256, 512), seed: int = 0) -> None:
    """Draw style images for randomization: procedural textures and light moods, for those without photographs.

    $ isthmus worlds styles --out data/styles

    The same seed gives the same images; sixteen recipes take turns, so the first images of a set are a mixture too.

    Args:
        out: Folder of the images; `styles.json` in it tells how they were made.
        num_images: How many.
        size_hw: Height and width in pixels.
        seed: Decides palettes, textures and light.
    """
    from rich.console import Console
    from rich.progress import Progress

    from isthmus.datasets.worlds.styles import render_styles

    with Progress() as bar:
        task = bar.add_task("drawing styles", total=num_images)
        digest = render_styles(
            out=out, num_images=num_images, size_hw=size_hw, seed=seed, on_image=lambda _: bar.advance(task)
        )
    Console().print(f"{num_images} style images in {out}, digest {digest[:12]}")


def bench(
    *,
    worlds: tuple[World, ...] = _WORLDS,
    num_frames: int = 40,
    size_hw: tuple[int, int] = (256, 512),
    workers: int | None = None,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Measure how many frames a second each world renders, from scene building to the written file.

    $ isthmus bench worlds

    Run it on an idle machine. Seconds to the first frames (processes, OpenGL, shaders) are shown apart.

    Args:
        worlds: Which worlds.
        num_frames: Frames of each that are timed.
        size_hw: Height and width in pixels.
        workers: Processes; by default as many as there are cores.
        seed: Decides which streets are rendered.
        json: Print JSON instead of a table.
    """
    import os
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console
    from rich.table import Table

    from isthmus.datasets.worlds.benchmark import measure_worlds

    count = len(os.sched_getaffinity(0)) if workers is None else workers
    results = []
    with Console(stderr=True).status("rendering") as status:
        for result in measure_worlds(worlds, num_frames=num_frames, size_hw=size_hw, workers=count, seed=seed):
            results.append(result)
            status.update(f"rendered {result.world}")
    if json:
        rows = [{**asdict(result), "frames_per_s": result.frames_per_s} for result in results]
        print(dumps({"size_hw": size_hw, "workers": count, "seed": seed, "worlds": rows}, indent=2))
        return
    table = Table(
        "world",
        *("frames/s", "CPU s/frame", "start s"),
        title=f"{size_hw[1]}x{size_hw[0]}, {count} workers, {num_frames} frames each",
        caption=results[0].driver,
    )
    for result in results:
        speed, cpu, start = result.frames_per_s, result.cpu_s_per_frame, result.start_s
        table.add_row(result.world, f"{speed:.2f}", f"{cpu:.2f}", f"{start:.1f}")
    Console().print(table)
