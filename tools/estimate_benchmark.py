"""How far label-free estimates can be trusted: estimated against true mIoU over many checkpoints.

    .venv/bin/python tools/estimate_benchmark.py runs/worlds-1 runs/madan-1 runs/randomization-1 \
      --source gta5,data/worlds/arcade,all,holdout \
      --targets cityscapes,data/worlds/street,val camvid,/data/camvid,val --out estimates

Each run (its best checkpoint, or one checkpoint's folder) is looked at as it would be exported. Estimators are fitted
on the labelled source frames, which must have trained none of the runs; they see the targets' images alone, and the
targets' labels then tell the truth.

Prints, for each target and estimator, Spearman's rank correlation of estimated and true mIoU over the checkpoints and
the mean absolute error in points; writes `estimates.json` and the scatter `estimates.png` into --out. Weights that an
earlier call measured on the same frames are not measured again.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.stats import spearmanr

from isthmus.artifact import sha256_of
from isthmus.configuration import config_hash, parse_config
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import IsthmusError
from isthmus.training.checkpoint import read_info, resolve, weights_file
from isthmus.training.exporting import default_network_size
from isthmus.training.gate.config import FramesConfig, TargetConfig
from isthmus.training.gate.measuring import OpenFrames, measure_source, measure_target
from isthmus.training.onnx_graph import ServingGraph
from isthmus.training.trained import load_segmenter, run_config


@dataclass
class Arguments:
    """Estimated against true mIoU over checkpoints."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Output folders of runs, or folders of single checkpoints."""
    source: str
    """READER,ROOT,SPLIT[,PART] of labelled source frames that trained none of the runs."""
    targets: tuple[str, ...]
    """READER,ROOT,SPLIT[,PART] of labelled targets."""
    out: Path
    """Folder of the results."""
    max_frames: int = 60
    """Frames of each set, evenly spaced."""


def frames_of(text: str, max_frames: int) -> TargetConfig:
    """A set as the command line names it."""
    named = dict(zip(("dataset", "root", "split", "part"), text.split(","), strict=False))
    data = parse_config(json.dumps(named), DatasetConfig, where=text)
    return TargetConfig(data=data, max_frames=max_frames, min_miou=0.0, max_miou_drop=0.0)


def measure(run: Path, source: FramesConfig, targets: list[TargetConfig]) -> list[dict[str, Any]]:
    """True and estimated mIoU of a checkpoint, a row a target."""
    segmenter, info = load_segmenter(run)
    predict = ServingGraph(segmenter, default_network_size(run_config(info))).segment
    observed = measure_source([predict], OpenFrames.open(source, labelled=True), with_styles=True, tick=lambda: None)
    rows = []
    for target in targets:
        frames = OpenFrames.open(target, labelled=True)
        (found,) = measure_target([predict], frames, target, source=observed, with_styles=True, tick=lambda: None)
        estimated = {name: estimate.miou for name, estimate in found.estimates.items()}
        facts = {"run": str(run), "name": info.name, "method": info.method, "step": info.step}
        rows.append({**facts, "target": target.title, "miou": found.miou, "estimated": estimated})
    return rows


def cache_key(run: Path) -> str:
    """Names a run's checkpoint, its step and its weights: a run that trains on has other rows."""
    folder = resolve(run)
    return f"{run}, step {read_info(folder).step}, {sha256_of(weights_file(folder, 'segmenter'))[:16]}"


def measured_rows(arguments: Arguments) -> list[dict[str, Any]]:
    """Rows of all checkpoints, saved after each of them."""
    source = frames_of(arguments.source, arguments.max_frames)
    targets = [frames_of(text, arguments.max_frames) for text in arguments.targets]
    frames = config_hash(source) + "".join(map(config_hash, targets))
    file = arguments.out / "estimates.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    known_rows = known["rows"] if known.get("frames") == frames else {}
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for run in arguments.runs:
        key = cache_key(run)
        if key not in known_rows:
            known_rows[key] = measure(run, source, targets)
            file.write_text(json.dumps({"frames": frames, "rows": known_rows}, indent=1), encoding="utf-8")
        rows += known_rows[key]
        for row in known_rows[key]:
            shown = ", ".join(f"{name} {100 * miou:.1f}" for name, miou in row["estimated"].items())
            print(
                f"{row['method']} {row['name']} step {row['step']} on {row['target']}: {100 * row['miou']:.1f}; {shown}"
            )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rank correlation and mean absolute error, in Markdown."""
    print("\n| target | estimator | checkpoints | Spearman | mean error | mean bias |\n|---|---|---|---|---|---|")
    for target in dict.fromkeys(row["target"] for row in rows):
        chosen = [row for row in rows if row["target"] == target]
        true = np.array([row["miou"] for row in chosen])
        for estimator in chosen[0]["estimated"]:
            estimated = np.array([row["estimated"][estimator] for row in chosen])
            rank = float(spearmanr(estimated, true).statistic) if len(chosen) > 2 else float("nan")
            gap = 100 * (estimated - true)
            print(
                f"| {target} | {estimator} | {len(chosen)} | {rank:.2f} | {np.abs(gap).mean():.1f} points "
                f"| {gap.mean():+.1f} points |"
            )


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Estimated against true mIoU: a row of panels a target, a panel an estimator, a colour a method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    targets, estimators = list(dict.fromkeys(row["target"] for row in rows)), list(rows[0]["estimated"])
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(3.2 * len(estimators), 3.3 * len(targets)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(targets), len(estimators), squeeze=False, sharex="row", sharey="row")
    for line, target in zip(panels, targets, strict=True):
        for axes, estimator in zip(line, estimators, strict=True):
            for number, method in enumerate(methods):
                points = [
                    (100 * row["estimated"][estimator], 100 * row["miou"])
                    for row in rows
                    if row["target"] == target and row["method"] == method
                ]
                axes.scatter(*zip(*points, strict=True), s=22, color=f"C{number}", label=method) if points else None
            axes.axline((0, 0), slope=1, color="0.6", linewidth=1)
            axes.set_title(f"{target}\n{estimator}", fontsize=9)
            axes.set_xlabel("estimated mIoU %", fontsize=8)
            axes.grid(alpha=0.3)
        line[0].set_ylabel("true mIoU %", fontsize=8)
    panels[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print and draw."""
    arguments = tyro.cli(Arguments)
    try:
        rows = measured_rows(arguments)
    except IsthmusError as error:
        sys.exit(str(error))
    print_table(rows)
    draw(rows, arguments.out / "estimates.png")


if __name__ == "__main__":
    main()
