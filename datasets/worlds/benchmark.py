"""How fast worlds are rendered: whole sets into a temporary folder, scene building, sensor and files included."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.datasets.catalogue import layout_writer
from isthmus.datasets.worlds.looks import world_style
from isthmus.datasets.worlds.manifest import Manifest
from isthmus.datasets.worlds.render import check_numbers, render_world
from isthmus.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class WorldSpeed:
    """What one world took; seconds of wall clock unless named otherwise."""

    world: str
    num_frames: int
    """Rendered after the start."""
    start_s: float
    """Until every worker has written its first frame: processes, OpenGL, shaders."""
    frames_s: float
    """For the `num_frames` after that."""
    cpu_s_per_frame: float
    """Processor time of all processes for one of those frames."""
    driver: str

    @property
    def frames_per_s(self) -> float:
        """Frames a second, the start left out."""
        return self.num_frames / self.frames_s


def measure_worlds(
    worlds: Sequence[str], *, num_frames: int, size_hw: tuple[int, int], workers: int, seed: int
) -> Iterator[WorldSpeed]:
    """Render each world in turn and time it.

    A set is rendered twice from nothing: with one frame a worker, which is all start, and with `num_frames` more;
    the difference is what frames take. Nothing else should run on the machine.

    Args:
        worlds: Names of worlds.
        num_frames: Frames of each that are timed.
        size_hw: Height and width in pixels, 32 and up.
        workers: Processes.
        seed: Seed of the sets, 0 and up.

    Yields:
        A result as soon as its world is done.

    Raises:
        ConfigurationError: No such world, or a number is out of range.
        EnvironmentMissingError: OpenGL cannot start.
    """
    check_numbers(size_hw, seed, num_frames=num_frames, workers=workers)
    if not worlds:
        raise ConfigurationError("no world to measure", remedy="Name at least one.")
    for name in worlds:
        world_style(name)
    for name in worlds:
        _, start_s, start_cpu_s = _timed(name, workers, size_hw=size_hw, workers=workers, seed=seed)
        made, whole_s, whole_cpu_s = _timed(name, workers + num_frames, size_hw=size_hw, workers=workers, seed=seed)
        yield WorldSpeed(
            world=name,
            num_frames=num_frames,
            start_s=start_s,
            frames_s=max(whole_s - start_s, 1e-9),
            cpu_s_per_frame=max(whole_cpu_s - start_cpu_s, 0.0) / num_frames,
            driver=made.driver,
        )


def _timed(
    world: str, num_frames: int, *, size_hw: tuple[int, int], workers: int, seed: int
) -> tuple[Manifest, float, float]:
    """A set, and the wall-clock and processor seconds that it took."""
    style = world_style(world)
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        begin, begin_cpu = time.perf_counter(), _processor_s()
        manifest = render_world(
            world=world,
            layout=style.layout,
            split=layout_writer(style.layout).splits[0],
            num_frames=num_frames,
            size_hw=size_hw,
            seed=seed,
            out=Path(folder),
            workers=workers,
            progress=False,
        )
        return manifest, time.perf_counter() - begin, _processor_s() - begin_cpu


def _processor_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
