"""Rendering a whole set: frames in parallel processes, into a data set's layout, resumable."""

import hashlib
import math
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.catalogue import layout_writer
from isthmus.datasets.journal import FrameJournal, digest_of_frames
from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.datasets.layout import LayoutWriter
from isthmus.datasets.worlds.annotation import outlined
from isthmus.datasets.worlds.camera.lens import Bend
from isthmus.datasets.worlds.camera.pinhole import Camera
from isthmus.datasets.worlds.camera.sensor import Shot, develop
from isthmus.datasets.worlds.drawing.renderer import Frame, Renderer
from isthmus.datasets.worlds.looks import world_style
from isthmus.datasets.worlds.manifest import (
    RENDERER_VERSION,
    Manifest,
    SplitRecord,
    check_same_request,
    read_manifest,
    write_manifest,
)
from isthmus.datasets.worlds.scene import Scene, build_scene, frame_generator
from isthmus.datasets.worlds.style import WorldStyle
from isthmus.errors import ConfigurationError, EnvironmentMissingError

_SMALLEST_SIDE: Final = 32
_QUEUED_PER_WORKER: Final = 2


class LabelledFrame(NamedTuple):
    """A finished frame."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    train_ids: NDArray[np.uint8]
    """[H, W] train ids, 255 ignored."""
    instances: NDArray[np.uint16]
    """[H, W] number of the object, 0 for stuff."""

    def digest(self) -> str:
        """SHA-256 (hex) over the three arrays' bytes."""
        content = hashlib.sha256()
        for array in self:
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()


class _Request(NamedTuple):
    world: str
    layout: str
    split: str
    size_hw: tuple[int, int]
    seed: int
    out: Path


def render_frame(renderer: Renderer, world: WorldStyle, *, split: str, seed: int, index: int) -> LabelledFrame:
    """Frame `index` of a world; the same numbers give the same bytes on the same driver."""
    rng = frame_generator(world, split=split, seed=seed, index=index)
    scene = build_scene(world, rng)
    frame = through_lens(renderer.render(scene), scene.camera)
    train_ids, instances = outlined(frame.train_ids, frame.instances, world.labels)
    legal = np.isin(train_ids, sorted(world.train_ids))
    return LabelledFrame(
        develop(frame.radiance, world.sensor, rng, _shot(scene, frame.train_ids.shape)),
        np.where(legal, train_ids, IGNORE_INDEX).astype(np.uint8),
        instances,
    )


def through_lens(frame: Frame, camera: Camera) -> Frame:
    """What the camera's lens makes of a pinhole frame: picture and labels bend alike."""
    if camera.lens.is_straight:
        return frame
    height, width = frame.train_ids.shape
    bend = Bend(camera.lens, camera.focal, (height, width))
    return Frame(bend.picture(frame.radiance), bend.labels(frame.train_ids), bend.labels(frame.instances))


def _shot(scene: Scene, size_hw: tuple[int, ...]) -> Shot:
    light, camera = scene.light, scene.camera
    height, width = size_hw
    pixels = camera.focal * (height * width) ** 0.5
    return Shot(
        exposure=light.exposure,
        metered_on_sky=light.metered_on_sky,
        night=light.night,
        rain=light.rain,
        vanishing=(0.5 - math.tan(camera.yaw) * pixels / width, 0.5 + math.tan(camera.pitch) * pixels / height),
    )


def render_world(
    *,
    world: str,
    layout: str,
    split: str,
    num_frames: int,
    size_hw: tuple[int, int],
    seed: int,
    out: Path,
    workers: int,
    progress: bool,
) -> Manifest:
    """Render labelled frames of a world into a data set's layout.

    Frame `i` depends on (world, split, seed, i) only, so any number of workers writes the same bytes. An
    interrupted call goes on where it stopped when it is made again; a finished one returns at once.

    Args:
        world: Name of a world; see `looks.WORLDS`.
        layout: Name of the layout to write; see `isthmus.datasets.catalogue.DATASETS`.
        split: A split of that layout.
        num_frames: Frames in the split.
        size_hw: Height and width in pixels, 32 and up.
        seed: Seed of the whole set, 0 and up.
        out: The set's top folder; may hold other splits of the same request.
        workers: Processes; 1 renders in this one.
        progress: Show a progress bar on the terminal.

    Raises:
        ConfigurationError: An argument is out of range, or `out` cannot be written or holds another request's frames.
        EnvironmentMissingError: OpenGL cannot start, or a worker process was killed.
    """
    style = world_style(world)
    request = _Request(world, layout, split, size_hw, seed, out)
    writer = layout_writer(layout)(out, split)
    check_numbers(size_hw, seed, num_frames=num_frames, workers=workers)
    with Renderer(size_hw, samples=style.samples) as renderer:
        manifest = _opened_manifest(request, renderer.driver)
        if split in manifest.splits:
            return _finished(out, split, manifest, num_frames)
        journal = FrameJournal(out, split, num_frames)
        done = journal.read()
        missing = [index for index in range(num_frames) if index not in done]
        serial = workers == 1
        frames = (
            _in_this_process(renderer, writer, request, missing) if serial else _in_workers(request, missing, workers)
        )
        for index, digest in _shown(frames, f"{world}/{split}", len(done), num_frames, progress=progress):
            journal.add(index, digest)
            done[index] = digest
    writer.finish()
    record = SplitRecord(num_frames=num_frames, digest=digest_of_frames(done))
    manifest = replace(manifest, splits={**manifest.splits, split: record})
    write_manifest(out, manifest)
    journal.remove()
    return manifest


