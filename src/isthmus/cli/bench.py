"""Verbs that measure speed on this machine."""

import json
from pathlib import Path
from typing import Annotated, Literal

import tyro


def data(
    *,
    dataset: str,
    root: Path,
    split: str | None = None,
    shards: Path | None = None,
    workers: tuple[int, ...] = (0, 1, 2),
    seconds: float = 5.0,
    crop_size_hw: tuple[int, int] = (256, 512),
    batch_size: int = 8,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Measure how fast training frames load, from files and from shards.

    $ isthmus bench data --dataset gta5 --root data/gta5 --shards data/gta5-shards --workers 0 1 2

    Args:
        dataset: A data set in its own layout.
        root: Its top folder.
        split: Its split; by default its first.
        shards: Folder where `isthmus data pack` put it; without it, it is packed into a temporary folder first.
        workers: Numbers of worker processes; those that shards take are 0, 1, 2, 4 and 8.
        seconds: Of measuring for each figure.
        crop_size_hw: Height and width that frames are resized and cropped to.
        batch_size: Frames a batch.
        as_json: Print JSON instead of a table.
    """
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from isthmus.datasets.catalogue import SHARDS, DatasetConfig, splits_of
    from isthmus.datasets.loading_benchmark import measure_loading
    from isthmus.datasets.shards.packing import pack_dataset

    bar = Console(stderr=True)
    files = DatasetConfig(dataset=dataset, root=root, split=split or splits_of(dataset, root)[0])
    with ExitStack() as stack:
        if shards is None:
            shards = Path(stack.enter_context(TemporaryDirectory(prefix="isthmus-shards-")))
            pack_dataset(files, shards, progress=bar)
        report = measure_loading(
            files,
            DatasetConfig(dataset=SHARDS, root=shards, split=files.split),
            workers=workers,
            seconds=seconds,
            crop_size_hw=crop_size_hw,
            batch_size=batch_size,
            progress=bar,
        )
    if as_json:
        print(json.dumps(report.to_tree(), indent=2))
    else:
        report.render(Console())


def train(
    *,
    size_hw: tuple[int, int] = (256, 512),
    batch_size: int = 1,
    width: int = 64,
    blocks: int = 9,
    steps: int = 3,
    sources: tuple[int, ...] = (1, 2, 3, 4),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Measure a step of MADAN: time and peak memory, plain and with each way of saving memory.

    $ isthmus bench train
    $ isthmus bench train --size-hw 64 128 --width 16 --blocks 4 --steps 1

    The ways are measured with two sources; then the most saving one in fp32 with each number of sources.

    Args:
        size_hw: Height and width of the frames.
        batch_size: Frames a source.
        width: Channels of the generators' first layer.
        blocks: Residual units of the generators.
        steps: Timed steps of each figure.
        sources: Numbers of sources for the second table.
        device: auto takes a GPU where there is one.
        as_json: Print JSON instead of tables.
    """
    from rich.console import Console

    from isthmus.training.generators import GeneratorConfig
    from isthmus.training.madan.benchmark import VARIANTS, StepBenchmarkConfig, measure_steps, step_table

    config = StepBenchmarkConfig(
        size_hw=size_hw,
        batch_size=batch_size,
        steps=steps,
        generator=GeneratorConfig(width=width, blocks=blocks),
        device=device,
    )
    saving = "per source, checkpointed"
    rows = [*((variant, 2) for variant in VARIANTS), *((saving, number) for number in sources)]
    costs = []
    with Console(stderr=True).status("measuring") as status:
        for cost in measure_steps(config, rows):
            costs.append(cost)
            status.update(f"measured {cost.variant} with {cost.num_sources} sources")
    if as_json:
        print(json.dumps([cost.to_tree() for cost in costs], indent=2))
        return
    console = Console()
    console.print(step_table(costs[: len(VARIANTS)], "Ways of saving memory, two sources"))
    console.print(step_table(costs[len(VARIANTS) :], f"Numbers of sources, {saving}"))
