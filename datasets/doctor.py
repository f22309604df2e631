"""A health check of a data set: reads every pair and reports all that is wrong, not only the first."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from isthmus.datasets.base import FileDataset, FramePaths, Part, SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.findings import Finding, Problem, examine_pair
from isthmus.datasets.images import read_image_rgb
from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.datasets.shards.examination import examine_shards
from isthmus.datasets.shards.reader import Shards
from isthmus.errors import ConfigurationError, DataError, DataMissingError, IsthmusError

_MAX_ROWS: Final = 20
"""Problems shown on screen; the report holds them all."""


@dataclass(frozen=True, slots=True)
class RawIdCount:
    """How often a raw id occurs."""

    raw_id: int
    meaning: str
    """Class name, `ignored` or `unknown`."""
    pixels: int
    frames: int


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How often a class of the data set's label space occurs."""

    name: str
    pixel_share: float
    """Of all labelled pixels, 0..1; the ignored ones count nowhere."""
    frame_share: float
    """Of all examined labels, 0..1."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What the examination found."""

    dataset: str
    root: str
    split: str
    part: Part | None = None
    limit: int | None = None
    num_frames: int = 0
    num_examined: int = 0
    num_labelled: int = 0
    """Examined frames whose label could be read."""
    image_sizes: dict[str, int] = field(default_factory=dict)
    """Number of frames by size, written `WIDTHxHEIGHT`."""
    raw_ids: tuple[RawIdCount, ...] = ()
    classes: tuple[ClassShare, ...] = ()
    ignored_share: float = 0.0
    """Ignored pixels of all pixels, 0..1."""
    refused: tuple[Problem, ...] = ()
    """Frames that the published data set is known to hold in a broken state; they are left out."""
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def to_tree(self) -> dict[str, Any]:
        """The report as plain dicts and lists, for `--json`."""
        return {"ok": self.ok, **asdict(self)}

    def render(self, console: Console) -> None:
        """Print the report as tables."""
        part = "" if self.part is None else f", part {self.part}"
        limit = "" if self.limit is None else f", first {self.limit} frames"
        console.print(f"[bold]{self.dataset}[/] {self.split}{part}{limit} at {escape(self.root)}")
        sizes = ", ".join(f"{size} ({count})" for size, count in self.image_sizes.items())
        console.print(f"{self.num_frames} frames, {self.num_examined} examined, {self.num_labelled} labels; {sizes}")
        if self.classes:
            console.print(_class_table(self))
            console.print(_raw_id_table(self))
        for title, rows in (("Left out: known defects", self.refused), ("Problems", self.problems)):
            if rows:
                console.print(_problem_table(title, rows))
        console.print("[green]No problem found.[/]" if self.ok else f"[red]{len(self.problems)} problems.[/]")


