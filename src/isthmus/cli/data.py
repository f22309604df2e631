"""Verbs that look at data sets."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from isthmus.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetConfig


def list_datasets(*, names: tuple[str, ...] = (), as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> None:
    """List the data sets that can be read: layout on disk, classes, size, licence.

    $ isthmus data list
    $ isthmus data list --names gta5 synthia

    Args:
        names: Show only these, with their layouts on disk.
        as_json: Print JSON instead of tables.
    """
    from rich.console import Console

    from isthmus.cli.tables import dataset_page, dataset_table
    from isthmus.datasets.catalogue import DATASETS, describe

    facts = [describe(name) for name in names or DATASETS]
    if as_json:
        print(json.dumps([asdict(fact) for fact in facts], indent=2))
        return
    console = Console()
    if names:
        for fact in facts:
            dataset_page(console, fact)
    else:
        console.print(dataset_table(facts))
        console.print("Each of them can be packed for streaming (`isthmus data pack`) and is then read as `shards`.")


def fake(
    *,
    dataset: str,
    root: Path,
    split: str | None = None,
    num_frames: int = 8,
    size_hw: tuple[int, int] = (48, 96),
    seed: int = 0,
) -> None:
    """Write tiny random frames in a data set's real layout, to try a pipeline before the real files are there.

    $ isthmus data fake --dataset gta5 --root data/tiny/gta5 --num-frames 20

    Args:
        dataset: Whose layout; see `isthmus data list`.
        root: Folder to write.
        split: Split of the layout; by default its first.
        num_frames: How many frames.
        size_hw: Height and width in pixels.
        seed: Decides the pixels.
    """
    from rich.console import Console

    from isthmus.datasets.catalogue import layout_writer
    from isthmus.datasets.fakes import write_fakes

    if num_frames < 1 or min(size_hw) < 8 or seed < 0:
        raise ConfigurationError("at least one frame of 8x8 pixels, and a seed of 0 or more, can be written")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigurationError("the folder is not empty", where=root, remedy="Random frames go into a new folder.")
    wanted = split or layout_writer(dataset).splits[0]
    names = write_fakes(dataset, root, wanted, num_frames=num_frames, size_hw=size_hw, seed=seed)
    Console().print(f"{len(names)} frames of random pixels in {root} ({dataset} {wanted})")


def pack(
    *,
    dataset: str,
    root: Path,
    out: Path,
    split: str | None = None,
    part: Literal["fit", "holdout"] | None = None,
    limit: int | None = None,
    labelled: bool = True,
    frames_per_shard: int | None = None,
    base_url: str | None = None,
    workers: int | None = None,
) -> None:
    """Pack a data set into sharded tar files that train at full speed from a disk or an object store.

    $ isthmus data pack --dataset gta5 --root data/gta5 --out data/gta5-shards
    $ isthmus data pack --dataset cityscapes --root data/cityscapes --no-labelled --out data/target-shards

    Images go in as they are, labels as train ids. The same request gives the same bytes; an interrupted packing goes
    on where it stopped. In a configuration: `{dataset: shards, root: data/gta5-shards, split: all}`.

    Args:
        dataset: Which data set; see `isthmus data list`.
        root: Its top folder.
        out: Folder of the shards and of SPLIT.json, their index.
        split: Its split; by default its first.
        part: Pack only this part of the split, as SPLIT-PART.
        limit: Pack only the first so many frames, for trials.
        labelled: With labels; --no-labelled packs a target's images only.
        frames_per_shard: By default as many as make 256 MiB, and no more than leave 16 shards.
        base_url: Where the shards will be served from, http(s)://HOST/PATH; beside the index where left out.
        workers: Threads; by default as many as there are cores.
    """
    import os

    from rich.console import Console

    from isthmus.datasets.catalogue import DatasetConfig, splits_of
    from isthmus.datasets.shards.packing import pack_dataset

    config = DatasetConfig(
        dataset=dataset, root=root, split=split or splits_of(dataset, root)[0], part=part, limit=limit
    )
    index = pack_dataset(
        config,
        out,
        labelled=labelled,
        frames_per_shard=frames_per_shard,
        base_url=base_url,
        workers=len(os.sched_getaffinity(0)) if workers is None else workers,
        progress=Console(stderr=True),
    )
    megabytes = sum(shard.num_bytes for shard in index.shards) / 1e6
    Console().print(
        f"{index.source.num_frames} frames in {len(index.shards)} shards, {megabytes:.1f} MB: "
        f"dataset shards, root {out}, split {index.source.packed_split}",
        soft_wrap=True,
        highlight=False,
    )


def doctor(
    config: tyro.conf.Positional[Path | None] = None,
    *,
    dataset: str | None = None,
    root: Path | None = None,
    split: str | None = None,
    max_frames: int | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Examine a copy on disk: counts, sizes, ids against the label space, unreadable files, pairs that don't match.

    $ isthmus data doctor --dataset gta5 --root /data/gta5
    $ isthmus data doctor configs/source_only/demo.yaml

    Exits 1 if anything is wrong.

    Args:
        config: A training configuration; all its data sets are examined.
        dataset: One data set by name instead, with --root; `shards` for a packed one.
        root: Its top folder.
        split: Its split; by default its first.
        max_frames: Examine only so many frames, evenly spread.
        as_json: Print the reports as JSON.
    """
    from rich.console import Console

    from isthmus.datasets.catalogue import DatasetConfig, splits_of
    from isthmus.datasets.doctor import examine

    given = [name for name, value in (("dataset", dataset), ("root", root), ("split", split)) if value is not None]
    if config is not None:
        if given:
            raise ConfigurationError(
                f"--{given[0]} beside a configuration",
                where=config,
                remedy="Leave it out: the configuration's own data sets are examined. Or leave the configuration out.",
            )
        wanted = _datasets_of(config)
    elif dataset is not None and root is not None:
        default_split = splits_of(dataset, root)[0]  # refuses an unknown name, whatever the split
        wanted = (DatasetConfig(dataset=dataset, root=root, split=split or default_split),)
    else:
        raise ConfigurationError(
            f"--{' and --'.join(given)} alone" if given else "nothing to examine",
            remedy="Give a configuration, or --dataset NAME and --root DIR.",
        )
    bar = Console(stderr=True)
    reports = [examine(each, max_frames=max_frames, progress=bar) for each in wanted]
    if as_json:
        print(json.dumps([report.to_tree() for report in reports], indent=2))
    else:
        for report in reports:
            report.render(Console())
    bad = [report for report in reports if not report.ok]
    if bad:
        total = sum(len(report.problems) for report in bad)
        raise DataError(f"{total} problems in {', '.join(f'{report.dataset} {report.split}' for report in bad)}")


def _datasets_of(path: Path) -> tuple["DatasetConfig", ...]:
    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig

    training = load_config(path, TrainingConfig)
    return training.datasets
