"""The health probe's command line."""

import sys

import pytest

from isthmus.serving.probe import main
from isthmus.serving.server import SERVICES


def outcome(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["probe", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code, capsys.readouterr().out


def test_help_names_the_address(monkeypatch, capsys):
    assert "127.0.0.1:50051" in outcome(monkeypatch, capsys, "--help")[1]


def test_a_port_file(address, tmp_path, monkeypatch, capsys):
    file = tmp_path / "port"
    code, said = outcome(monkeypatch, capsys, "--port-file", file)
    assert code == 1
    assert f"{file}: the port cannot be read: No such file or directory. It is there while" in said
    file.write_text(address.partition(":")[2] + "\n")
    assert outcome(monkeypatch, capsys, "--port-file", file) == (0, "SERVING\n")


def test_the_documented_names_are_known(repository, address, monkeypatch, capsys):
    text = (repository / "docs" / "protocol.md").read_text(encoding="utf-8")
    for name in SERVICES:
        assert f"`{name}`" in text[text.index("## Health") : text.index("## `isthmus")]
        assert outcome(monkeypatch, capsys, "--address", address, "--service", name) == (0, "SERVING\n")
