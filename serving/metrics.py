"""Prometheus metrics: a registry of its own, filled by what the server tells, and the endpoint that shows it.

Counters and histograms grow with each event; gauges and summaries are read when somebody asks. Which there are stands
in `metric_list`. A label has few values, whatever clients send: vehicles and cameras are none.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from isthmus.serving.events import BatchDone, Change, FrameDone, ModelChanged, RpcDone
from isthmus.serving.metric_list import METRICS, Kind
from isthmus.serving.model import LoadedModel

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], tuple[float, ...]]]
"""A gauge's values or a summary's counts and sums, each behind the values of its labels."""

SEGMENTED: Final = "segmented"
OTHER: Final = "other"
MAX_LABEL_VALUES: Final = 64
"""Different values that a label may have; all later ones count as `OTHER`."""

_KINDS: Final = {Kind.COUNTER: Counter, Kind.HISTOGRAM: Histogram}


class Load(Protocol):
    """What the gauges read; the pipeline."""

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that wait, are decoded, or run."""
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
        certificate_ends: End of the server's certificate, in seconds since the epoch; None without one.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        load: Load,
        open_streams: Callable[[], Mapping[str, int]],
        *,
        has_registry: bool,
        certificate_ends: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # A _created beside each series doubles what Prometheus keeps, and nothing reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._load = load
        self._open_streams = open_streams
        self._clock = clock
        self._answered_at = clock() if has_registry else None
        self._certificate_ends = certificate_ends
        self._classes = _Classes("", (), np.zeros(0))
        self._challenger = ""
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._children: dict[tuple[str, ...], Any] = {}
        self._by_name = {
            metric.name: _KINDS[metric.kind](
                metric.name,
                metric.help,
                metric.labels,
                registry=self.registry,
                **({"buckets": metric.buckets} if metric.buckets else {}),
            )
            for metric in METRICS
            if metric.kind in _KINDS and not metric.of_process
        }
        self.registry.register(_Readings(self._readers()))
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
            self._count_classes(frame)

    def _count_classes(self, frame: FrameDone) -> None:
        """Only of the served model: the names of another one's classes are not known here."""
        model = self._load.current
        if model is None or model.version != frame.model_version:
            return
        space = model.card.label_space
        if space.id_hash != self._classes.label_space:
            names = tuple(kind.name for kind in space.classes)
            self._classes = _Classes(space.id_hash, names, np.zeros(len(names)))
        self._classes.sums += frame.class_fractions
        self._classes.num_frames += 1

    def _batch(self, batch: BatchDone) -> None:
        failed = batch.prediction is None
        self._metric("isthmus_batches_total", result="failed" if failed else "ok").inc()
        self._metric("isthmus_batch_frames").observe(batch.num_frames)
        self._metric("isthmus_batch_padding_total").inc(batch.padded_to - batch.num_frames)
        if not failed:
            self._metric("isthmus_infer_seconds", provider=batch.provider).observe(batch.infer_s)

    def _metric(self, name: str, **labels: str) -> Any:
        child = self._children.get((name, *labels.values()))
        if child is not None:
            return child
        metric, allowed = self._by_name[name], labels
        if labels:
            allowed = {label: self._bounded(name, label, value) for label, value in labels.items()}
            metric = metric.labels(**allowed)
        if allowed == labels:  # else the dictionary would grow with whatever clients invent
            self._children[name, *labels.values()] = metric
        return metric

    def _bounded(self, name: str, label: str, value: str) -> str:
        seen = self._seen.setdefault((name, label), set())
        if value not in seen:
            if len(seen) >= MAX_LABEL_VALUES:
                return OTHER
            seen.add(value)
        return value

    def _readers(self) -> dict[str, Callable[[], Samples]]:
        """What each gauge and summary shows, by its name."""
        return {
            "isthmus_streams": lambda: [((rpc,), (count,)) for rpc, count in self._open_streams().items()],
            "isthmus_in_flight": lambda: [((), (self._load.in_flight,))],
            "isthmus_queue_depth": lambda: [((), (self._load.queue_depth,))],
            "isthmus_certificate_expiry_seconds": lambda: self._distance(self._certificate_ends(), 1),
            "isthmus_registry_age_seconds": lambda: self._distance(self._answered_at, -1),
            "isthmus_model_info": lambda: self._model(
                lambda model: ((model.name, model.version, model.sha256, model.provider), (1.0,))
            ),
            "isthmus_model_loaded": lambda: [((), (float(self._load.current is not None),))],
            "isthmus_provider_fallback": lambda: self._model(lambda model: ((), (float(model.provider_fallback),))),
            "isthmus_model_from_cache": lambda: self._model(lambda model: ((), (float(model.from_cache),))),
            "isthmus_class_fraction": self._fractions,
        }

    def _distance(self, moment: float | None, sign: int) -> Samples:
        return [] if moment is None else [((), (sign * (moment - self._clock()),))]

    def _model(self, read: Callable[[LoadedModel], tuple[tuple[str, ...], tuple[float, ...]]]) -> Samples:
        model = self._load.current
        return [] if model is None else [read(model)]

    def _fractions(self) -> Samples:
        seen = self._classes
        return [((name,), (seen.num_frames, total)) for name, total in zip(seen.names, seen.sums.tolist(), strict=True)]


@dataclass(slots=True)
class _Classes:
    """Sums of the class fractions [C] of all frames since this label space is served."""

    label_space: str
    names: tuple[str, ...]
    sums: NDArray[np.float64]
    num_frames: int = 0


class _Readings(Collector):
    """Reads the gauges and summaries of the list whenever the registry is asked."""

    def __init__(self, readers: Mapping[str, Callable[[], Samples]]) -> None:
        self._readers = readers
        self._metrics = [metric for metric in METRICS if metric.kind not in _KINDS and not metric.of_process]
        assert {metric.name for metric in self._metrics} == set(readers), "each of them has its reader"

    def collect(self) -> Iterable[GaugeMetricFamily | SummaryMetricFamily]:
        for metric in self._metrics:
            make: Any = GaugeMetricFamily if metric.kind is Kind.GAUGE else SummaryMetricFamily
            family = make(metric.name, metric.help, labels=metric.labels)
            for labels, values in self._readers[metric.name]():
                family.add_metric(labels, *values)
            yield family
