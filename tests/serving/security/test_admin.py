"""The operator's socket: who may open it, what it tells, what it does."""

import dataclasses
import logging
import os
import socket
import stat
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.cli import main
from isthmus.errors import ConfigurationError, NoModelError, ServingError
from isthmus.protos.isthmus.serving.v1 import admin_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import admin_pb2_grpc, segmentation_pb2_grpc
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as segmentation
from isthmus.serving.admin_client import AdminClient
from isthmus.serving.admin_socket import prepare_socket
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import OrtEngine
from isthmus.serving.security.config import SecurityConfig
from isthmus.serving.swap.watcher import Watcher

TIMEOUT_S = 30.0


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder / "admin.sock"


@pytest.fixture
def start(start_server, model_file, path):
    def start(**security):
        config = SecurityConfig(admin_socket=path, **security)
        return start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, security=config))

    return start


@pytest.fixture
def log_level():
    """The level of our log, taken back after the test."""
    logger = logging.getLogger("isthmus")
    before = logger.level
    yield lambda: logger.level
    logger.setLevel(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_state(start, path, server_ca, vehicle_ca, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("others: {allow: [frames]}")
    cert, key = server_ca.issue("server")
    server = start(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file, policy=policy).server
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    with AdminClient(path) as client:
        state = client.state()
        assert (state.process_id, state.address) == (os.getpid(), server.address)
        assert (state.ready, state.draining) == (True, False)
        assert (state.model.name, state.model.version) == ("tiny", "file")
        assert not state.HasField("previous")
        assert not state.HasField("challenger")
        assert (state.in_flight, state.queued, state.streams) == (0, 0, 0)
        assert state.certificate.subject == "CN=server"
        assert state.certificate.expires_at.ToJsonString() > state.started_at.ToJsonString()
        assert state.certificate.client_ca_expires_at.seconds > state.certificate.expires_at.seconds
        assert len(state.policy.sha256) == 64
        policy.write_text("{")
        cert.write_text("nothing")
        server._guard.refresh()
        state = client.state()
        assert "not valid YAML" in state.policy.problem
        assert "no certificates" in state.certificate.problem


def test_state_of_a_plain_server(start, path):
    start()
    with AdminClient(path) as client:
        state = client.state()
    assert not state.HasField("certificate")
    assert state.policy.sha256 == ""


def test_drain(start, path):
    server = start().server
    with AdminClient(path) as client, grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        states = (update.status for update in watch)
        assert next(states) == health_pb2.HealthCheckResponse.SERVING
        assert client.drain() == 0
        assert next(states) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert client.state().draining
        frame = segmentation.Frame(width=1, height=1, encoding=segmentation.FRAME_ENCODING_RGB8, data=bytes(3))
        with pytest.raises(grpc.RpcError) as caught:
            segmentation_pb2_grpc.SegmentationServiceStub(channel).Segment(
                segmentation.SegmentRequest(frame=frame), timeout=TIMEOUT_S
            )
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert client.drain() == 0  # again changes nothing
        watch.cancel()


def test_roll_back(start, path):
    thread = start()
    server = thread.server
    with AdminClient(path) as client:
        with pytest.raises(NoModelError, match="no previous model"):
            client.roll_back("sees no cyclists")

        async def swap():
            first = server._pipeline.current
            second = dataclasses.replace(first, version="second", engine=OrtEngine(first.engine._session))
            server._models._switch.swap(second, seconds=0.0)

        thread.call(swap())
        assert (client.state().model.version, client.state().previous.version) == ("second", "file")
        assert client.roll_back("sees no cyclists").version == "file"
        assert not client.state().HasField("previous")
        with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
            client._ask(client._stub.SetLogLevel, pb.SetLogLevelRequest())


def test_state_tells_what_is_refused_and_what_is_wrong(start, path, monkeypatch, capsys):
    server = start().server
    monkeypatch.setattr(Watcher, "refused", {"7": "the golden frame differs"})
    server._models._said = "the registry does not answer"
    main(["admin", "state", "--socket", str(path)])
    rows = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "refused      version 7: the golden frame differs" in rows
    assert rows[rows.index("status       serving") + 1] == "the registry does not answer"


def test_vehicles_cannot_reach_it(start):
    server = start().server
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        admin_pb2_grpc.AdminServiceStub(channel).GetState(pb.GetStateRequest(), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_command_line(start, path, capsys, log_level):
    start()
    for verb in (["state"], ["log-level", "warning"], ["state"], ["drain"]):
        main(["admin", *verb, "--socket", str(path)])
    printed = capsys.readouterr().out
    for part in ("tiny version file", "serving", "none: plaintext", "no file", "0 in flight", "0 frames are still"):
        assert part in printed
    assert log_level() == logging.WARNING
    with pytest.raises(SystemExit):
        main(["admin", "rollback", "--socket", str(path), "--reason", "x"])
    assert "there is no previous model to go back to" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["admin", "state", "--socket", str(path.with_name("other"))])
    assert "no server's socket" in capsys.readouterr().err


def test_the_socket_goes_with_its_server(start, path, start_server):
    thread = start()
    with pytest.raises(ConfigurationError, match="a server listens there already"):
        start()
    thread.call(thread.server.stop())
    assert not path.exists()


def test_a_dead_socket_is_taken_away(start, path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    start()
    with AdminClient(path) as client:
        assert client.state().ready


def test_a_folder_is_made_for_this_user_alone(tmp_path):
    path = tmp_path / "new" / "admin.sock"
    prepare_socket(path)
    assert mode(path.parent) == 0o700
    assert not path.exists()


@pytest.mark.parametrize("folder_mode", [0o750, 0o701, 0o777])
def test_a_folder_that_is_open_to_others(path, folder_mode):
    path.parent.chmod(folder_mode)
    with pytest.raises(ConfigurationError, match=f"mode 0{folder_mode:o}.*mode 0700"):
        prepare_socket(path)
    assert mode(path.parent) == folder_mode  # never changed behind its owner's back


def test_another_users_folder(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigurationError, match="other users may enter"):
        prepare_socket(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 108, "at most 107 bytes"), ("missing/folder/x", "cannot be made"), ("file/x", "cannot be made")],
)
def test_paths_that_cannot_be(path, name, said):
    path.with_name("file").write_text("")
    with pytest.raises(ConfigurationError, match=said):
        prepare_socket(path.with_name(name) if "/" not in name else path.parent / name)


def test_a_file_in_its_place_is_left_alone(path):
    path.write_text("dear")
    with pytest.raises(ConfigurationError, match="is no socket"):
        prepare_socket(path)
    assert Path(path).read_text() == "dear"
