"""The registry's verbs as a person types them."""

import os
from pathlib import Path

import pytest
import yaml

from isthmus import cli
from isthmus.configuration import to_tree
from isthmus.errors import ConfigurationError, GateRefusedError
from isthmus.signing import public_path, signing_key
from isthmus.training.export import ExportResult
from isthmus.training.mlflow_store import tracking_store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(autouse=True)
def wide_terminal_and_own_registry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_store(home))
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def gate_file(gate, tmp_path: Path) -> str:
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(to_tree(gate)))
    return str(path)


@pytest.fixture
def promoted(exported: ExportResult, gate_file: str, home: Path) -> str:
    """A model with a champion; gives its name. Registering and promoting again change nothing."""
    cli.run(["register", str(exported.export.directory), "--name", "street"])
    cli.run(["promote", "street", "--version", "1", "--gate", gate_file])
    return "street"


def test_promoting_prints_the_table_and_the_champion(promoted: str, gate_file: str, capsys):
    cli.run(["promote", promoted, "--version", "champion", "--gate", gate_file])
    assert "street version 1 is the champion already" in capsys.readouterr().out


def test_list_says_what_the_gate_said(promoted: str, capsys):
    cli.run(["registry", "list", promoted])
    assert "passed for champion" in capsys.readouterr().out


def test_promote_says_where_it_made_a_key(promoted: str, gate_file: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    cli.run(["promote", promoted, "--version", "champion", "--gate", gate_file])
    assert f"Made a key that signs verdicts: {tmp_path / 'isthmus' / 'gate.key'}." in capsys.readouterr().out


def test_show_prints_verdict_signature_and_log(promoted: str, capsys, tmp_path: Path):
    cli.run(["registry", "show", promoted])
    out = capsys.readouterr().out
    assert f"verdict for champion: passed; signed by key {signing_key().public.fingerprint}" in out
    assert "passed  mIoU floor" in out
    assert "gta5/train (source, 000000000000)" in out
    assert "promote" in out.partition("log")[2]
    os.environ["ISTHMUS_GATE_KEY"] = str(tmp_path / "other.key")
    try:
        with pytest.raises(ConfigurationError, match="no public key here"):
            cli.run(["registry", "show", promoted, "--public-key", str(tmp_path / "other.key.pub")])
        cli.run(["registry", "show", promoted])
    finally:
        del os.environ["ISTHMUS_GATE_KEY"]
    assert "verdict for champion: passed; signature not checked" in capsys.readouterr().out
    _other_key(tmp_path)
    cli.run(["registry", "show", promoted, "--public-key", str(tmp_path / "other.key.pub")])
    assert f"NOT GOOD: key {signing_key().public.fingerprint} signed it, and the one to" in capsys.readouterr().out


def test_diff_lists_what_differs_and_nothing_else(promoted: str, variant, capsys):
    export = variant(step=9, blind_to=("sky",))
    cli.run(["register", str(export.directory), "--name", promoted])
    capsys.readouterr()
    cli.run(["registry", "diff", promoted, "champion", "challenger"])
    out = capsys.readouterr().out
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows == ["version", "aliases", "sha256", "step", "gate for champion"]
    cli.run(["registry", "diff", promoted, "1", "champion"])
    assert "1 and champion are the same version" in capsys.readouterr().out


def test_a_forced_promotion_needs_a_reason_and_shows_it(promoted: str, variant, gate_file: str, capsys):
    cli.run(["register", str(variant(step=10, blind_to=("person",)).directory), "--name", promoted])
    promote = ["promote", promoted, "--gate", gate_file]
    with pytest.raises(GateRefusedError):
        cli.run(promote)
    with pytest.raises(ConfigurationError, match="2 characters"):
        cli.run([*promote, "--force", "ok"])
    capsys.readouterr()
    cli.run([*promote, "--force", "No people on the closed track"])
    out = capsys.readouterr().out
    assert "forced by" in out
    assert "version 1 is kept as previous" in out
    cli.run(["rollback", promoted])
    assert "street version 1 is the champion again" in capsys.readouterr().out


def test_copy_says_what_it_did(promoted: str, tmp_path: Path, capsys):
    there = tracking_store(tmp_path / "there")
    copy = ["registry", "copy", promoted, "--version", "1", "--to", there, "--to-name", "arrived"]
    cli.run(copy)
    assert "street version 1 is now arrived version 1 of" in capsys.readouterr().out
    cli.run(copy)
    assert "street version 1 was already arrived version 1 of" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="copied onto itself"):
        cli.run(["registry", "copy", promoted, "--version", "1", "--to", os.environ["MLFLOW_TRACKING_URI"]])


def test_without_a_gate_the_default_one_is_asked(promoted: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"configs/gate/default\.yaml: no such configuration"):
        cli.run(["promote", promoted])


def _other_key(folder: Path) -> None:
    from isthmus.signing import make_key

    make_key(folder / "other.key")
    assert public_path(folder / "other.key").is_file()
