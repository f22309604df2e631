"""Verbs that measure speed on this machine."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import tyro

from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.training.madan.benchmark import MadanBenchmarkConfig
    from isthmus.training.step_benchmark import StepBenchmarkConfig, StepCost

ServeScenario = Literal[
    "saturation",
    "single-stream",
    "constant-stream",
    "overload-2x",
    "burst",
    "mixed-sizes",
    "slow-reader",
    "flapping",
    "idle-streams",
    "hostile",
    "swap",
    "drain",
    "sweep",
    "soak",
]
"""As `isthmus.serving.bench.config.Scenario`, which is not imported for the sake of `--help`."""

_FILE_WIDTH: Final = 170
"""Columns of a table that goes to a file."""


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
    methods: tuple[Literal["madan", "randomization"], ...] = ("madan", "randomization"),
    size_hw: tuple[int, int] = (256, 512),
    batch_size: int = 1,
    width: int = 64,
    blocks: int = 9,
    scales: tuple[float, ...] = (1.0, 0.6),
    steps: int = 3,
    sources: tuple[int, ...] = (1, 2, 3, 4),
    views: tuple[int, ...] = (3, 5, 10, 15),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Measure a step of each method: time and peak memory, plain and with each way of saving memory.

    $ isthmus bench train
    $ isthmus bench train --methods madan --size-hw 64 128 --width 16 --blocks 4 --steps 1
    $ isthmus bench train --methods randomization --views 3 5 10 15

    MADAN's ways are measured with two sources; then the most saving one in fp32 with each number of sources. All parts
    of MADAN and MADAN+ play: (1) to (8), of which (5) and (6) from two sources on, alignment of features, scores and
    categories, the sources as they are, self-training, and each of `--scales`.
    Randomization is measured with one source, against source-only: with each number of views, all in one batch, and
    with the most views one a pass; then its parts with the fewest.

    Args:
        methods: Which of them.
        size_hw: Height and width of the frames.
        batch_size: Frames a source.
        width: Channels of the first layer of MADAN's generators.
        blocks: Residual units of MADAN's generators.
        scales: Shares of the frame that MADAN's generators see, the whole first; 1.0 alone is MADAN without MADAN+'s.
        steps: Timed steps of each figure.
        sources: Numbers of sources, for MADAN.
        views: Numbers of versions of each frame, itself among them, for randomization.
        device: auto takes a GPU where there is one.
        as_json: Print JSON instead of tables.
    """
    from rich.console import Console

    from isthmus.training.generators import GeneratorConfig
    from isthmus.training.madan.benchmark import MadanBenchmarkConfig
    from isthmus.training.step_benchmark import StepBenchmarkConfig, step_table

    tables: list[_Measured] = []
    with Console(stderr=True).status("measuring") as status:
        if "madan" in methods:
            generator = GeneratorConfig(width=width, blocks=blocks)
            sizes = MadanBenchmarkConfig(
                size_hw=size_hw, batch_size=batch_size, steps=steps, device=device, generator=generator, scales=scales
            )
            tables.extend(_madan_tables(sizes, sources, status.update))
        if "randomization" in methods:
            shared = StepBenchmarkConfig(size_hw=size_hw, batch_size=batch_size, steps=steps, device=device)
            tables.extend(_randomization_tables(shared, views, status.update))
    if as_json:
        unique = dict.fromkeys(cost for table in tables for cost in table.costs)
        print(json.dumps([cost.to_tree() for cost in unique], indent=2))
        return
    console = Console()
    for table in tables:
        console.print(step_table(table.costs, table.title, counted=table.counted, note=table.note))


