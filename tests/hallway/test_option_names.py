"""What is wrong with an option is said of the option, as it was typed."""

import dataclasses
import importlib
import inspect
import typing
from collections.abc import Sequence

import pytest

from isthmus import cli
from isthmus.cli import bench, segmenting, serving
from isthmus.cli.option_names import OTHER_NAMES, option_of
from isthmus.errors import ConfigurationError

MODULES = (
    "isthmus.serving.config",
    "isthmus.serving.engine_config",
    "isthmus.serving.scheduling.config",
    "isthmus.serving.security.config",
    "isthmus.serving.swap.config",
    "isthmus.serving.telemetry_config",
    "isthmus.serving.segment_video",
    "isthmus.serving.bench.config",
)
NO_OPTIONS = {"--tracking-uri", "--limits", "--engine", "--scheduler", "--telemetry", "--security", "--swap"}
"""The registry comes from the environment, and these parts of a configuration have options of their own."""


def options(*verbs: typing.Any) -> set[str]:
    """The names of all options of verbs, those in groups as well."""
    names: set[str] = set()
    for verb in verbs:
        for name, parameter in inspect.signature(verb).parameters.items():
            group = parameter.default
            names |= {field.name for field in dataclasses.fields(group)} if dataclasses.is_dataclass(group) else {name}
    return {f"--{name.replace('_', '-')}" for name in names}


def test_each_field_of_such_a_class_has_its_option() -> None:
    classes = {name: kind for path in MODULES for name, kind in vars(importlib.import_module(path)).items()}
    there = options(serving.serve, segmenting.segment, bench.serve)
    seen = 0
    for name, others in OTHER_NAMES.items():
        fields = {field.name for field in dataclasses.fields(classes[name])}
        assert set(others) <= fields
        named = {option_of(name, field) for field in fields} - NO_OPTIONS - {"--guard", "--products"}
        assert named <= there, f"{name}: {named - there}"
        seen += len(named)
    assert seen > 60


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--max-frame-pixels", "0"], "--max-frame-pixels"),
        (["--gather", "0"], "--gather"),
        (["--gather-wait-ms", "-1"], "--gather-wait-ms"),
        (["--poll-interval-s", "0"], "--poll-interval-s"),
        (["--metrics-port", "-1"], "--metrics-port"),
        (["--bound-shapes", "0"], "--bound-shapes"),
        (["--guard-min-frames", "1"], "--guard-min-frames"),
        (["--keep-previous-s", "1"], "--keep-previous-s"),
        (["--require-verdict"], "--require-verdict"),
        (["--host", "0.0.0.0"], "--host"),
        (["--tls-cert", "a.pem"], "--tls-cert"),
        (["--tls-key", "a.key"], "--tls-key"),
        (["--client-ca", "a.pem"], "--client-ca"),
        (["--tls-cert", "a.pem", "--tls-key", "a.key"], "--tls-cert"),
        (["--tls-cert", "a.pem", "--tls-key", "a.key", "--client-ca", "b.pem", "--insecure"], "--insecure"),
    ],
)
def test_serve_names_the_option(words: Sequence[str], option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        cli.run(["serve", "--model", "street", *words])


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--backend", "10.0.0.7"], "--backend"),
        (["--backend", "http://10.0.0.7:8001"], "--backend"),
        (["--backend", "10.0.0.7:8001"], "--backend"),
        (["--backend", "10.0.0.7:8001", "--backend-timeout-s", "0"], "--backend-timeout-s"),
        (["--backend", "10.0.0.7:8001", "--backend-cert", "a.pem"], "--backend-cert"),
        (["--backend", "127.0.0.1:8001", "--trust", "a.pub", "--guard-window-s", "0"], "--trust, --guard-window-s"),
    ],
)
def test_serve_names_the_option_of_a_gateway(words: Sequence[str], option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        cli.run(["serve", "--backend-model", "street", *words])


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["segment", "a.mp4", "--server", "street:1", "--out", "x", "--frames", "0"], "--frames"),
        (["segment", "a.png", "--server", "street:1", "--out", "x", "--timeout-s", "0"], "--timeout-s"),
        (["segment", "a.png", "--server", "http://street:1", "--out", "x"], "--server"),
        (["segment", "a.png", "--server", "street", "--out", "x"], "--server"),
        (["watch", "street:99999"], "ADDRESS"),
        (["watch", "street:1", "--metrics", "street:2"], "--metrics"),
        (["watch", "street:1", "--interval-s", "0"], "--interval-s"),
        (["bench", "serve", "--rounds", "0"], "--rounds"),
    ],
)
def test_other_verbs_name_the_option(words: Sequence[str], option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        cli.run(words)
