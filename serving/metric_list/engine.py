"""The stages of a frame's work, and the process that does it."""

from typing import Final

from isthmus.serving.metric_list.kinds import LATENCY_S, Kind, Metric, Panel
from isthmus.serving.metric_list.promql import mean, quantiles, rate

_BATCHES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

ENGINE: Final[tuple[Metric, ...]] = (
    *(
        Metric(
            name=f"isthmus_{stage}_seconds",
            kind=Kind.HISTOGRAM,
            unit="seconds",
            help=text,
            buckets=LATENCY_S,
            panel=Panel(title=title, row="Engine", queries=quantiles(f"isthmus_{stage}_seconds"), unit="s"),
        )
        for stage, title, text in (
            ("decode", "Decode", "From a frame's bytes to pixels, with the wait for a free thread."),
            ("queue", "Queue", "A frame's wait for the engine."),
            ("encode", "Encode", "From a mask to bytes, with the wait for a free thread."),
        )
    ),
    Metric(
        name="isthmus_infer_seconds",
        kind=Kind.HISTOGRAM,
        labels=("provider",),
        unit="seconds",
        help="A batch in the engine, by execution provider.",
        buckets=LATENCY_S,
        panel=Panel(title="Infer", row="Engine", queries=quantiles("isthmus_infer_seconds", "provider"), unit="s"),
    ),
    Metric(
        name="isthmus_batches_total",
        kind=Kind.COUNTER,
        labels=("result",),
        unit="batches",
        help="Batches that the engine worked on: `ok` or `failed`.",
        panel=Panel(
            title="Batches",
            row="Engine",
            queries=((rate("result", "isthmus_batches_total"), "{{result}}"),),
            unit="cps",
        ),
    ),
    Metric(
        name="isthmus_batch_frames",
        kind=Kind.HISTOGRAM,
        unit="frames",
        help="Real frames in a batch.",
        buckets=_BATCHES,
        panel=Panel(
            title="Frames a batch",
            row="Engine",
            queries=((mean("isthmus_batch_frames"), "mean {{instance}}"),),
            unit="none",
        ),
    ),
    Metric(
        name="isthmus_batch_padding_total",
        kind=Kind.COUNTER,
        unit="frames",
        help="Places of batches that were filled up without a frame.",
        panel=Panel(
            title="Padding",
            row="Engine",
            queries=((rate("instance", "isthmus_batch_padding_total"), "{{instance}}"),),
            unit="cps",
        ),
    ),
)

PROCESS: Final[tuple[Metric, ...]] = tuple(
    Metric(
        name=name,
        kind=kind,
        unit=unit,
        help=text,
        panel=Panel(title=title, row="Process", queries=((expr, "{{instance}}"),), unit=grafana_unit),
        of_process=True,
    )
    for name, kind, unit, text, title, expr, grafana_unit in (
        (
            "process_cpu_seconds_total",
            Kind.COUNTER,
            "seconds",
            "CPU time of the process.",
            "Cores in use",
            'rate(process_cpu_seconds_total{job="isthmus"}[$__rate_interval])',
            "none",
        ),
        (
            "process_resident_memory_bytes",
            Kind.GAUGE,
            "bytes",
            "Memory of the process.",
            "Memory",
            'process_resident_memory_bytes{job="isthmus"}',
            "bytes",
        ),
        (
            "process_open_fds",
            Kind.GAUGE,
            "files",
            "Files and sockets that the process has open.",
            "Open files",
            'process_open_fds{job="isthmus"}',
            "none",
        ),
    )
)
