"""OpenTelemetry traces: a span for each sampled frame, with a child for each stage that it reached.

A frame of a unary call belongs to the caller's trace (W3C `traceparent` in the call's metadata), and the caller decides
whether it is sampled. A stream lives for hours, so each of its frames is a trace of its own, sampled by our ratio and
linked to the caller's span. Spans are made when the frame is done, from the seconds that it spent.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import isthmus
from isthmus.errors import ConfigurationError
from isthmus.serving.events import FrameDone
from isthmus.serving.rpc_telemetry import Call, current_call
from isthmus.serving.telemetry_config import TelemetryConfig

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Link, Span

logger = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE: Final = "isthmus"
_FLUSH_S: Final = 2.0
_FAILED: Final = "failed"


def build_tracing(config: TelemetryConfig, environ: Mapping[str, str] = os.environ) -> "Tracing | None":
    """Tracing with an OTLP exporter, or None where no collector is named; OpenTelemetry's SDK is imported only then.

    Raises:
        ConfigurationError: The collector's address is none.
    """
    named = next((name for name in _ENDPOINTS if environ.get(name)), "")
    endpoint = config.otlp_endpoint or environ.get(named)
    if endpoint is None:
        return None
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{endpoint!r} is no collector's address",
            where="--otlp-endpoint" if config.otlp_endpoint else named,
            remedy="Write http://HOST:4317, or https://HOST:4317 for TLS.",
        )
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=endpoint)
    logger.info("traces of %g %% of the frames go to %s", 100 * config.trace_ratio, endpoint)
    return Tracing(BatchSpanProcessor(exporter), config.trace_ratio, interrupt=exporter.shutdown)


class Tracing:
    """A listener that makes spans of frames.

    Args:
        processor: Takes spans that have ended; OpenTelemetry's.
        ratio: Share of the frames that are sampled where no caller has decided it, in [0, 1].
        interrupt: Makes an export that hangs give up.
        clock: Nanoseconds since the epoch.
    """

    def __init__(
        self,
        processor: "SpanProcessor",
        ratio: float,
        *,
        interrupt: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        from opentelemetry.sdk.resources import SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        attributes = {SERVICE_VERSION: isthmus.__version__}
        if "OTEL_SERVICE_NAME" not in os.environ:
            attributes["service.name"] = _SERVICE
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create(attributes),
            shutdown_on_exit=False,  # `stop` does it, and never hangs
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("isthmus.serving", isthmus.__version__)
        self._interrupt = interrupt
        self._clock = clock

    def heard(self, event: object) -> None:
        """Make the spans of a frame that is done."""
        if isinstance(event, FrameDone):
            self._frame(event, self._clock())

    def stop(self) -> None:
        """Send what is left, within two seconds; blocks."""
        thread = threading.Thread(target=self._provider.shutdown, name="end-traces", daemon=True)
        thread.start()
        thread.join(_FLUSH_S)
        if thread.is_alive():
            logger.warning("the trace collector does not answer; the last spans are lost")
            self._interrupt()

    def _frame(self, frame: FrameDone, ended: int) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        started = ended - _nanoseconds(frame.total_s)
        parent, links = _belongs_to(frame)
        span = self._tracer.start_span(frame.rpc, context=parent, kind=SpanKind.SERVER, links=links, start_time=started)
        if not span.is_recording():
            return
        span.set_attributes(_facts(frame))
        if frame.verdict == _FAILED:
            span.set_status(Status(StatusCode.ERROR, frame.reason_code))
        context = set_span_in_context(span)
        begun = started
        stages = {"decode": frame.decode_s, "queue": frame.queue_s, "infer": frame.infer_s, "encode": frame.encode_s}
        for stage, seconds in stages.items():
            if seconds is not None:
                until = begun + _nanoseconds(seconds)
                child: Span = self._tracer.start_span(stage, context=context, start_time=begun)
                child.end(until)
                begun = until
        span.end(ended)


def _belongs_to(frame: FrameDone) -> "tuple[Context, list[Link]]":
    """The context of the caller's trace and what a frame is linked to beside it; see the module's first lines."""
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    call = current_call.get()
    if call is None or not call.trace or not _sent(frame, call):
        return Context(), []
    context = TraceContextTextMapPropagator().extract(call.trace, context=Context())
    if not call.streaming:
        return context, []
    caller = get_current_span(context).get_span_context()
    return Context(), [Link(caller)] if caller.is_valid else []


def _sent(frame: FrameDone, call: Call) -> bool:
    """Whether a frame came by this call: an event may be told by a task that works for several."""
    return (frame.rpc, frame.vehicle) == (call.rpc, call.vehicle)


def _facts(frame: FrameDone) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "rpc.system": "grpc",
        "rpc.method": frame.rpc,
        "isthmus.vehicle": frame.vehicle,
        "isthmus.verdict": frame.verdict,
        "isthmus.service_class": frame.service_class,
        "isthmus.model_version": frame.model_version,
    }
    if frame.camera:
        facts["isthmus.camera"] = frame.camera
    if frame.reason_code:
        facts["isthmus.reason_code"] = frame.reason_code
    if abs(frame.slack_s) != float("inf"):
        facts["isthmus.slack_s"] = frame.slack_s
    return facts


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
