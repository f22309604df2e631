"""What can be checked of the deployment files without a cluster, and HAProxy itself where it is installed."""

import dataclasses
import inspect
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
import yaml

from isthmus.cli.serving import serve
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import ServerConfig
from isthmus.serving.metric_list import METRICS

TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def deploy(repository):
    return repository / "deploy"


@pytest.fixture(scope="module")
def kubernetes(deploy):
    """The manifests by kind."""
    files = sorted((deploy / "kubernetes").glob("*.yaml"))
    return {tree["kind"]: tree for tree in (yaml.safe_load(file.read_text()) for file in files)}


def container_of(tree):
    (container,) = tree["spec"]["template"]["spec"]["containers"]
    return container


def check_arguments(container):
    """Each option exists, and ports agree with what is opened and asked."""
    options = dict(argument.removeprefix("--").partition("=")[::2] for argument in container["args"])
    parameters = inspect.signature(serve).parameters
    groups = [each.default for each in parameters.values() if dataclasses.is_dataclass(each.default)]
    names = {*parameters, *(field.name for group in groups for field in dataclasses.fields(group))}
    assert options.keys() <= {name.replace("_", "-") for name in names}
    ports = {port["containerPort"] for port in container["ports"]}
    assert ports == {int(options[name]) for name in ("port", "metrics-port") if name in options}
    assert container["readinessProbe"]["grpc"]["port"] == int(options["port"])
    return options


def test_every_file_parses(deploy):
    files = [*deploy.rglob("*.yaml"), *deploy.rglob("*.yml")]
    for file in files:
        assert yaml.safe_load(file.read_text()), file
    assert {"kubernetes", "kserve", "envoy"} <= {file.parent.name for file in files}


