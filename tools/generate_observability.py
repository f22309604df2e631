"""Generate the Grafana board, Prometheus' alert rules and the tables of the handbook from the list of metrics.

`python tools/generate_observability.py` rewrites what is committed; `--out DIR` writes the same files under DIR, which
a test compares with them. In docs/operations/observability.md only what stands between `<!-- NAME -->` and
`<!-- /NAME -->` is replaced.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from isthmus.serving.metric_list import METRICS, ROWS, SERVER_DOWN, Alert, Metric, Panel

ROOT: Final = Path(__file__).resolve().parent.parent
BOARD: Final = "deploy/grafana/isthmus.json"
ALERTS: Final = "deploy/prometheus/alerts.yaml"
PROMETHEUS: Final = "deploy/prometheus/prometheus.yaml"
HANDBOOK: Final = "docs/operations/observability.md"

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_WIDTH: Final = 24  # of Grafana's grid
_PANEL_WIDTH: Final = 8
_PANEL_HEIGHT: Final = 8
_NOTE: Final = "# Made by tools/generate_observability.py from serving/metric_list/.\n"


def board() -> dict[str, Any]:
    """The Grafana board: a row of panels for each of `ROWS`."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        drawn = [metric for metric in METRICS if metric.panel is not None and metric.panel.row == row]
        panels.append(_row(len(panels) + 1, row, top))
        for place, metric in enumerate(drawn):
            line, column = divmod(place, _WIDTH // _PANEL_WIDTH)
            place_at = (column * _PANEL_WIDTH, top + 1 + line * _PANEL_HEIGHT)
            panels.append(_panel(len(panels) + 1, metric, place_at))
        top += 1 + -(-len(drawn) * _PANEL_WIDTH // _WIDTH) * _PANEL_HEIGHT
    source = {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "isthmus-serving",
        "title": "isthmus serving",
        "tags": ["isthmus"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "panels": [],
        "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
    }


def _panel(number: int, metric: Metric, at: tuple[int, int]) -> dict[str, Any]:
    panel = metric.panel
    assert panel is not None
    return {
        "id": number,
        "type": panel.draw,
        "title": panel.title,
        "description": metric.help,
        "datasource": _SOURCE,
        "gridPos": {"x": at[0], "y": at[1], "w": _PANEL_WIDTH, "h": _PANEL_HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [_target(panel, letter, *query) for letter, query in zip("ABCD", panel.queries, strict=False)],
    }


def _target(panel: Panel, letter: str, expr: str, legend: str) -> dict[str, Any]:
    table = {"format": "table", "instant": True} if panel.draw == "table" else {}
    return {"refId": letter, "datasource": _SOURCE, "expr": expr, "legendFormat": legend, **table}


def all_alerts() -> list[Alert]:
    """Of the server's absence, then of each metric."""
    return [SERVER_DOWN, *(alert for metric in METRICS for alert in metric.alerts)]


def rules() -> dict[str, Any]:
    """Prometheus' rules."""
    listed = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            "for": alert.wait,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.action},
        }
        for alert in all_alerts()
    ]
    return {"groups": [{"name": "isthmus", "rules": listed}]}


def prometheus() -> dict[str, Any]:
    """A configuration of Prometheus that asks one server on this machine; its job must be named `isthmus`."""
    job = {"job_name": "isthmus", "static_configs": [{"targets": ["127.0.0.1:9464"]}]}
    return {
        "global": {"scrape_interval": "10s", "evaluation_interval": "10s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [job],
    }


def metric_table() -> str:
    """The metrics as a Markdown table."""
    lines = ["| metric | kind | labels | unit | meaning |", "|---|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.help} |")
    return "\n".join(lines)


def alert_table() -> str:
    """The alerts as a Markdown table."""
    lines = ["| alert | severity | true for | condition | first action |", "|---|---|---|---|---|"]
    for alert in all_alerts():
        condition = alert.expr.replace("|", "\\|")
        lines.append(f"| `{alert.name}` | {alert.severity} | {alert.wait} | `{condition}` | {alert.action} |")
    return "\n".join(lines)


def handbook(text: str) -> str:
    """The handbook with fresh tables."""
    for name, table in (("metrics", metric_table()), ("alerts", alert_table())):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        text, count = re.subn(
            re.escape(begin) + ".*?" + re.escape(end),
            lambda _, t=table, b=begin, e=end: b + t + e,
            text,
            flags=re.DOTALL,
        )
        assert count == 1, f"{HANDBOOK} has no place for the table of {name}"
    return text


def files() -> dict[str, str]:
    """All generated files by their path in the repository."""
    return {
        BOARD: json.dumps(board(), indent=2) + "\n",
        ALERTS: _NOTE + yaml.safe_dump(rules(), sort_keys=False, width=120),
        PROMETHEUS: _NOTE + yaml.safe_dump(prometheus(), sort_keys=False),
        HANDBOOK: handbook((ROOT / HANDBOOK).read_text(encoding="utf-8")),
    }


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT, help="root of the tree to write into")
    out = parser.parse_args().out
    for name, text in files().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
