"""Frames: their verdicts, their time, what is left of it."""

from typing import Final

from isthmus.serving.metric_list.kinds import LATENCY_S, Alert, Kind, Metric, Panel
from isthmus.serving.metric_list.promql import quantiles, rate, share

_SLACK_S: Final = (-1.0, -0.2, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

FRAMES: Final[tuple[Metric, ...]] = (
    Metric(
        name="isthmus_frames_total",
        kind=Kind.COUNTER,
        labels=("rpc", "service_class", "verdict"),
        unit="frames",
        help="Frames that got their verdict, by method, class and verdict.",
        panel=Panel(
            title="Frames by verdict",
            row="Frames",
            queries=((rate("verdict", "isthmus_frames_total"), "{{verdict}}"),),
            unit="cps",
        ),
        alerts=(
            Alert(
                name="IsthmusOverloaded",
                expr=f"{share('overloaded')} > 0.05",
                wait="5m",
                severity="warning",
                summary="{{ $labels.instance }} refuses {{ $value | humanizePercentage }} of its frames.",
                action="See isthmus_frames_dropped_total: QUOTA_EXCEEDED is one vehicle's doing, OVERLOADED the sum of "
                "all. For the latter add a server, or send smaller or fewer frames.",
            ),
            Alert(
                name="IsthmusDeadlinesMissed",
                expr=f"{share('expired')} > 0.01",
                wait="5m",
                severity="warning",
                summary="{{ $value | humanizePercentage }} of the frames at {{ $labels.instance }} come too late.",
                action="Compare queue, infer and encode seconds with an hour ago: queue alone means too many frames, "
                "infer means a slower model, provider or machine. Then compare max_age with p99 of the frames.",
            ),
            Alert(
                name="IsthmusFramesFail",
                expr=f"{share('failed')} > 0.001",
                wait="5m",
                severity="critical",
                summary="{{ $value | humanizePercentage }} of the frames at {{ $labels.instance }} fail in the server.",
                action="Read the log's ERROR lines. If they began with a new model version, run `isthmus rollback`.",
            ),
        ),
    ),
    Metric(
        name="isthmus_frames_dropped_total",
        kind=Kind.COUNTER,
        labels=("reason",),
        unit="frames",
        help="Frames that got no mask, by reason.",
        panel=Panel(
            title="Drops by reason",
            row="Frames",
            queries=((rate("reason", "isthmus_frames_dropped_total"), "{{reason}}"),),
            unit="cps",
        ),
    ),
    Metric(
        name="isthmus_frame_seconds",
        kind=Kind.HISTOGRAM,
        labels=("rpc", "service_class"),
        unit="seconds",
        help="From a frame's arrival to its mask; frames without a mask are not in it.",
        buckets=LATENCY_S,
        panel=Panel(
            title="Arrival to mask",
            row="Frames",
            queries=quantiles("isthmus_frame_seconds", "service_class"),
            unit="s",
        ),
    ),
    Metric(
        name="isthmus_deadline_slack_seconds",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="Time left until a frame's deadline when it got its verdict; below zero it was missed. Frames without a "
        "deadline are not in it.",
        buckets=_SLACK_S,
        panel=Panel(
            title="Slack to the deadline (1 % have less)",
            row="Frames",
            queries=((f"histogram_quantile(0.01, {rate('le', 'isthmus_deadline_slack_seconds_bucket')})", "p1"),),
            unit="s",
        ),
    ),
)