def test_kustomization_names_every_manifest(deploy):
    names = {file.name for file in (deploy / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(yaml.safe_load((deploy / "kubernetes" / "kustomization.yaml").read_text())["resources"]) == names


def test_kustomize_builds_it(deploy):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed here")
    command = ["kubectl", "kustomize", str(deploy / "kubernetes")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert len(list(yaml.safe_load_all(run.stdout))) == 6


def test_deployment_runs_what_the_command_line_knows(kubernetes):
    pod = kubernetes["Deployment"]["spec"]["template"]["spec"]
    container = container_of(kubernetes["Deployment"])
    options = check_arguments(container)
    names = {port["name"] for port in container["ports"]}
    assert container["livenessProbe"]["tcpSocket"]["port"] in names
    rest = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > rest + float(options["drain-timeout-s"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert any(options["cache-dir"].startswith(f"{mount}/") for mount in mounts)
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_pods_trust_a_gate_whose_key_is_mounted(kubernetes):
    pod = kubernetes["Deployment"]["spec"]["template"]["spec"]
    container = container_of(kubernetes["Deployment"])
    key = check_arguments(container)["trust"]
    (mount,) = (mount for mount in container["volumeMounts"] if key.startswith(f"{mount['mountPath']}/"))
    assert mount["readOnly"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == mount["name"])
    assert volume["configMap"] == {"name": "isthmus-gate"}


def test_selectors_find_the_pods(kubernetes):
    labels = kubernetes["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kubernetes["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes["Service"]["spec"]["selector"] == labels
    assert kubernetes["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (spread,) = kubernetes["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == labels
    monitor = kubernetes["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"] == kubernetes["Service"]["metadata"]["labels"]
    assert kubernetes["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "isthmus"


def test_ports_have_the_names_that_others_use(kubernetes):
    names = {port["name"] for port in container_of(kubernetes["Deployment"])["ports"]}
    ports = kubernetes["Service"]["spec"]["ports"]
    assert {port["targetPort"] for port in ports} == {port["name"] for port in ports} == names
    assert {endpoint["port"] for endpoint in kubernetes["ServiceMonitor"]["spec"]["endpoints"]} == {"metrics"}
    rules = kubernetes["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == names


def test_autoscaler_looks_at_a_metric_that_exists(kubernetes):
    spec = kubernetes["HorizontalPodAutoscaler"]["spec"]
    assert [metric["pods"]["metric"]["name"] for metric in spec["metrics"]] == ["isthmus_queue_depth"]
    assert "isthmus_queue_depth" in {metric.name for metric in METRICS}
    assert kubernetes["Deployment"]["spec"]["replicas"] == spec["minReplicas"]
    assert kubernetes["PodDisruptionBudget"]["spec"]["maxUnavailable"] < spec["minReplicas"]


def test_kserve_runtime_serves_the_service(deploy):
    runtime = yaml.safe_load((deploy / "kserve" / "servingruntime.yaml").read_text())
    service = yaml.safe_load((deploy / "kserve" / "inferenceservice.yaml").read_text())
    (container,) = runtime["spec"]["containers"]
    check_arguments(container)
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in {item["name"] for item in runtime["spec"]["supportedModelFormats"]}
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def test_envoy_routes_to_the_service_and_asks_for_health(deploy, kubernetes):
    resources = yaml.safe_load((deploy / "envoy" / "envoy.yaml").read_text())["static_resources"]
    (cluster,) = resources["clusters"]
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    target = endpoint["endpoint"]["address"]["socket_address"]
    service = kubernetes["Service"]
    assert target["address"] == service["metadata"]["name"]
    assert target["port_value"] in {port["port"] for port in service["spec"]["ports"]}
    assert cluster["health_checks"][0]["grpc_health_check"] == {"service_name": ""}
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert [route["route"]["cluster"] for route in routes] == [cluster["name"]]


def haproxy_check(config, port):
    """Whether a server on `port` passes the check of haproxy.cfg, done by hand."""
    sent = bytes.fromhex("".join(re.findall(r"send-binary ([0-9a-f]+)", config)))
    (wanted,) = re.findall(r"expect binary ([0-9a-f]+)", config)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(sent)
        got = b""
        while b"grpc-status" not in got and bytes.fromhex(wanted)[:6] not in got:
            part = connection.recv(4096)
            if not part:
                break
            got += part
    return bytes.fromhex(wanted) in got


def test_haproxys_check_tells_serving_from_not_serving(deploy, start_server, model_file, tmp_path):
    config = (deploy / "haproxy" / "haproxy.cfg").read_text()
    ready = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1)).server
    assert haproxy_check(config, ready.port)
    empty = f"sqlite:///{tmp_path / 'gone.db'}"
    waiting = start_server(
        ServerConfig(model_name="tiny", tracking_uri=empty, cache_dir=tmp_path / "cache", port=0, num_threads=1)
    ).server
    assert not haproxy_check(config, waiting.port)


def test_haproxy_lets_a_draining_server_answer(deploy):
    config = (deploy / "haproxy" / "haproxy.cfg").read_text()
    assert "shutdown-sessions" not in config


def test_haproxy_moves_frames_away_from_a_killed_server(deploy, start_server, model_file, tiny, tmp_path):
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        pytest.skip("haproxy is not installed here")
    servers = [start_server(ServerConfig(model_file=model_file, port=0, num_threads=1)) for _ in range(2)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = (deploy / "haproxy" / "haproxy.cfg").read_text().replace("0.0.0.0:50050", f"127.0.0.1:{port}")
    for address, server in zip(("10.0.0.11:50051", "10.0.0.12:50051"), servers, strict=True):
        assert address in config
        config = config.replace(address, server.server.address)
    (tmp_path / "haproxy.cfg").write_text(config)
    with subprocess.Popen([haproxy, "-db", "-f", str(tmp_path / "haproxy.cfg")]) as proxy:
        try:
            _frames_survive(f"127.0.0.1:{port}", servers[0], tiny)
        finally:
            proxy.terminate()


def _frames_survive(address, victim, tiny):
    image, answered, failed = tiny.street(), [], []
    stop = threading.Event()

    def drive():
        with SegmentationClient(address) as client:
            while not stop.is_set():
                try:
                    client.segment(image, timeout_s=5)
                    answered.append(time.monotonic())
                except Exception:
                    failed.append(time.monotonic())

    vehicles = [threading.Thread(target=drive) for _ in range(3)]
    for vehicle in vehicles:
        vehicle.start()
    try:
        _until(lambda: len(answered) > 50)
        victim.call(victim.server._grpc.stop(None))  # cuts every call off, as a kill does
        killed, before = time.monotonic(), len(failed)
        _until(lambda: sum(moment > killed + 2 for moment in answered) > 50)
    finally:
        stop.set()
        for vehicle in vehicles:
            vehicle.join(TIMEOUT_S)
    late = [moment for moment in failed[before:] if moment > killed + 2]
    assert late == []


def _until(holds):
    until = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
