"""Every bound of the server can be set on the command line, and arrives where it is read."""

import tyro

from isthmus.cli import serving
from isthmus.serving import server

FLAGS = {
    "max_model_bytes": ("limits", 1000),
    "max_waiting_bytes": ("scheduler", 2000),
    "bulk_share": ("scheduler", 0.25),
    "max_stream_age_s": ("scheduler", 60.0),
    "reconnect_grace_s": ("scheduler", 3.0),
    "outbox_size": ("scheduler", 7),
    "bound_shapes": ("engine", 5),
}


def configured(monkeypatch, *arguments):
    seen = []
    monkeypatch.setattr(server, "serve", seen.append)
    tyro.cli(serving.serve, args=arguments)
    return seen[0]


def test_flags_reach_the_configuration(monkeypatch):
    arguments = [f"--{name.replace('_', '-')}={value}" for name, (_, value) in FLAGS.items()]
    config = configured(monkeypatch, "--model-file=m.onnx", *arguments)
    for name, (part, value) in FLAGS.items():
        assert getattr(getattr(config, part), name) == value


def test_flags_of_a_back_end(monkeypatch):
    arguments = ["--backend=127.0.0.1:1", "--backend-model=m", "--backend-timeout-s=4", "--backend-probe-interval-s=2"]
    backend = configured(monkeypatch, *arguments).engine.backend
    assert (backend.timeout_s, backend.probe_interval_s) == (4, 2)
