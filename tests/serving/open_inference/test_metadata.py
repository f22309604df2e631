"""What the Open Inference Protocol tells of the server and its models: health, metadata, configuration, numbers."""

import dataclasses

import grpc
import numpy as np
import pytest

from isthmus.artifact import SHA256_KEY, ModelCard
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.statistics import Statistics

TIMEOUT_S = 30.0


def test_health_and_metadata(stub):
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=TIMEOUT_S).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=TIMEOUT_S).ready
    for name, version, ready in (("tiny", "", True), ("tiny", "file", True), ("tiny", "3", False), ("x", "", False)):
        assert stub.ModelReady(pb.ModelReadyRequest(name=name, version=version), timeout=TIMEOUT_S).ready is ready
    server = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=TIMEOUT_S)
    assert server.name == "isthmus"
    offered = ["model_configuration", "statistics", "model_repository(index)"]
    assert list(server.extensions) == [*offered, "provider:CPUExecutionProvider"]
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=TIMEOUT_S)
    assert (model.name, list(model.versions)) == ("tiny", ["file"])
    assert [(item.name, item.datatype, list(item.shape)) for item in model.inputs] == [
        ("image", "UINT8", [-1, -1, -1, 3]),
        ("image_bytes", "BYTES", [-1]),
    ]
    assert [item.name for item in model.outputs] == ["labels", "confidence"]


def test_configuration(stub):
    config = stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S).config
    assert (config.name, config.backend, config.max_batch_size) == ("tiny", "onnxruntime", 8)
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [
        ("image", pb.TYPE_UINT8, [-1, -1, 3]),
        ("image_bytes", pb.TYPE_STRING, [1]),
    ]
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        ("labels", pb.TYPE_UINT8, [-1, -1]),
        ("confidence", pb.TYPE_UINT8, [-1, -1]),
    ]
    assert not config.HasField("dynamic_batching")  # on a CPU each caller's frames run alone
    with pytest.raises(grpc.RpcError, match="not loaded"):
        stub.ModelConfig(pb.ModelConfigRequest(name="tiny", version="3"), timeout=TIMEOUT_S)


def test_configuration_of_a_server_that_gathers(start_server, model_file):
    scheduler = SchedulerConfig(max_batch_size=6, max_batch_wait_ms=3.0)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, scheduler=scheduler)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        batching = stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S).config.dynamic_batching
        assert list(batching.preferred_batch_size) == [1, 2, 3, 4, 5, 6]  # no padding on a CPU
        assert batching.max_queue_delay_microseconds == 3000


def test_the_card_is_written_once_a_model(start_server, model_file, monkeypatch):
    written = []
    original = ModelCard.to_json
    monkeypatch.setattr(ModelCard, "to_json", lambda card: written.append(card) or original(card))
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    written.clear()
    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = [stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S) for _ in range(3)]
        assert len(written) == 1
        pipeline = thread.server._pipeline
        newer = dataclasses.replace(pipeline.current, version="2", sha256="0" * 64)

        async def serve():
            pipeline.serve(newer)

        thread.call(serve())
        answers.append(stub.ModelConfig(pb.ModelConfigRequest(name="tiny"), timeout=TIMEOUT_S))
    assert len(written) == 2
    assert answers[0] == answers[2]
    assert answers[3].config.parameters[SHA256_KEY].string_value == "0" * 64


def test_repository_and_statistics(start_server, model_file, tiny, make_request):
    thread = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1))
    with grpc.insecure_channel(thread.server.address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        index = stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=TIMEOUT_S).models
        assert [(item.name, item.version, item.state) for item in index] == [("tiny", "file", "READY")]
        batch = np.stack([tiny.street(seed=seed) for seed in range(3)])
        stub.ModelInfer(make_request(shape=batch.shape, raw=[batch.tobytes()]), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(make_request(raw=[b"short"]), timeout=TIMEOUT_S)
        (stats,) = stub.ModelStatistics(pb.ModelStatisticsRequest(), timeout=TIMEOUT_S).model_stats
        assert (stats.name, stats.version) == ("tiny", "file")
        assert (stats.inference_count, stats.execution_count) == (3, 1)
        totals = stats.inference_stats
        assert (totals.success.count, totals.fail.count, totals.compute_infer.count) == (3, 1, 3)
        assert totals.success.ns >= totals.compute_infer.ns > 0
        assert [(item.batch_size, item.compute_infer.count) for item in stats.batch_stats] == [(3, 1)]
        assert stats.last_inference > 1_600_000_000_000
        with pytest.raises(grpc.RpcError, match="not loaded"):
            stub.ModelStatistics(pb.ModelStatisticsRequest(name="other"), timeout=TIMEOUT_S)


def test_statistics_forget_the_oldest_versions():
    statistics = Statistics()
    image = np.zeros((1, 2, 2, 3), np.uint8)
    for version in range(40):
        statistics.heard(
            BatchDone(
                model_version=str(version),
                sha256="",
                provider="",
                num_frames=1,
                padded_to=1,
                infer_s=0.5,
                images=image,
                prediction=Prediction(image[..., 0], image[..., 0]),
            )
        )
    assert statistics.of("39").batch_stats[0].compute_infer.ns == 500_000_000
    assert statistics.of("0") == pb.ModelStatistics(version="0")
