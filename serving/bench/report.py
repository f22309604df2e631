"""A run's table, its JSON, and where it was made."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from isthmus.serving.bench.config import Scenario
from isthmus.serving.bench.laboratory import Laboratory
from isthmus.serving.bench.rows import Row
from isthmus.serving.bench.tally import SEGMENTED

RESULTS: Final = "bench_serve.json"
_PACKAGES: Final = (
    *("isthmus", "grpcio", "protobuf", "onnxruntime", "onnxruntime-gpu"),
    *("numpy", "opencv-python-headless", "hdrhistogram"),
)


def machine() -> dict[str, Any]:
    """What figures depend on."""
    return {
        "cpu": _cpu_name(),
        "gpu": _gpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_before": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(folder: Path, where: dict[str, Any], lab: Laboratory, rows: Sequence[Row]) -> Path:
    """Write everything as JSON, and give the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = {
        "machine": where,
        "config": json.loads(json.dumps(asdict(lab.config), default=str)),
        "frame_hw": lab.size_hw,
        "budget_ms": lab.budget_s * 1e3,
        "capacity_fps": lab.known_capacity_fps,
        "rows": [row.to_tree() for row in rows],
    }
    path = folder / RESULTS
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    return path


def show(console: Console, rows: Sequence[Row], lab: Laboratory) -> None:
    """Print all rows but the sweep's, which are a plot, and what they say."""
    height, width = lab.size_hw
    table = Table(
        title=f"isthmus bench serve: {width}x{height}, budget {lab.budget_s * 1e3:.0f} ms"
        + (f", capacity {lab.known_capacity_fps:.1f} frames/s" if lab.known_capacity_fps is not None else ""),
        caption="good: within the budget, from when the frame was due · one each: exactly one verdict for each frame",
    )
    table.add_column("scenario", no_wrap=True)
    table.add_column("subject", overflow="fold")
    for heading in ("due/s", "masks/s", "good/s", "p50", "p95", "p99", "p99.9 ms", "CPU ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("other verdicts", overflow="fold")
    table.add_column("one each", justify="center")
    shown = [row for row in rows if row.scenario != Scenario.SWEEP or row.outcome is None]
    for row in shown:
        table.add_row(*_cells(row))
    console.print(table)
    for row in shown:
        for remark in (row.note, str(row.figures.get("problems") or "")):
            if remark:
                console.print(f"{row.scenario}, {row.subject}: {remark}", markup=False, highlight=False)


def _cells(row: Row) -> list[str]:
    if row.outcome is None:
        return [row.scenario, row.subject, *["-"] * 8, "no figure", ""]
    outcome = row.outcome
    latencies = outcome.percentiles_ms()
    others = {name.lower(): count for name, count in sorted(outcome.verdicts.items()) if name != SEGMENTED}
    cost = row.figures.get("server_cpu_ms_per_frame")
    closed = row.scenario in (Scenario.SATURATION, Scenario.SINGLE_STREAM)
    return [
        row.scenario,
        row.subject,
        "" if closed else f"{outcome.offered:.1f}",
        f"{outcome.throughput if closed else outcome.masks / outcome.seconds:.1f}",
        "" if closed else f"{outcome.goodput:.1f}",
        *(f"{latencies[name]:.1f}" if latencies else "" for name in ("p50", "p95", "p99", "p99.9")),
        f"{cost:.1f}" if isinstance(cost, float) else "",
        ", ".join(f"{count} {name}" for name, count in others.items()),
        "yes" if outcome.one_verdict_each else "NO",
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the working tree that this file lies in; None where isthmus is installed without one."""
    try:
        said = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def _gpu_name() -> str | None:
    """Name and driver of each GPU, as the driver's tool has them; None without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - the driver's
    return "; ".join(said.stdout.split("\n")).strip("; ") or None


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
