"""Calls, streams, load, certificates."""

from typing import Final

from isthmus.serving.metric_list.kinds import Alert, Kind, Metric, Panel
from isthmus.serving.metric_list.promql import quantiles, rate

_CALL_S: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0, 3600.0)

SERVICE: Final[tuple[Metric, ...]] = (
    Metric(
        name="isthmus_rpcs_total",
        kind=Kind.COUNTER,
        labels=("rpc", "code"),
        unit="calls",
        help="Calls that have ended, by method and gRPC status; CANCELLED also stands for a caller whose own deadline "
        "passed.",
        panel=Panel(
            title="Calls by status",
            row="Service",
            queries=((rate("rpc, code", "isthmus_rpcs_total"), "{{rpc}} {{code}}"),),
            unit="reqps",
        ),
        alerts=(
            Alert(
                name="IsthmusInternalErrors",
                expr='sum by (instance) (rate(isthmus_rpcs_total{code=~"INTERNAL|UNKNOWN"}[5m])) > 0',
                wait="5m",
                severity="critical",
                summary="Calls to {{ $labels.instance }} fail for reasons of the server's own.",
                action="Read the log's ERROR lines with their tracebacks. If they began with a new model version, run "
                "`isthmus rollback`; else restart the server and keep the log.",
            ),
        ),
    ),
    Metric(
        name="isthmus_rpc_seconds",
        kind=Kind.HISTOGRAM,
        labels=("rpc",),
        unit="seconds",
        help="How long a call lasted; for a stream, from its opening to its end.",
        buckets=_CALL_S,
        panel=Panel(title="Length of calls", row="Service", queries=quantiles("isthmus_rpc_seconds", "rpc"), unit="s"),
    ),
    Metric(
        name="isthmus_streams",
        kind=Kind.GAUGE,
        labels=("rpc",),
        unit="streams",
        help="Streams that are open, by method.",
        panel=Panel(
            title="Open streams",
            row="Service",
            queries=(("sum by (instance, rpc) (isthmus_streams)", "{{instance}} {{rpc}}"),),
            unit="none",
        ),
    ),
    Metric(
        name="isthmus_in_flight",
        kind=Kind.GAUGE,
        unit="requests",
        help="Requests that wait, are decoded, or run.",
        panel=Panel(title="In flight", row="Service", queries=(("isthmus_in_flight", "{{instance}}"),), unit="none"),
    ),
    Metric(
        name="isthmus_queue_depth",
        kind=Kind.GAUGE,
        unit="requests",
        help="Requests that wait for the engine.",
        panel=Panel(
            title="Queue depth", row="Service", queries=(("isthmus_queue_depth", "{{instance}}"),), unit="none"
        ),
    ),
    Metric(
        name="isthmus_certificate_expiry_seconds",
        kind=Kind.GAUGE,
        unit="seconds",
        help="Time until the server's certificate ends; absent without TLS.",
        panel=Panel(
            title="Certificate ends in",
            row="Service",
            queries=(("isthmus_certificate_expiry_seconds", "{{instance}}"),),
            unit="s",
            draw="stat",
        ),
        alerts=(
            Alert(
                name="IsthmusCertificateEndsSoon",
                expr="isthmus_certificate_expiry_seconds < 7 * 86400",
                wait="10m",
                severity="warning",
                summary="The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}.",
                action="Put a new certificate and key in the place of the old files; the server takes them without a "
                "restart. Then find out why whoever renews them did not.",
            ),
            Alert(
                name="IsthmusCertificateEndsToday",
                expr="isthmus_certificate_expiry_seconds < 86400",
                wait="1m",
                severity="critical",
                summary="The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}: after that "
                "no vehicle can connect.",
                action="As for IsthmusCertificateEndsSoon, now.",
            ),
        ),
    ),
)
