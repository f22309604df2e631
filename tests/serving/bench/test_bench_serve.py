"""A run of the whole: generator and server in processes of their own, a fake engine, JSON and plot."""

import builtins
import json
import sys

import pytest

from isthmus.cli import run
from isthmus.cli.bench import ServeScenario
from isthmus.errors import ConfigurationError, EnvironmentMissingError
from isthmus.serving.bench.config import BenchConfig, Scenario
from isthmus.serving.bench.peers.catalogue import peers_for
from isthmus.serving.bench.pictures import hostile, picture
from isthmus.serving.bench.plot import draw
from isthmus.serving.bench.rows import Row
from isthmus.serving.bench.scenarios import SCENARIOS
from isthmus.serving.bench.tally import Tally
from isthmus.serving.config import ProviderPolicy


def test_two_scenarios_with_a_fake_engine(tmp_path, capsys):
    words = "bench serve --fake-engine-ms 3 --size-hw 48 64 --seconds 0.6 --rounds 1 --budget-ms 2000"
    run([*words.split(), "--scenarios", "overload-2x", "hostile", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "overload-2x" in printed
    assert "NO" not in printed
    tree = json.loads((tmp_path / "bench_serve.json").read_text())
    assert tree["frame_hw"] == [48, 64]
    assert tree["machine"]["versions"]["hdrhistogram"]
    assert tree["capacity_fps"] > 0
    rows = {(row["scenario"], row["subject"]): row for row in tree["rows"]}
    assert set(rows) == {
        ("overload-2x", "isthmus"),
        ("hostile", "neighbours, calm"),
        ("hostile", "neighbours, troubled"),
        ("hostile", "the troublemakers"),
    }
    assert all(row["outcome"]["one_verdict_each"] for row in rows.values())
    assert set(rows["hostile", "the troublemakers"]["outcome"]["verdicts"]) == {"INVALID"}
    overload = rows["overload-2x", "isthmus"]
    assert overload["outcome"]["verdicts"]["SEGMENTED"] > 0
    assert overload["figures"]["server_cpu_s"] > 0


def test_every_scenario_can_be_asked_for():
    assert tuple(Scenario) == ServeScenario.__args__ == tuple(SCENARIOS)
    assert Scenario.SOAK not in BenchConfig(fake_engine_ms=5.0).scenarios


def test_something_must_be_served(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing to serve"):
        BenchConfig()
    with pytest.raises(ConfigurationError, match="no such file"):
        BenchConfig(model_file=tmp_path / "model.onnx")
    with pytest.raises(ConfigurationError, match="fake engines and peers run on the CPU"):
        BenchConfig(fake_engine_ms=5.0, provider=ProviderPolicy.REQUIRE_CUDA)
    with pytest.raises(ConfigurationError, match="nobody knows what was measured"):
        BenchConfig(fake_engine_ms=5.0, provider=ProviderPolicy.PREFER_CUDA)


def test_a_single_scenario_is_printed_without_what_it_did_not_need(model_file, capsys):
    run(
        [
            "bench",
            "serve",
            "--model-file",
            str(model_file),
            "--scenarios",
            "single-stream",
            "--seconds",
            "0.4",
            "--rounds",
            "1",
        ]
    )
    printed = capsys.readouterr().out
    assert "single-stream" in printed
    assert "capacity" not in printed


def test_peers_need_a_model_and_an_environment(model_file, tmp_path):
    from isthmus.errors import ServingError

    assert list(peers_for(BenchConfig(fake_engine_ms=5.0))) == []
    alone = BenchConfig(model_file=model_file)
    assert [peer.name for peer in peers_for(alone)] == ["naive grpc.aio"]
    assert list(peers_for(BenchConfig(model_file=model_file, provider=ProviderPolicy.REQUIRE_CUDA))) == []
    config = BenchConfig(model_file=model_file, peers=tmp_path)
    _, other, *_ = peers_for(config)
    with pytest.raises(ServingError, match="no environment"):
        other.start(config)


def test_hostile_pictures_are_what_they_seem(tiny):
    good = picture("jpeg", (48, 64))
    bomb, *_ = hostile((48, 64))
    assert len(bomb.data) == len(good.data)
    assert bomb.data != good.data
    assert len(picture("raw", (48, 64)).data) == 48 * 64 * 3


def test_plot(tmp_path):
    tally = Tally(1.0)
    tally.due("car", 1, 0.0, 0.0)
    tally.told("car", 1, "SEGMENTED", 0.5)
    row = Row(Scenario.SWEEP, "isthmus", tally.outcome(1.0))
    path = draw(tmp_path, [row, row], 10.0, 40.0)
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert draw(tmp_path, [], 10.0, 40.0) is None


def test_a_missing_package_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("hdrh"):
            raise ModuleNotFoundError("No module named 'hdrh'", name="hdrh")
        return real(name, *rest, **options)

    ours = {name for name in sys.modules if name.startswith("isthmus.serving.bench.")}
    for name in ours:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentMissingError, match=r"isthmus\[serve,bench,cpu\]"):
        run(["bench", "serve", "--fake-engine-ms", "5"])
