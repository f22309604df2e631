"""Spans of frames: their stages, whose trace they belong to, and the way to a collector."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from isthmus.errors import ConfigurationError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.rpc_telemetry import Call, current_call
from isthmus.serving.telemetry_config import TelemetryConfig
from isthmus.serving.tracing import Tracing, build_tracing

TIMEOUT_S = 30.0
NOW = 1_700_000_000_000_000_000
TRACE, PARENT = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
SAMPLED, NOT_SAMPLED = (f"00-{TRACE:032x}-{PARENT:016x}-{flags}" for flags in ("01", "00"))


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def make(spans):
    made = []

    def tracing(ratio=1.0):
        made.append(Tracing(SimpleSpanProcessor(spans), ratio, clock=lambda: NOW))
        return made[-1]

    yield tracing
    for one in made:
        one.stop()


@pytest.fixture
def within():
    """Sets the call that a frame came by, for as long as the test runs."""
    tokens = []

    def enter(rpc, traceparent, *, vehicle="car-17"):
        call = Call(rpc, vehicle, rpc != "Segment", {"traceparent": traceparent})
        tokens.append(current_call.set(call))

    yield enter
    for token in reversed(tokens):
        current_call.reset(token)


def by_name(spans):
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_frame_s_stages_follow_each_other(make, spans, told):
    make().heard(told.frame(camera="front"))
    found = by_name(spans)
    frame = found["StreamSegment"]
    assert (frame.start_time, frame.end_time) == (NOW - 30_000_000, NOW)
    places = [(name, found[name].start_time - frame.start_time, found[name].end_time - frame.start_time)
              for name in ("decode", "queue", "infer", "encode")]  # fmt: skip
    assert places == [
        ("decode", 0, 4_000_000),
        ("queue", 4_000_000, 7_000_000),
        ("infer", 7_000_000, 27_000_000),
        ("encode", 27_000_000, 28_000_000),
    ]
    assert all(found[name].parent.span_id == frame.context.span_id for name, *_ in places)
    assert frame.attributes["isthmus.vehicle"] == "car-17"
    assert frame.attributes["isthmus.camera"] == "front"
    assert frame.attributes["isthmus.slack_s"] == 0.07
    assert frame.resource.attributes["service.name"] == "isthmus"


def test_a_frame_has_spans_as_far_as_it_came(make, spans, told):
    make().heard(told.dropped("failed", reason_code="INTERNAL", slack_s=float("inf")))
    found = by_name(spans)
    assert set(found) == {"StreamSegment", "decode", "queue"}
    frame = found["StreamSegment"]
    assert frame.status.status_code is StatusCode.ERROR
    assert frame.attributes["isthmus.reason_code"] == "INTERNAL"
    assert "isthmus.slack_s" not in frame.attributes


def test_a_unary_call_s_frame_belongs_to_the_caller_s_trace(make, spans, told, within):
    within("Segment", SAMPLED)
    make(ratio=0.0).heard(told.frame(rpc="Segment"))  # the caller's decision stands
    frame = by_name(spans)["Segment"]
    assert (frame.context.trace_id, frame.parent.span_id) == (TRACE, PARENT)


def test_a_caller_that_does_not_sample_is_obeyed(make, spans, told, within):
    within("Segment", NOT_SAMPLED)
    make(ratio=1.0).heard(told.frame(rpc="Segment"))
    assert not spans.get_finished_spans()


def test_a_stream_s_frames_are_traces_of_their_own_linked_to_the_caller(make, spans, told, within):
    within("StreamSegment", SAMPLED)
    tracing = make()
    tracing.heard(told.frame())
    tracing.heard(told.frame())
    frames = [span for span in spans.get_finished_spans() if span.name == "StreamSegment"]
    assert len({frame.context.trace_id for frame in frames} | {TRACE}) == 3
    assert [(link.context.trace_id, link.context.span_id) for link in frames[0].links] == [(TRACE, PARENT)]


@pytest.mark.parametrize(
    "header", ["", "nonsense", f"00-{0:032x}-{PARENT:016x}-01", f"ff-{TRACE:032x}-{PARENT:016x}-01"]
)
def test_a_wrong_traceparent_is_none(make, spans, told, within, header):
    tracing = make()
    for rpc in ("Segment", "StreamSegment"):
        within(rpc, header)
        tracing.heard(told.frame(rpc=rpc))
        frame = by_name(spans)[rpc]
        assert frame.parent is None
        assert frame.context.trace_id != TRACE
        assert not frame.links


def test_another_vehicle_s_call_is_no_parent(make, spans, told, within):
    within("Segment", SAMPLED, vehicle="car-18")  # told by a task that somebody else's call began
    make().heard(told.frame(rpc="Segment"))
    assert by_name(spans)["Segment"].parent is None


def test_a_share_of_the_frames_is_sampled(make, spans, told):
    tracing = make(ratio=0.0)
    for _ in range(50):
        tracing.heard(told.frame())
    assert not spans.get_finished_spans()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what an exporter sends."""

    def __init__(self):
        self.spans, self.services = [], set()
        self.arrived = threading.Event()

    def Export(self, request, context):
        for of_resource in request.resource_spans:
            self.services |= {
                item.value.string_value for item in of_resource.resource.attributes if item.key == "service.name"
            }
            for scope in of_resource.scope_spans:
                self.spans += scope.spans
        self.arrived.set()
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector():
    servicer = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(servicer, server)
    servicer.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(None).wait()