def serve(
    *,
    model_file: Path | None = None,
    fake_engine_ms: float | None = None,
    scenarios: tuple[ServeScenario, ...] | None = None,
    seconds: float = 6.0,
    swap_seconds: float = 60.0,
    soak_seconds: float = 600.0,
    rounds: int = 3,
    vehicles: int = 4,
    size_hw: tuple[int, int] | None = None,
    budget_ms: float | None = None,
    num_threads: int = 1,
    provider: Literal["require_cuda", "cpu"] = "cpu",
    idle_streams: int = 1000,
    swap_every_s: float = 5.0,
    peers: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Measure the server under load: throughput against the bare loop, freshness under overload, troublesome clients.

    $ isthmus bench serve --model-file exports/source_only/model.onnx --fake-engine-ms 5 --out bench
    $ isthmus bench serve --fake-engine-ms 5 --scenarios saturation overload-2x
    $ isthmus bench serve --model-file exports/source_only/model.onnx --scenarios soak
    $ isthmus bench serve --model-file exports/source_only/model.onnx --provider require_cuda

    Virtual vehicles send frames when they are due, whatever becomes of those before, and latency counts from the due
    time. The server is a real one, on a free port. docs/operations/benchmarking_serving.md tells how to read the table.

    Args:
        model_file: An ONNX file that `isthmus export` made.
        fake_engine_ms: Take an engine that sleeps for so long instead; beside a model, for saturation only.
        scenarios: Which of them; by default all but soak.
        seconds: Of load, for each figure.
        swap_seconds: Of load with swaps, and again without.
        soak_seconds: Of load while memory is watched.
        rounds: How often what is compared is measured in turn.
        vehicles: Cameras that share the load.
        size_hw: Height and width of the frames; by default the network's own.
        budget_ms: Age at which a mask is of no more use; by default eight frames of the bare loop, at least 40.
        num_threads: Threads of the engine, in the server, in the peers and in the bare loop.
        provider: Where the model computes; other servers are compared on the CPU alone.
        idle_streams: Streams without frames beside a busy one.
        swap_every_s: Seconds from swap to swap.
        peers: Folder with the environments that tools/bench_peers.sh makes.
        seed: Of phases, jitter and cancellations.
        out: Folder for bench_serve.json and goodput.png.
    """
    from rich.console import Console

    from isthmus.serving.bench import plot, report
    from isthmus.serving.bench.config import BenchConfig, Scenario
    from isthmus.serving.bench.laboratory import Laboratory
    from isthmus.serving.bench.scenarios import measure
    from isthmus.serving.config import ProviderPolicy
    from isthmus.serving.session import check_policy

    chosen = {} if scenarios is None else {"scenarios": tuple(Scenario(name) for name in scenarios)}
    config = BenchConfig(
        model_file=model_file,
        fake_engine_ms=fake_engine_ms,
        seconds=seconds,
        swap_seconds=swap_seconds,
        soak_seconds=soak_seconds,
        rounds=rounds,
        vehicles=vehicles,
        size_hw=size_hw,
        budget_ms=budget_ms,
        num_threads=num_threads,
        provider=ProviderPolicy(provider),
        idle_streams=idle_streams,
        swap_every_s=swap_every_s,
        peers=peers,
        seed=seed,
        **chosen,
    )
    check_policy(config.provider)
    where = report.machine()
    bar = Console(stderr=True)
    with bar.status("starting") as status, Laboratory(config, status.update) as lab:
        rows = list(measure(lab))
        if out is not None:
            bar.print(f"wrote {report.write(out, where, lab, rows)}")
            plot.draw(out, rows, lab.known_capacity_fps, lab.budget_s * 1e3)
    console = Console()
    report.show(console if console.is_terminal else Console(width=_FILE_WIDTH), rows, lab)


class _Measured(NamedTuple):
    """What becomes a table."""

    title: str
    counted: Literal["sources", "views"]
    costs: "Sequence[StepCost]"
    note: str = ""


def _madan_tables(
    config: "MadanBenchmarkConfig", sources: tuple[int, ...], report: Callable[[str], None]
) -> Iterator[_Measured]:
    from isthmus.training.madan.benchmark import VARIANTS, measure_madan

    saving = "per source, checkpointed"
    ways, numbers = [(variant, 2) for variant in VARIANTS], [(saving, number) for number in sources]
    costs = _costs([*ways, *numbers], partial(measure_madan, config), report)
    title = "MADAN: ways of saving memory, two sources"
    yield _Measured(title, "sources", [costs[row] for row in ways], config.parts)
    if numbers:
        title = f"MADAN: numbers of sources, {saving}"
        yield _Measured(title, "sources", [costs[row] for row in numbers], config.parts)


def _randomization_tables(
    config: "StepBenchmarkConfig", views: tuple[int, ...], report: Callable[[str], None]
) -> Iterator[_Measured]:
    from isthmus.training.randomization.benchmark import DIVIDED, SOURCE_ONLY, VARIANTS, WHOLE, measure_randomization

    if not views:
        raise ConfigurationError("no number of views", where="--views", remedy="Write one or more, for example 3.")
    growing = [(SOURCE_ONLY, 1), *((WHOLE, number) for number in views), (DIVIDED, max(views))]
    parts = [(variant, 1 if variant == SOURCE_ONLY else min(views)) for variant in VARIANTS]
    costs = _costs([*growing, *parts], partial(measure_randomization, config), report)
    yield _Measured("Randomization: numbers of views, one source", "views", [costs[row] for row in growing])
    yield _Measured(f"Randomization: its parts, {min(views)} views", "views", [costs[row] for row in parts])


def _costs(
    rows: Sequence[tuple[str, int]],
    measure: "Callable[[Sequence[tuple[str, int]]], Iterator[StepCost]]",
    report: Callable[[str], None],
) -> "dict[tuple[str, int], StepCost]":
    """Rows of all tables of a method, each measured once."""
    unique = list(dict.fromkeys(rows))
    costs = {}
    for done, (row, cost) in enumerate(zip(unique, measure(unique), strict=True), 1):
        costs[row] = cost
        report(f"measured {done} of {len(unique)} figures: {cost.variant}")
    return costs
