"""What the list says of each metric: its kind, what is drawn of it, when it wakes somebody."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LATENCY_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.35, 0.5, 1.0, 2.0)
"""From a GPU's millisecond to what no vehicle waits for; fine around the 33 and 100 ms of 30 and 10 frames a second."""


class Kind(StrEnum):
    """Prometheus' kinds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What the board draws of a metric."""

    title: str
    row: str
    """One of `ROWS`."""
    queries: tuple[tuple[str, str], ...]
    """PromQL and the legend of its lines. `$__rate_interval` is Grafana's."""
    unit: str
    """One of Grafana's units."""
    draw: str = "timeseries"
    """Grafana's type of panel: `timeseries`, `stat` or `table`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """When somebody must look, and what to do first."""

    name: str
    expr: str
    """PromQL; true while there is a result."""
    wait: str
    """How long it must be true, as Prometheus writes it."""
    severity: str
    """`critical`: vehicles get no masks or wrong ones. `warning`: look today."""
    summary: str
    action: str
    """What to do first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    """As Prometheus sees it; a histogram's series add _bucket, _sum and _count, a summary's the last two."""
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, for histograms alone; infinity is added."""
    panel: Panel | None = None
    alerts: tuple[Alert, ...] = ()
    of_process: bool = False
    """Whether prometheus-client measures it by itself."""


ROWS: Final = ("Service", "Frames", "Engine", "Model", "Process")
"""Of the board, from the top."""
