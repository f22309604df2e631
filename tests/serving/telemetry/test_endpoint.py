"""A real server: what its calls leave in the metrics, and how they are reached."""

import threading
import urllib.request

import grpc
import pytest
from google.protobuf import duration_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from isthmus.errors import InvalidFrameError, NoModelError, ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import ServerConfig
from isthmus.serving.model_store import ModelStore
from isthmus.serving.telemetry_config import TelemetryConfig

TIMEOUT_S = 30.0


def scrape(server):
    """Samples by name and labels."""
    url = f"http://127.0.0.1:{server._telemetry.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(series, **labels):
    return (series, *sorted(labels.items()))


@pytest.fixture
def start_watched(start_server, model_file):
    def start(**telemetry):
        config = TelemetryConfig(metrics_port=0, **telemetry)
        return start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=config))

    return start


def test_calls_and_streams_of_a_real_server(start_watched, tiny, told):
    server = start_watched().server
    with SegmentationClient(server.address) as client, grpc.insecure_channel(server.address) as channel:
        client.segment(tiny.street())
        with pytest.raises(InvalidFrameError):
            client.segment(b"\xff\xd8\xff no picture")
        for name in ("Nonsense", "Rubbish"):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(f"/isthmus.serving.v1.SegmentationService/{name}")(b"", timeout=TIMEOUT_S)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        next(watch)
        found = scrape(server)
        assert found[key("isthmus_rpcs_total", rpc="Segment", code="OK")] == 1
        assert found[key("isthmus_rpcs_total", rpc="Segment", code="INVALID_ARGUMENT")] == 1
        assert found[key("isthmus_rpcs_total", rpc="unknown", code="UNIMPLEMENTED")] == 2
        assert found[key("isthmus_rpc_seconds_count", rpc="Segment")] == 2
        assert found[key("isthmus_streams", rpc="Watch")] == 1
        watch.cancel()
        told.wait_until(lambda: scrape(server)[key("isthmus_streams", rpc="Watch")] == 0)
        assert scrape(server)[key("isthmus_rpcs_total", rpc="Watch", code="CANCELLED")] == 1


def test_the_model_of_a_real_server(start_watched):
    server = start_watched().server
    found = scrape(server)
    model = server._pipeline.current
    digest = {"name": "tiny", "version": "file", "digest": model.sha256, "provider": "CPUExecutionProvider"}
    assert found[key("isthmus_model_info", **digest)] == 1
    assert found[key("isthmus_model_loaded")] == 1
    assert found[key("isthmus_in_flight")] == found[key("isthmus_queue_depth")] == 0
    assert not [name for name, *_ in found if name.startswith("isthmus_registry")]


def test_the_frames_of_a_real_server(start_watched, tiny):
    server = start_watched().server
    good, bad = tiny.png(tiny.street()), b"\x89PNG\r\n\x1a\n and no more"
    open_end = threading.Event()

    def requests():
        for number, data in enumerate((good, bad)):
            yield pb.StreamSegmentRequest(
                frame=pb.Frame(
                    camera_id="front",
                    sequence_number=number,
                    encoding=pb.FRAME_ENCODING_PNG,
                    data=data,
                    max_age=duration_pb2.Duration(seconds=int(TIMEOUT_S)),
                    service_class=pb.SERVICE_CLASS_BULK,
                )
            )
            assert answered.acquire(timeout=TIMEOUT_S)  # else the second frame takes the first one's place
        assert open_end.wait(TIMEOUT_S)

    answered = threading.Semaphore(0)
    with SegmentationClient(server.address) as client, grpc.insecure_channel(server.address) as channel:
        client.segment(tiny.street())
        stream = segmentation_pb2_grpc.SegmentationServiceStub(channel).StreamSegment(requests(), timeout=TIMEOUT_S)
        verdicts = []
        while len(verdicts) < 2:
            event = next(stream)
            if event.HasField("result"):
                verdicts.append(event.result.verdict)
                answered.release()
        found = scrape(server)
        open_end.set()
        assert list(stream) == []
    assert verdicts == [pb.VERDICT_SEGMENTED, pb.VERDICT_INVALID]
    assert found[key("isthmus_streams", rpc="StreamSegment")] == 1
    streamed = {"rpc": "StreamSegment", "service_class": "bulk"}
    assert found[key("isthmus_frames_total", **streamed, verdict="segmented")] == 1
    assert found[key("isthmus_frames_total", **streamed, verdict="invalid")] == 1
    assert found[key("isthmus_frames_total", rpc="Segment", service_class="live", verdict="segmented")] == 1
    assert found[key("isthmus_frames_dropped_total", reason="INVALID_FRAME")] == 1
    for stage in ("decode", "queue", "encode"):
        assert found[key(f"isthmus_{stage}_seconds_count")] == 2
    assert found[key("isthmus_infer_seconds_count", provider="CPUExecutionProvider")] == 2
    assert found[key("isthmus_batch_frames_sum")] == found[key("isthmus_batches_total", result="ok")] == 2
    assert found[key("isthmus_deadline_slack_seconds_count")] == 3  # the client's own deadline counts too
    assert found[key("isthmus_confidence_mean_sum")] == pytest.approx(2 * 200 / 255)
    classes = {name: found[key("isthmus_class_fraction_sum", **{"class": name})] / 2 for name in ("red", "other")}
    labels = tiny.expected_labels(tiny.street())
    assert classes == {name: pytest.approx((labels == index).mean()) for index, name in enumerate(classes)}


def test_registry_s_answers_are_noted_while_there_is_no_champion(start_server, tmp_path, told, monkeypatch):
    def load(self, prove):
        raise NoModelError("no version has the alias")

    monkeypatch.setattr(ModelStore, "load", load)
    server = start_server(
        ServerConfig(
            model_name="nobody",
            tracking_uri="sqlite:///nowhere.db",
            cache_dir=tmp_path,
            port=0,
            poll_interval_s=0.05,
            telemetry=TelemetryConfig(metrics_port=0),
        )
    ).server
    found = scrape(server)
    assert found[key("isthmus_model_loaded")] == 0
    ages = {scrape(server)[key("isthmus_registry_age_seconds")] for _ in range(2)}
    told.wait_until(lambda: scrape(server)[key("isthmus_registry_age_seconds")] < max(ages))


def test_no_endpoint_unless_asked_for(address, start_server, model_file):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1)).server
    assert server._telemetry.metrics_port is None


def test_the_log_tells_the_port_and_a_stopped_server_frees_it(start_server, model_file, caplog):
    caplog.set_level("INFO", logger="isthmus.serving.telemetry")
    config = ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=TelemetryConfig(metrics_port=0))
    thread = start_server(config)
    port = thread.server._telemetry.metrics_port
    assert f"metrics on http://127.0.0.1:{port}/metrics" in caplog.text
    taken = TelemetryConfig(metrics_port=port)
    with pytest.raises(ServingError, match=rf"127.0.0.1:{port}: cannot offer metrics.*--metrics-port"):
        start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=taken))
    thread.call(thread.server.stop())
    again = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, telemetry=taken))
    assert again.server._telemetry.metrics_port == port
