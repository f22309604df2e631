"""The documented policy is one, and does what the text says; probe and client credentials as the text uses them."""

import re
import subprocess
import sys

import pytest

from isthmus.configuration import parse_config
from isthmus.errors import ConfigurationError, ServingError
from isthmus.serving.config import ServerConfig
from isthmus.serving.probe import main, probe
from isthmus.serving.security import access
from isthmus.serving.security.config import SecurityConfig
from isthmus.serving.security.policy import Policy, RpcGroup, Rulebook
from isthmus.serving.transport import client_credentials

TIMEOUT_S = 60.0


@pytest.fixture
def text(repository):
    return (repository / "docs" / "operations" / "security.md").read_text(encoding="utf-8")


def test_documented_policy(text):
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    rules = Rulebook(parse_config(blocks[0], Policy))
    assert len(rules.policy.rules) == 4
    vehicle = rules.grant_of("spiffe://fleet.example/vehicle/17")
    assert (vehicle.max_frames_per_s, vehicle.burst, vehicle.max_in_flight) == (60, 30, 12)
    assert rules.grant_of("spiffe://fleet.example/vehicle/13").allow == ()
    assert rules.grant_of("spiffe://fleet.example/archive/1").service_classes == ("bulk",)
    assert RpcGroup.REPOSITORY in rules.grant_of("https://fleet.example/operators/ben").allow
    assert rules.grant_of("urn:somebody").allow == (RpcGroup.MODEL_INFO,)
    assert rules.grant_of("ipv4:10.0.0.1:4000").allow == ()


def test_documented_groups(text):
    for group in RpcGroup:
        (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", text, re.MULTILINE)
        methods = {method.rpartition("/")[2] for method in access._GROUPS if access.group_of(method) is group}
        assert {name.replace("reflection", "ServerReflectionInfo") for name in row.split(", ")} == methods


def test_probe_of_an_encrypted_server(start_server, model_file, server_ca, vehicle_ca, monkeypatch, capsys):
    cert, key = server_ca.issue("server")
    prober = vehicle_ca.issue("prober")  # without a URI
    security = SecurityConfig(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, security=security)).server
    command = [sys.executable, "-m", "isthmus.serving.probe", "--address", server.address, "--ca", str(server_ca.file)]
    run = subprocess.run(
        [*command, "--cert", str(prober[0]), "--key", str(prober[1])],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "SERVING\n"), run.stderr
    monkeypatch.setattr(sys, "argv", ["probe", *command[3:], "--key", str(key)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "certificate and its key together" in capsys.readouterr().out
    credentials = client_credentials(server_ca.file, *prober)
    assert probe(server.address, credentials=credentials, server_name="localhost") == "SERVING"
    with pytest.raises(ServingError, match="no health"):
        probe(server.address, credentials=credentials, server_name="another.example")
    with pytest.raises(ServingError, match="no health"):
        probe(server.address)


def test_what_a_client_needs(server_ca, vehicle, tmp_path):
    cert, key = vehicle
    assert client_credentials() is None
    for given in ((None, cert, key), (server_ca.file, cert, None), (server_ca.file, None, key), (None, cert, None)):
        with pytest.raises(ConfigurationError, match="needs the server's authority"):
            client_credentials(*given)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client_credentials(tmp_path / "missing")
    (tmp_path / "der").write_bytes(b"\x30\x82")
    with pytest.raises(ConfigurationError, match="no PEM file"):
        client_credentials(tmp_path / "der")
