"""The registry's verbs as a person types them."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from isthmus import cli
from isthmus.configuration import to_tree
from isthmus.errors import ConfigurationError, DataMissingError, GateRefusedError, NotRegisteredError
from isthmus.signing import public_path, signing_key
from isthmus.training.export import ExportResult
from isthmus.training.mlflow_store import connect, tracking_store
from isthmus.training.registry_versions import list_versions

NUMBERS_OF_A_VERDICT = 5
"""Golden frame, mIoU, the gate's rules and frames, and what it said."""


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
    assert re.search(r"champion: .*\n +passed +7 steps", capsys.readouterr().out)


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
    rows = [line.split("  ")[0].strip() for line in out.splitlines() if line.strip()]
    assert rows == [
        *("version", "version", "aliases", "sha256", "step"),
        "judged by the gate for champion",
        f"and {NUMBERS_OF_A_VERDICT} that only champion has: --all shows them",
    ]
    cli.run(["registry", "diff", promoted, "champion", "challenger", "--all"])
    out = capsys.readouterr().out
    assert "cityscapes/val mIoU" in out
    assert "--all" not in out
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
    out = capsys.readouterr().out
    assert "street version 1 is now arrived version 1 of" in out
    assert f"Its files: {tmp_path / 'there' / 'artifacts'}/" in out
    assert "keep it and its folder artifacts/ together" in out
    cli.run(copy)
    assert "street version 1 was already arrived version 1 of" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="copied onto itself"):
        cli.run(["registry", "copy", promoted, "--version", "1", "--to", os.environ["MLFLOW_TRACKING_URI"]])


def test_without_a_gate_the_default_one_is_asked(promoted: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"configs/gate/default\.yaml: no such configuration"):
        cli.run(["promote", promoted])


def test_list_without_a_name_shows_the_models(promoted: str, capsys):
    cli.run(["registry", "list"])
    header, row = capsys.readouterr().out.splitlines()[:2]
    assert header.split() == ["model", "versions", "champion", "challenger", "last", "promoted"]
    assert row.split()[:3] == ["street", str(len(list_versions(promoted))), "1"]
    cli.run(["registry", "list", "--json"])
    (model,) = json.loads(capsys.readouterr().out)
    assert (model["name"], model["aliases"]["champion"]) == ("street", 1)
    assert model["promoted"]["alias"] == "champion"


def test_an_empty_registry_says_where_it_is(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_store(tmp_path))
    cli.run(["registry", "list"])
    assert f"sqlite:///{tmp_path}/mlflow.db holds no model yet" in capsys.readouterr().out
    with pytest.raises(NotRegisteredError, match=r"no model is called 'street' here\. It holds no model yet"):
        cli.run(["registry", "list", "street"])


@pytest.mark.parametrize(
    "words", [["rollback"], ["registry", "list"], ["registry", "show"], ["promote"], ["registry", "diff", "1", "2"]]
)
@pytest.mark.usefixtures("promoted")
def test_a_wrong_name_says_which_models_there_are(words: list[str], gate_file: str):
    place = 2 if words[0] == "registry" else 1
    options = ["--gate", gate_file] if words == ["promote"] else []
    with pytest.raises(NotRegisteredError, match=r"no model is called 'stret' here\. Its models: street\."):
        cli.run([*words[:place], "stret", *words[place:], *options])


@pytest.mark.parametrize("version", ["99", "chalenger"])
def test_a_wrong_version_says_which_there_are(promoted: str, version: str):
    for words in (["show", promoted, "--version", version], ["diff", promoted, "1", version]):
        with pytest.raises(NotRegisteredError, match=rf"no (version|alias) '?{version}.* Its versions: .*1\."):
            cli.run(["registry", *words])


