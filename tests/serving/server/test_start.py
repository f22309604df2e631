"""How a server comes up: health, services, its port's file; and what stops the start."""

import logging

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from isthmus.errors import ConfigurationError, ContractError, NoModelError, ProviderError, ServingError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import ProviderPolicy, ServerConfig
from isthmus.serving.probe import probe
from isthmus.serving.server import SERVICES

TIMEOUT_S = 30.0


def test_health_of_server_and_services(address):
    assert {probe(address, name) for name in ("", *SERVICES)} == {"SERVING"}
    with pytest.raises(ServingError, match="NOT_FOUND"):
        probe(address, "no.such.Service")


def test_services_are_registered_under_their_names():
    assert SERVICES == ("isthmus.serving.v1.SegmentationService", "inference.GRPCInferenceService")


def test_comes_up_when_a_model_is_promoted(start_server, registry, tiny, tmp_path):
    card = tiny.make_card()
    folder = tmp_path / "export"
    folder.mkdir()
    tiny.write_manifest(tiny.write_onnx(folder / "model.onnx", card), card)
    version = registry.register(folder, "late", promote=False)
    thread = start_server(
        ServerConfig(
            model_name="late",
            tracking_uri=registry.uri,
            cache_dir=tmp_path / "cache",
            port=0,
            num_threads=1,
            poll_interval_s=0.05,
        )
    )
    address = thread.server.address
    assert {probe(address, name) for name in ("", *SERVICES)} == {"NOT_SERVING"}
    with SegmentationClient(address) as client, grpc.insecure_channel(address) as channel:
        with pytest.raises(NoModelError, match="no model yet"):
            client.segment(tiny.street())
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        states = (update.status for update in watch)
        assert next(states) == health_pb2.HealthCheckResponse.NOT_SERVING
        registry.promote("late", version)
        assert next(states) == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        assert client.segment(tiny.street()).model_version == version


def test_reflection_only_when_asked_for(start_server, address, model_file):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, reflection=True)).server
    with grpc.insecure_channel(server.address) as channel:
        assert set(SERVICES) < set(ProtoReflectionDescriptorDatabase(channel).get_services())
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_port_that_is_taken(start_server, address, model_file):
    with pytest.raises(ServingError, match="cannot listen"):
        start_server(ServerConfig(model_file=model_file, port=int(address.rsplit(":", 1)[1]), num_threads=1))


def test_bad_model_file_stops_the_start(start_server, tmp_path, tiny):
    with pytest.raises(ContractError, match="no model card"):
        start_server(ServerConfig(model_file=tiny.write_onnx(tmp_path / "m.onnx"), port=0, num_threads=1))


def test_required_gpu_stops_the_start(start_server, model_file):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a CUDA provider; the test is about one without")
    with pytest.raises(ProviderError, match=r"no CUDA provider.*isthmus\[serve,gpu\]"):
        start_server(ServerConfig(model_file=model_file, port=0, provider_policy=ProviderPolicy.REQUIRE_CUDA))


def test_port_file_that_cannot_be_written(start_server, model_file, tmp_path):
    with pytest.raises(ConfigurationError, match="--port-file"):
        start_server(ServerConfig(model_file=model_file, port=0, port_file=tmp_path / "missing" / "port"))


def test_port_file_is_there_while_the_server_listens(start_server, tiny, model_file, tmp_path):
    path = tmp_path / "port"
    path.write_text("of another server")
    bad = tiny.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(ContractError):
        start_server(ServerConfig(model_file=bad, port=0, port_file=path))
    assert not path.exists()
    thread = start_server(ServerConfig(model_file=model_file, port=0, port_file=path))
    assert int(path.read_text()) == thread.server.port
    thread.call(thread.server.stop())
    assert not path.exists()


@pytest.mark.parametrize("uri", ["sqlite:file.db", "mlruns", "file:///srv/mlruns", "file:mlruns"])
def test_an_address_that_is_none_ends_the_start_before_it_listens(start_server, tmp_path, uri):
    port_file = tmp_path / "port"
    config = ServerConfig(
        model_name="street", tracking_uri=uri, cache_dir=tmp_path / "cache", port=0, port_file=port_file
    )
    with pytest.raises(ConfigurationError, match=r"no address of a registry.*sqlite:///FOLDER/mlflow\.db"):
        start_server(config)
    assert not port_file.exists()


def test_an_address_of_an_unknown_kind_ends_the_start(start_server, tmp_path):
    config = ServerConfig(
        model_name="street", tracking_uri="htps://me:secret@mlflow.example", cache_dir=tmp_path / "cache", port=0
    )
    with pytest.raises(ConfigurationError, match=r"^htps://mlflow\.example: this is no address of a registry"):
        start_server(config)


def test_a_model_file_that_is_missing_ends_the_start_before_it_listens(start_server, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="isthmus")
    port_file = tmp_path / "port"
    port_file.write_text("of another server")
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "m.onnx", "no such model file")):
        with pytest.raises(ContractError, match=message):
            start_server(ServerConfig(model_file=path, port=0, port_file=port_file))
    assert not port_file.exists()
    assert not [line for line in caplog.messages if "listening" in line]