def examine(
    source: SegmentationDataset | DatasetConfig, *, max_frames: int | None = None, progress: Console | None = None
) -> DoctorReport:
    """Read every frame of a data set and report.

    Args:
        source: A data set, or a configuration; what is wrong with opening it is then a problem in the report.
        max_frames: Examine only so many frames, evenly spread over the split; of shards, those that hold one of
            them are still read whole.
        progress: Where to draw a progress bar; None for none.

    Raises:
        ConfigurationError: `max_frames` is below 1.
    """
    if max_frames is not None and max_frames < 1:
        raise ConfigurationError(f"max_frames is {max_frames}", remedy="Use 1 or more, or leave it out.")
    collected: list[DataError] = []
    if isinstance(source, DatasetConfig):
        try:
            dataset = build_dataset(source, collect=collected)
        except IsthmusError as error:
            problems = tuple(Problem.of(each) for each in (*collected, error))
            root = str(source.root)
            return DoctorReport(
                source.dataset, root, source.split, part=source.part, limit=source.limit, problems=problems
            )
    else:
        dataset = source
    wanted = _spread(len(dataset), max_frames)
    columns = (TextColumn("examining"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress, disable=progress is None, transient=True) as bar:
        findings = list(bar.track(_examined(dataset, wanted, collected), total=len(wanted)))
    if not findings:
        collected.append(DataMissingError("no frame was examined", where=dataset.root))
    return _summary(dataset, findings, [Problem.of(error) for error in collected])


def _spread(count: int, max_frames: int | None) -> Sequence[int]:
    if max_frames is None or max_frames >= count:
        return range(count)
    return [i * count // max_frames for i in range(max_frames)]


def _examined(dataset: SegmentationDataset, wanted: Sequence[int], collected: list[DataError]) -> Iterator[Finding]:
    """Examine in threads (decoding lets go of the interpreter's lock) and in order."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        if isinstance(dataset, Shards):
            yield from examine_shards(dataset, wanted, pool, collected)
        else:
            assert isinstance(dataset, FileDataset)
            yield from pool.map(lambda index: _examine_files(dataset, dataset.frames[index]), wanted)


def _examine_files(dataset: FileDataset, frame: FramePaths) -> Finding:
    label = frame.label
    return examine_pair(
        lambda: read_image_rgb(frame.image),
        None if label is None else lambda: dataset.read_label_ids(label),
        lambda image_shape, label_shape: dataset.check_sizes(frame, image_shape, label_shape),
        lambda raw_ids: dataset.check_ids(frame, raw_ids),
    )


def _summary(dataset: SegmentationDataset, findings: Sequence[Finding], problems: list[Problem]) -> DoctorReport:
    pixels: Counter[int] = Counter()
    frames: Counter[int] = Counter()
    frames_of_class: Counter[int] = Counter()
    labelled = 0
    for finding in findings:
        problems.extend(finding.problems)
        if finding.raw_ids is None or finding.pixels is None:
            continue
        labelled += 1
        counts = {int(raw): int(count) for raw, count in zip(finding.raw_ids, finding.pixels, strict=True)}
        pixels.update(counts)
        frames.update(counts.keys())
        frames_of_class.update({_own_id(dataset, raw) for raw in counts})
    names = dataset.label_space.names
    pixels_of_class: Counter[int] = Counter()
    for raw, count in pixels.items():
        pixels_of_class[_own_id(dataset, raw)] += count
    valid = sum(pixels_of_class[own] for own in range(len(names)))
    sizes = Counter(finding.size for finding in findings if finding.size is not None)
    return DoctorReport(
        dataset=dataset.dataset_name,
        root=str(dataset.root),
        split=dataset.split,
        part=dataset.part,
        limit=dataset.limit,
        num_frames=len(dataset),
        num_examined=len(findings),
        num_labelled=labelled,
        image_sizes=dict(sizes.most_common()),
        raw_ids=tuple(RawIdCount(raw, _meaning(dataset, raw), pixels[raw], frames[raw]) for raw in sorted(pixels)),
        classes=tuple(
            ClassShare(name, pixels_of_class[own] / max(valid, 1), frames_of_class[own] / labelled)
            for own, name in enumerate(names)
            if labelled
        ),
        ignored_share=pixels_of_class[IGNORE_INDEX] / max(pixels.total(), 1),
        refused=tuple(Problem.of(error) for error in dataset.refused),
        problems=tuple(problems),
    )


_UNKNOWN: Final = -1


def _own_id(dataset: SegmentationDataset, raw: int) -> int:
    """Class of the data set's own label space, 255 for ignored, -1 for unknown."""
    table = dataset.id_table
    train_id = int(table[raw]) if raw < len(table) else _UNKNOWN
    return _UNKNOWN if train_id < 0 else int(dataset.label_space.fold_table[train_id])


def _meaning(dataset: SegmentationDataset, raw: int) -> str:
    own = _own_id(dataset, raw)
    return {_UNKNOWN: "unknown", IGNORE_INDEX: "ignored"}.get(own) or dataset.label_space.names[own]


def _class_table(report: DoctorReport) -> Table:
    table = Table("class", "pixels", "frames", title=f"Classes ({100 * report.ignored_share:.1f} % of pixels ignored)")
    for share in report.classes:
        table.add_row(share.name, f"{100 * share.pixel_share:.2f} %", f"{100 * share.frame_share:.0f} %")
    return table


def _raw_id_table(report: DoctorReport) -> Table:
    table = Table("raw id", "meaning", "pixels", "frames", title="Label ids on disk")
    for row in report.raw_ids:
        table.add_row(str(row.raw_id), row.meaning, f"{row.pixels:,}", str(row.frames))
    return table


def _problem_table(title: str, problems: Sequence[Problem]) -> Table:
    left = len(problems) - _MAX_ROWS
    table = Table(title=title, caption=f"and {left} more" if left > 0 else None)
    for column in ("where", "problem", "remedy"):
        table.add_column(column, overflow="fold")  # a path that is cut off names nothing
    for row in problems[:_MAX_ROWS]:
        # Brackets in file names are no markup.
        table.add_row(escape(row.where or ""), escape(row.problem), escape(row.remedy or ""))
    return table
