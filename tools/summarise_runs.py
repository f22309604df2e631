"""A Markdown table from finished runs: IoU per class, mean and standard deviation over seeds, in percent.

    .venv/bin/python tools/summarise_runs.py "source only=runs/camvid-1,runs/camvid-2" "oracle=runs/oracle-1"
    .venv/bin/python tools/summarise_runs.py --on camvid/val "source only=runs/worlds-1"

Reads the last evaluation in each run's `history.jsonl`: the weights after the last step, chosen by nothing. A folder
that `isthmus evaluate --out` wrote stands for a run as well. Runs that are judged on several sets need `--on`.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any


def last_evaluation(run: Path, title: str | None) -> dict[str, Any]:
    """The last evaluation row of a run, on the set of a title."""
    judged = judged_afterwards(run) if (run / "evaluation.json").is_file() else judged_while_training(run)
    titles = sorted({row["title"] for row in judged})
    chosen = title if title is not None or len(titles) > 1 else titles[0]
    if chosen not in titles:
        sys.exit(f"{run} is judged on {', '.join(titles)}: choose one with --on")
    return [row for row in judged if row["title"] == chosen][-1]


def judged_while_training(run: Path) -> list[dict[str, Any]]:
    """Evaluations in a run's history, oldest first."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "evaluation" and row["role"] == "evaluation"]


def judged_afterwards(folder: Path) -> list[dict[str, Any]]:
    """Evaluations that `isthmus evaluate` wrote."""
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return [{**result, "step": report["step"]} for result in report["results"]]


def scores_of(row: dict[str, Any]) -> dict[str, float | None]:
    """IoU per class, then the means, in the order of the table."""
    sixteen = {"mIoU of SYNTHIA's 16": row["miou_16"]} if row.get("miou_16") is not None else {}
    return {**row["iou_per_class"], "**mIoU**": row["miou"], **sixteen, "pixel accuracy": row["pixel_accuracy"]}


def cell(values: list[float]) -> str:
    """Mean and sample standard deviation in percent."""
    if not values:
        return "–"
    mean = 100 * statistics.mean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def main() -> None:
    """Print the table."""
    arguments = sys.argv[1:]
    title = arguments[1] if arguments[:1] == ["--on"] else None
    pairs = (argument.partition("=") for argument in arguments[0 if title is None else 2 :])
    groups = {label: paths.split(",") for label, _, paths in pairs}
    rows = {label: [last_evaluation(Path(path), title) for path in paths] for label, paths in groups.items()}
    columns = {label: [scores_of(row) for row in each] for label, each in rows.items()}
    print("| class |", " | ".join(f"{label} ({len(rows[label])} seeds)" for label in groups), "|")
    print("|---|" + "---|" * len(groups))
    for name in next(iter(columns.values()))[0]:
        values = [[score for run in columns[label] if (score := run[name]) is not None] for label in groups]
        print(f"| {name} |", " | ".join(cell(each) for each in values), "|")
    for label, each in rows.items():
        print(f"\n{label}: step {sorted({row['step'] for row in each})}, {each[0]['num_frames']} frames", end="")
    print()


if __name__ == "__main__":
    main()