def test_lists_and_pages_keep_words_whole_in_80_columns(promoted: str, gate_file: str, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    cli.run(["promote", promoted, "--version", "1", "--gate", gate_file, "--to", "very-long-alias-of-our-own"])
    for words in (
        ["list"],
        ["list", promoted],
        ["show", promoted],
        ["diff", promoted, "1", "very-long-alias-of-our-own"],
    ):
        cli.run(["registry", *words])
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert "…" not in out
        assert max(map(len, out.splitlines())) <= 80
        if words == ["list", promoted]:
            assert re.search(r"champion +champion: +source_only +20\d\d-\d\d-\d\d +cityscapes/val 50\.0", out)


def test_show_tells_what_became_of_a_version_at_the_servers(promoted: str, capsys):
    cli.run(["registry", "show", promoted, "--version", "1"])
    assert "at the servers" not in capsys.readouterr().out
    with connect() as connection:
        connection.client.set_model_version_tag(promoted, "1", "isthmus.serving_state", "rejected: too slow")
    cli.run(["registry", "show", promoted, "--version", "1"])
    assert "at the servers: rejected: too slow\n" in capsys.readouterr().out
    cli.run(["registry", "list", promoted])
    assert re.search("servers: *\n *refused", capsys.readouterr().out)
    with connect() as connection:
        connection.client.delete_model_version_tag(promoted, "1", "isthmus.serving_state")


def test_refusals_beside_a_verdict_that_stands_are_shown(promoted: str, gate_file: str, tmp_path: Path, capsys):
    cli.run(["promote", promoted, "--version", "1", "--gate", gate_file, "--to", "mine"])
    strict = yaml.safe_load(Path(gate_file).read_text())
    strict["title"], strict["targets"][0]["min_miou"] = "strict", 1.0
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(strict))
    _forget_who_signed("mine")
    with pytest.raises(GateRefusedError):
        cli.run(["promote", promoted, "--version", "1", "--gate", str(tmp_path / "strict.yaml"), "--to", "mine"])
    capsys.readouterr()
    cli.run(["registry", "show", promoted, "--version", "1"])
    out = capsys.readouterr().out
    assert re.search(r"refused for mine: (later|before), 20.*, by gate strict: mIoU floor; the verdict for mine", out)
    assert "FAILED  mIoU floor" in out


def test_data_that_is_not_here_is_an_error_of_whoever_asks(
    exported: ExportResult, gate_file: str, tmp_path: Path, monkeypatch
):
    cli.run(["register", str(exported.export.directory), "--name", "nodata"])
    tree = yaml.safe_load(Path(gate_file).read_text())
    tree["targets"][0]["data"]["root"] = "${FRAMES:-" + tree["targets"][0]["data"]["root"] + "}"
    named = tmp_path / "named.yaml"
    named.write_text(yaml.safe_dump(tree))
    promote = ["promote", "nodata", "--gate", str(named)]
    strict = tmp_path / "strict.yaml"
    strict.write_text(named.read_text().replace("min_miou: 0.2", "min_miou: 1.0"))
    with pytest.raises(GateRefusedError):
        cli.run([*promote[:-1], str(strict)])
    before = list_versions("nodata")
    monkeypatch.setenv("FRAMES", str(tmp_path / "elsewhere"))
    for options in ([], ["--force", "Whatever it says about data"]):
        with pytest.raises(DataMissingError) as caught:
            cli.run([*promote, *options])
        message = str(caught.value)
        assert f"cityscapes/val: {tmp_path / 'elsewhere'}: no such folder" in message
        assert "root is written ${FRAMES:-" in message
        assert "Set FRAMES. No verdict was written, no alias has moved." in message
    assert list_versions("nodata") == before
    monkeypatch.delenv("FRAMES")
    cli.run(promote)


def test_people_who_wait_are_told_on_stderr_and_pipes_are_not(promoted: str, monkeypatch, capsys):
    cli.run(["registry", "list"])
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    cli.run(["registry", "list", promoted, "--json"])
    out, err = capsys.readouterr()
    assert "asking the registry" in err
    assert json.loads(out)


def _forget_who_signed(alias: str) -> None:
    """Let the verdict for an alias seem another person's, so that it is asked for again."""
    with connect() as store:
        key = f"isthmus.gate.{alias}"
        tag = json.loads(store.client.get_model_version("street", "1").tags[key])
        store.client.set_model_version_tag("street", "1", key, json.dumps(tag | {"key": "0" * 16}))


def _other_key(folder: Path) -> None:
    from isthmus.signing import make_key

    make_key(folder / "other.key")
    assert public_path(folder / "other.key").is_file()
