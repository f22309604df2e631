"""Configurations of a server that contradict themselves or would be ignored."""

from pathlib import Path

import pytest

from isthmus.errors import ConfigurationError
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine_config import BackendConfig, EngineConfig
from isthmus.serving.swap.config import GuardConfig, SwapConfig


def test_open_address_needs_insecure(model_file):
    with pytest.raises(ConfigurationError, match="--insecure"):
        ServerConfig(model_file=model_file, host="0.0.0.0")
    assert ServerConfig(model_file=model_file, host="0.0.0.0", insecure=True).insecure


@pytest.mark.parametrize("fields", [{}, {"model_name": "a", "tracking_uri": "b", "model_file": Path("c")}])
def test_one_source_of_models(fields):
    with pytest.raises(ConfigurationError, match="exactly one"):
        ServerConfig(**fields)


@pytest.mark.parametrize(
    "source",
    [
        {"model_file": Path("m.onnx")},
        {"engine": EngineConfig(backend=BackendConfig(address="127.0.0.1:8001", model="m"))},
    ],
)
@pytest.mark.parametrize(
    "swap",
    [
        {"public_keys": (Path("gate.key.pub"),)},
        {"shadow_percent": 1.0},
        {"guard": GuardConfig(min_frames=10)},
        {"allow_label_space_change": True},
    ],
)
def test_options_of_promotion_are_not_ignored_where_nothing_is_promoted(source, swap):
    ServerConfig(**source)
    with pytest.raises(ConfigurationError, match="registered model"):
        ServerConfig(**source, swap=SwapConfig(**swap))


def test_a_registered_model_needs_its_registry():
    with pytest.raises(ConfigurationError, match="a registered model is given, but no registry"):
        ServerConfig(model_name="a")
