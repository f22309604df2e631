"""The board, the rules and the handbook's tables are what the list of metrics makes, and ask for what a server has."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from isthmus.serving.config import ServerConfig
from isthmus.serving.metric_list import METRICS, ROWS, SERVER_DOWN, Kind
from isthmus.serving.telemetry_config import TelemetryConfig

FILES = (
    "deploy/grafana/isthmus.json",
    "deploy/prometheus/alerts.yaml",
    "deploy/prometheus/prometheus.yaml",
    "docs/operations/observability.md",
)
WORDS = {"by", "and", "or", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
OF_PROMETHEUS = {"up"}
SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count"), Kind.SUMMARY: ("_sum", "_count")}


def selectors(expr):
    """Names of the series that a PromQL expression reads, each with the labels that it matches or groups by."""
    assert expr.count("(") == expr.count(")")
    bare = re.sub(r'"[^"]*"', '""', expr)
    grouped = {label for group in re.findall(r"\bby\s*\(([^)]*)\)", bare) for label in re.findall(r"\w+", group)}
    bare = re.sub(r"\bby\s*\([^)]*\)", "", bare)
    matched = {label for braces in re.findall(r"\{([^}]*)\}", bare) for label in re.findall(r"(\w+)\s*[=!]", braces)}
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    names = set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - WORDS
    return names, grouped | matched


@pytest.fixture(scope="module")
def board(repository):
    return json.loads((repository / FILES[0]).read_text())


@pytest.fixture(scope="module")
def rules(repository):
    (group,) = yaml.safe_load((repository / FILES[1]).read_text())["groups"]
    return group["rules"]


@pytest.fixture
def exported(start_server, model_file):
    """Series that a real server can have: by its own word, a name for each family and kind."""
    telemetry = TelemetryConfig(metrics_port=0)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=telemetry)).server
    with urllib.request.urlopen(f"http://127.0.0.1:{server._telemetry.metrics_port}", timeout=30) as answer:
        text = answer.read().decode()
    names = set()
    for family in text_string_to_metric_families(text):
        suffixes = SUFFIXES.get(family.type, ("_total",) if family.type == "counter" else ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_what_is_committed_is_what_the_list_makes(repository, tmp_path):
    tool = repository / "tools/generate_observability.py"
    subprocess.run([sys.executable, tool, "--out", tmp_path], check=True, timeout=60)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (repository / name).read_bytes(), f"run {tool.name}"


def test_selectors_reads_promql():
    expr = 'sum by (le, rpc) (rate(a_bucket{code=~"X|Y",rpc!="by"}[5m])) / b_total offset 5m > 2 * 86400'
    assert selectors(expr) == ({"a_bucket", "b_total"}, {"le", "rpc", "code"})


def test_board_and_rules_ask_for_what_a_real_server_exports(board, rules, exported):
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked = [*queries, *(rule["expr"] for rule in rules)]
    assert len(asked) > len(METRICS)
    for expr in asked:
        names, _ = selectors(expr)
        assert names, expr
        assert names <= exported | OF_PROMETHEUS, expr


def test_queries_use_labels_that_their_metric_has():
    series = {}
    for metric in METRICS:
        for suffix in SUFFIXES.get(metric.kind, ("",)):
            series[metric.name + suffix] = {*metric.labels, "instance", "job", *(["le"] if suffix == "_bucket" else [])}
    for metric in METRICS:
        queries = metric.panel.queries if metric.panel else ()
        for expr, legend in [*queries, *((alert.expr, alert.summary) for alert in metric.alerts)]:
            names, labels = selectors(expr)
            for name in names:
                assert labels <= series[name], expr
            shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)", legend))
            grouped = re.search(r"by \(([^)]*)\)", expr)
            kept = set(re.findall(r"\w+", grouped[1])) if grouped else set().union(*(series[name] for name in names))
            assert shown <= kept, (expr, legend)


def test_the_board_has_every_panel_once_and_none_overlap(board):
    panels = board["panels"]
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert titles
    assert len(titles) == len(set(titles)) == sum(metric.panel is not None for metric in METRICS)
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == list(ROWS)
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for at in (panel["gridPos"] for panel in panels):
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_what_must_wake_somebody_does(rules):
    alerts = {rule["alert"]: rule for rule in rules}
    assert len(alerts) == len(rules)
    assert set(alerts) >= {
        SERVER_DOWN.name,
        "IsthmusNoModel",
        "IsthmusRunsOnCpu",
        "IsthmusRolledBack",
        "IsthmusVersionRefused",
        "IsthmusOverloaded",
        "IsthmusDeadlinesMissed",
        "IsthmusConfidenceDrifts",
        "IsthmusRegistryUnreachable",
        "IsthmusCertificateEndsSoon",
    }
    for rule in rules:
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_list_is_sound():
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names)) >= 25
    for metric in METRICS:
        assert metric.name.startswith(("isthmus_", "process_"))
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert metric.help.endswith(".")
        assert metric.panel is not None or metric.alerts
