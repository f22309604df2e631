"""compose.yaml: it parses, is pinned and closed, and says what our own commands understand."""

import inspect
import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from isthmus import cli
from isthmus.cli.swap_options import SwapOptions


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict:
    return yaml.safe_load((repository / "compose.yaml").read_text())


def test_services_are_the_four_and_a_bucket(compose: dict):
    assert set(compose["services"]) == {"database", "files", "bucket", "mlflow", "serve"}
    assert set(compose["volumes"]) == {"tables", "files", "models"}


def test_images_are_pinned_and_ports_are_this_machines(compose: dict):
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    assert len(images) == 2
    for image in images:
        assert re.search(r":\d+\.\d+", image), image
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_mlflow_is_the_locked_release(repository: Path, compose: dict):
    build = compose["services"]["mlflow"]["build"]["dockerfile_inline"]
    locked = re.search(r"^mlflow==(\S+)", (repository / "requirements.lock").read_text(), re.MULTILINE)
    assert f'"mlflow=={locked[1]}"' in build
    assert "USER 10002" in build


def test_secrets_come_from_the_environment_alone(repository: Path):
    text = (repository / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        assert re.findall(rf"^ +{name}: (.*)$", text, re.MULTILINE) == [
            f"${{{name.replace('AWS_SECRET_ACCESS_KEY', 'S3_SECRET_KEY')}:?write it into .env}}"
        ]


def test_mlflow_answers_to_the_name_that_serving_calls(compose: dict):
    address = compose["services"]["serve"]["environment"]["MLFLOW_TRACKING_URI"]
    host = address.removeprefix("http://")
    assert host in compose["services"]["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert host.endswith(compose["services"]["mlflow"]["command"][-1])


def test_serve_is_asked_for_options_that_it_has(compose: dict):
    options = [word for word in compose["services"]["serve"]["command"] if word.startswith("--")]
    assert options == ["--model", "--trust", "--host", "--insecure"]
    known = {*inspect.signature(cli.VERBS["serve"]).parameters, *(field.name for field in fields(SwapOptions))}
    assert {option.removeprefix("--").replace("-", "_") for option in options} <= known


def test_serve_trusts_a_key_that_it_is_given(compose: dict):
    serve = compose["services"]["serve"]
    (mounted,) = serve["configs"]
    assert serve["command"][serve["command"].index("--trust") + 1] == mounted["target"]
    assert mounted["source"] in compose["configs"]


def test_docker_reads_it_too(repository: Path):
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed here")
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("docker is here without its plug-in compose")
    done = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=repository,
        env={**os.environ, "POSTGRES_PASSWORD": "a", "S3_SECRET_KEY": "b", "GATE_PUBLIC_KEY": __file__},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
