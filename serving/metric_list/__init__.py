"""All metrics of the server, with what is drawn of each and when it wakes somebody.

This list is the only source: the registry (`serving/metrics.py`), the tables in docs/operations/observability.md,
the Grafana board and the alert rules (`tools/generate_observability.py`) are made from it.
"""

from typing import Final

from isthmus.serving.metric_list.engine import ENGINE, PROCESS
from isthmus.serving.metric_list.frames import FRAMES
from isthmus.serving.metric_list.kinds import ROWS, Alert, Kind, Metric, Panel
from isthmus.serving.metric_list.model import MODEL
from isthmus.serving.metric_list.service import SERVICE

__all__ = ["METRICS", "ROWS", "SERVER_DOWN", "Alert", "Kind", "Metric", "Panel"]

METRICS: Final[tuple[Metric, ...]] = (*SERVICE, *FRAMES, *ENGINE, *MODEL, *PROCESS)

SERVER_DOWN: Final = Alert(
    name="IsthmusDown",
    expr='up{job="isthmus"} == 0',
    wait="1m",
    severity="critical",
    summary="{{ $labels.instance }} does not answer Prometheus.",
    action="See whether the process runs, and the last lines of its log. A server whose GPU failed ends by itself with "
    "status 1, for a supervisor to start it again.",
)
"""The one alert that no metric of the server can tell."""
