"""Prometheus metrics: a registry of its own, filled by what the server tells, and the endpoint that shows it.

Counters and histograms grow with each event; gauges are read when somebody asks. Which there are stands in
`metric_list`. A label has few values, whatever clients send: vehicles and cameras are none.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, Summary, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from isthmus.serving.events import BatchDone, Change, FrameDone, ModelChanged, RpcDone
from isthmus.serving.metric_list import METRICS, Kind
from isthmus.serving.model import LoadedModel

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
"""Values of a gauge, each behind the values of its labels."""

SEGMENTED: Final = "segmented"
OTHER: Final = "other"
MAX_LABEL_VALUES: Final = 64
"""Different values that a label may have; all later ones count as `OTHER`."""

_KINDS: Final = {Kind.COUNTER: Counter, Kind.HISTOGRAM: Histogram, Kind.SUMMARY: Summary}


class Load(Protocol):
    """What the gauges read; the pipeline."""

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests admitted and not answered yet."""
        ...

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the engine."""
        ...


@runtime_checkable
class Comparison(Protocol):
    """A frame that a challenger has labelled beside the champion; what a shadow tells."""

    @property
    def challenger_version(self) -> str:
        """The version that does not answer."""
        ...

    @property
    def agreement(self) -> float:
        """Share of the pixels with the same label, in [0, 1]."""
        ...


class Metrics:
    """A listener that counts.

    Args:
        load: Where the gauges look.
        open_streams: Streams that are open now, by method.
        has_registry: Whether models come from a registry, whose silence is worth a metric.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        load: Load,
        open_streams: Callable[[], Mapping[str, int]],
        *,
        has_registry: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # A _created beside each series doubles what Prometheus keeps, and nothing reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._load = load
        self._open_streams = open_streams
        self._clock = clock
        self._answered_at = clock() if has_registry else None
        self._certificate_ends_at: float | None = None
        self._label_space = ""
        self._challenger = ""
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._by_name = {
            metric.name: _KINDS[metric.kind](
                metric.name,
                metric.help,
                metric.labels,
                registry=self.registry,
                **({"buckets": metric.buckets} if metric.buckets else {}),
            )
            for metric in METRICS
            if metric.kind is not Kind.GAUGE and not metric.of_process
        }
        self.registry.register(_Gauges(self._readers()))
        ProcessCollector(registry=self.registry)
        for result in Change:  # an alert sees a step from 0 to 1, but no series that begins at 1
            self._metric("isthmus_model_changes_total", result=result)

    def heard(self, event: object) -> None:
        """Count an event."""
        match event:
            case FrameDone():
                self._frame(event)
            case BatchDone():
                self._batch(event)
            case RpcDone():
                self._metric("isthmus_rpcs_total", rpc=event.rpc, code=event.code).inc()
                self._metric("isthmus_rpc_seconds", rpc=event.rpc).observe(event.seconds)
            case ModelChanged():
                self._metric("isthmus_model_changes_total", result=event.change).inc()
                self._metric("isthmus_model_change_seconds", result=event.change).observe(event.seconds)
            case Comparison():
                self.shadow_compared(event.agreement, event.challenger_version)

    def shadow_compared(self, agreement: float, challenger_version: str) -> None:
        """Note a frame that a challenger has seen as well; only the latest challenger is kept.

        Args:
            agreement: Share of the pixels with the same label, in [0, 1].
            challenger_version: The registry's.
        """
        if challenger_version != self._challenger:
            self._challenger = challenger_version
            self._by_name["isthmus_shadow_agreement"].clear()
        self._by_name["isthmus_shadow_agreement"].labels(challenger_version).observe(agreement)

    def registry_answered(self) -> None:
        """Note that the registry has answered just now, whatever it said; nothing where there is none."""
        if self._answered_at is not None:
            self._answered_at = self._clock()

    def certificate_ends(self, at: float) -> None:
        """Note the end of the server's certificate, in seconds since the epoch."""
        self._certificate_ends_at = at

    def _frame(self, frame: FrameDone) -> None:
        count = {"rpc": frame.rpc, "service_class": frame.service_class}
        self._metric("isthmus_frames_total", **count, verdict=frame.verdict).inc()
        if frame.verdict == SEGMENTED:
            self._metric("isthmus_frame_seconds", **count).observe(frame.total_s)
        else:
            reason = frame.reason_code or frame.verdict.upper()
            self._metric("isthmus_frames_dropped_total", reason=reason).inc()
        stages = {"decode": frame.decode_s, "queue": frame.queue_s, "encode": frame.encode_s}
        for stage, seconds in stages.items():
            if seconds is not None:
                self._metric(f"isthmus_{stage}_seconds").observe(seconds)
        if abs(frame.slack_s) != float("inf"):
            self._metric("isthmus_deadline_slack_seconds").observe(frame.slack_s)
        if frame.confidence_mean is not None:
            self._metric("isthmus_confidence_mean").observe(frame.confidence_mean)
        if frame.class_fractions:
            self._classes(frame)

    def _classes(self, frame: FrameDone) -> None:
        """Only of the served model: the names of another one's classes are not known here."""
        model = self._load.current
        if model is None or model.version != frame.model_version:
            return
        space = model.card.label_space
        fractions = self._by_name["isthmus_class_fraction"]
        if space.id_hash != self._label_space:
            self._label_space = space.id_hash
            fractions.clear()
        for kind, fraction in zip(space.classes, frame.class_fractions, strict=True):
            fractions.labels(kind.name).observe(fraction)

    def _batch(self, batch: BatchDone) -> None:
        failed = batch.prediction is None
        self._metric("isthmus_batches_total", result="failed" if failed else "ok").inc()
        self._metric("isthmus_batch_frames").observe(batch.num_frames)
        self._metric("isthmus_batch_padding_total").inc(batch.padded_to - batch.num_frames)
        if not failed:
            self._metric("isthmus_infer_seconds", provider=batch.provider).observe(batch.infer_s)

    def _metric(self, name: str, **labels: str) -> Any:
        metric = self._by_name[name]
        if not labels:
            return metric
        return metric.labels(**{label: self._bounded(name, label, value) for label, value in labels.items()})

    def _bounded(self, name: str, label: str, value: str) -> str:
        seen = self._seen.setdefault((name, label), set())
        if value not in seen:
            if len(seen) >= MAX_LABEL_VALUES:
                return OTHER
            seen.add(value)
        return value

    def _readers(self) -> dict[str, Callable[[], Samples]]:
        """What each gauge shows, by its name."""
        return {
            "isthmus_streams": lambda: [((rpc,), count) for rpc, count in self._open_streams().items()],
            "isthmus_in_flight": lambda: [((), self._load.in_flight)],
            "isthmus_queue_depth": lambda: [((), self._load.queue_depth)],
            "isthmus_certificate_expiry_seconds": lambda: self._distance(self._certificate_ends_at, 1),
            "isthmus_registry_age_seconds": lambda: self._distance(self._answered_at, -1),
            "isthmus_model_info": lambda: self._model(
                lambda model: ((model.name, model.version, model.sha256, model.provider), 1.0)
            ),
            "isthmus_model_loaded": lambda: [((), float(self._load.current is not None))],
            "isthmus_provider_fallback": lambda: self._model(lambda model: ((), float(model.provider_fallback))),
            "isthmus_model_from_cache": lambda: self._model(lambda model: ((), float(model.from_cache))),
        }

    def _distance(self, moment: float | None, sign: int) -> Samples:
        return [] if moment is None else [((), sign * (moment - self._clock()))]

    def _model(self, read: Callable[[LoadedModel], tuple[tuple[str, ...], float]]) -> Samples:
        model = self._load.current
        return [] if model is None else [read(model)]


class _Gauges(Collector):
    """Reads the gauges of the list whenever the registry is asked."""

    def __init__(self, readers: Mapping[str, Callable[[], Samples]]) -> None:
        self._readers = readers
        self._gauges = [metric for metric in METRICS if metric.kind is Kind.GAUGE and not metric.of_process]
        assert {metric.name for metric in self._gauges} == set(readers), "each gauge has its reader"

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for metric in self._gauges:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in self._readers[metric.name]():
                family.add_metric(labels, value)
            yield family
