"""A Markdown table from finished runs: IoU per class, mean and standard deviation over seeds, in percent.

    .venv/bin/python tools/summarise_runs.py "source only=runs/camvid-1,runs/camvid-2" "oracle=runs/oracle-1"

Reads the last evaluation in each run's `history.jsonl`: the weights after the last step, chosen by nothing.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any


def last_evaluation(run: Path) -> dict[str, Any]:
    """The last evaluation row of a run."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "evaluation" and row["role"] == "evaluation"][-1]


def scores_of(row: dict[str, Any]) -> dict[str, float | None]:
    """IoU per class, then the means, in the order of the table."""
    return {**row["iou_per_class"], "**mIoU**": row["miou"], "pixel accuracy": row["pixel_accuracy"]}


def cell(values: list[float]) -> str:
    """Mean and sample standard deviation in percent."""
    if not values:
        return "–"
    mean = 100 * statistics.mean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def main() -> None:
    """Print the table."""
    groups = {label: paths.split(",") for label, _, paths in (argument.partition("=") for argument in sys.argv[1:])}
    rows = {label: [last_evaluation(Path(path)) for path in paths] for label, paths in groups.items()}
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