def check_numbers(size_hw: tuple[int, int], seed: int, **counts: int) -> None:
    """Refuse numbers that no street can be drawn with.

    Args:
        size_hw: Height and width in pixels, 32 and up.
        seed: 0 and up.
        counts: Whatever must be 1 or more, by name.

    Raises:
        ConfigurationError: One of them is too small.
    """
    if min(size_hw) < _SMALLEST_SIDE:
        raise ConfigurationError(
            f"size {size_hw[0]}x{size_hw[1]} is too small to show a street",
            remedy=f"Use sides of {_SMALLEST_SIDE} and up.",
        )
    if seed < 0:
        raise ConfigurationError(f"seed is {seed}", remedy="Use 0 or more.")
    for name, count in counts.items():
        if count < 1:
            raise ConfigurationError(f"{name} is {count}", remedy="Use 1 or more.")


def _opened_manifest(request: _Request, driver: str) -> Manifest:
    """The folder's manifest, written first where there is none: it claims the folder for this request."""
    wanted = Manifest(
        world=request.world,
        layout=request.layout,
        size_hw=request.size_hw,
        seed=request.seed,
        renderer_version=RENDERER_VERSION,
        driver=driver,
        splits={},
    )
    try:
        found = read_manifest(request.out)
        if found is None:
            write_manifest(request.out, wanted)
            return wanted
    except OSError as error:
        raise ConfigurationError(
            f"cannot hold a data set ({error.strerror})", where=request.out, remedy="Choose another folder for it."
        ) from error
    check_same_request(request.out, found, wanted, request.split)
    return found


def _finished(out: Path, split: str, manifest: Manifest, num_frames: int) -> Manifest:
    there = manifest.splits[split].num_frames
    if there != num_frames:
        raise ConfigurationError(
            f"split {split!r} is finished with {there} frames, not {num_frames}",
            where=out,
            remedy="Render into a new folder, or remove this one.",
        )
    return manifest


def _write_frame(renderer: Renderer, writer: LayoutWriter, request: _Request, index: int) -> tuple[int, str]:
    frame = render_frame(renderer, world_style(request.world), split=request.split, seed=request.seed, index=index)
    writer.write(index, frame.image, frame.train_ids, frame.instances)
    return index, frame.digest()


def _in_this_process(
    renderer: Renderer, writer: LayoutWriter, request: _Request, indices: list[int]
) -> Iterator[tuple[int, str]]:
    for index in indices:
        yield _write_frame(renderer, writer, request, index)


_worker: tuple[Renderer, LayoutWriter, _Request] | None = None
"""A worker process's renderer: a context is far too dear to open one a frame."""


def _start_worker(request: _Request, workers: int) -> None:
    import cv2

    global _worker  # noqa: PLW0603 - an executor's initializer has no other way to leave something behind
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    cv2.setNumThreads(threads)
    # Mesa's llvmpipe reads this: more threads than cores would only fight each other.
    os.environ.setdefault("LP_NUM_THREADS", str(threads))
    renderer = Renderer(request.size_hw, samples=world_style(request.world).samples)
    _worker = renderer, layout_writer(request.layout)(request.out, request.split), request


def _work(index: int) -> tuple[int, str]:
    assert _worker is not None
    return _write_frame(*_worker, index)


def _in_workers(request: _Request, indices: list[int], workers: int) -> Iterator[tuple[int, str]]:
    """Frames as they finish. Fresh processes, because OpenGL contexts do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(request, workers))
    try:
        todo = iter(indices)
        running: set[Future[tuple[int, str]]] = set()
        while True:
            while len(running) < workers * _QUEUED_PER_WORKER and (index := next(todo, None)) is not None:
                running.add(pool.submit(_work, index))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise EnvironmentMissingError(
            f"one of {workers} rendering processes ended before its frame was done, most often for want of memory",
            where=request.out,
            remedy="Use fewer workers, or free memory; the same command goes on where this one stopped.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _shown(
    frames: Iterator[tuple[int, str]], title: str, already: int, total: int, *, progress: bool
) -> Iterator[tuple[int, str]]:
    """The same frames, counted by a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task(f"rendering {title}", total=total, completed=already)
        for frame in frames:
            bar.advance(task)
            yield frame
