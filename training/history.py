"""A run's history: one JSON object a line, cut back on resume so that no row appears twice."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

HISTORY_FILE: Final = "history.jsonl"


class History:
    """The rows of `OUTPUT/history.jsonl`.

    Rows have `step` and `kind`: `train` rows hold `losses` and `metrics`, means over the steps since the previous
    one (where several processes train, over the first one's batches alone); `evaluation` rows hold `role` and one
    `EvaluationResult.to_tree()`, of all frames; `note` rows hold `text`, a warning in words.

    Args:
        output: The run's folder.
        rows: Rows to keep of an earlier part of the run.
    """

    def __init__(self, output: Path, rows: int = 0) -> None:
        self.path = output / HISTORY_FILE
        kept = self.path.read_text(encoding="utf-8").splitlines(keepends=True)[:rows] if rows else []
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text("".join(kept), encoding="utf-8")
        scratch.replace(self.path)
        self.num_rows = len(kept)

    def append(self, step: int, kind: str, row: Mapping[str, Any]) -> None:
        """Write one row; it is in the file when this returns."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, "kind": kind, **row}) + "\n")
        self.num_rows += 1


def read_history(output: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a run, oldest first; only one kind where it is named."""
    for line in (output / HISTORY_FILE).read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        if kind is None or row["kind"] == kind:
            yield row