def test_a_real_server_s_frames_reach_the_collector(start_server, model_file, collector, tiny):
    telemetry = TelemetryConfig(otlp_endpoint=collector.endpoint, trace_ratio=1.0)
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=telemetry))
    frame = pb.Frame(camera_id="front", encoding=pb.FRAME_ENCODING_PNG, data=tiny.png(tiny.street()))
    context = {"metadata": (("traceparent", SAMPLED), ("tracestate", "a=b")), "timeout": TIMEOUT_S}
    with grpc.insecure_channel(thread.server.address) as channel:
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        stub.Segment(pb.SegmentRequest(frame=frame), **context)
        answers = list(stub.StreamSegment(iter([pb.StreamSegmentRequest(frame=frame)]), **context))
    assert answers[-1].result.verdict == pb.VERDICT_SEGMENTED
    thread.call(thread.server.stop())  # sends the rest
    found = {span.name: span for span in collector.spans if not span.parent_span_id or span.name == "Segment"}
    unary, streamed = found["Segment"], found["StreamSegment"]
    assert (unary.trace_id, unary.parent_span_id) == (TRACE.to_bytes(16), PARENT.to_bytes(8))
    assert unary.trace_state == "a=b"
    assert streamed.trace_id != unary.trace_id
    assert [(link.trace_id, link.span_id) for link in streamed.links] == [(TRACE.to_bytes(16), PARENT.to_bytes(8))]
    for frame_span in (unary, streamed):
        stages = [span for span in collector.spans if span.parent_span_id == frame_span.span_id]
        assert {span.name for span in stages} == {"decode", "queue", "infer", "encode"}
        assert all(span.trace_id == frame_span.trace_id for span in stages)
    assert collector.services == {"isthmus"}


def test_the_environment_s_collector_counts_where_no_option_names_one(collector, told):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    tracing = build_tracing(TelemetryConfig(trace_ratio=1.0), environ)
    assert tracing is not None
    tracing.heard(told.frame())
    tracing.stop()
    assert len(collector.spans) == 5
    assert build_tracing(TelemetryConfig(), {}) is None


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(ConfigurationError, match=r"^--otlp-endpoint: .*http://HOST:4317"):
        build_tracing(TelemetryConfig(otlp_endpoint="collector:4317"), {})
    with pytest.raises(ConfigurationError, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT: .*http://HOST:4317"):
        build_tracing(TelemetryConfig(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"})


def test_a_collector_that_hangs_does_not_hold_up_the_end(told, caplog):
    gone = threading.Event()

    class Hangs(SpanExporter):
        def export(self, spans):
            assert gone.wait(TIMEOUT_S)
            return SpanExportResult.FAILURE

        def shutdown(self):
            gone.set()

    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = Hangs()
    tracing = Tracing(BatchSpanProcessor(exporter), 1.0, interrupt=exporter.shutdown)
    tracing.heard(told.frame())
    tracing.stop()
    assert gone.is_set()
    assert "last spans are lost" in caplog.text


def test_without_a_collector_the_sdk_is_not_imported(model_file):
    code = f"""
import asyncio, sys
from pathlib import Path
from isthmus.serving.config import ServerConfig
from isthmus.serving.server import Server

async def live():
    server = Server(ServerConfig(model_file=Path({str(model_file)!r}), port=0, num_threads=1))
    await server.start()
    await server.stop()

asyncio.run(live())
print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == []
