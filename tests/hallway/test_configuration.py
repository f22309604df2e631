from pathlib import Path

import pytest

from isthmus.configuration import config, config_hash, flatten, load_config, parse_config, to_yaml
from isthmus.errors import ConfigurationError


@config
class Inner:
    rate: float
    size_hw: tuple[int, int]


@config
class Outer:
    name: str
    inner: Inner
    parts: tuple[Inner, ...] = ()
    root: Path = Path()


GOOD = "name: a\ninner: {rate: 1.0e-4, size_hw: [2, 3]}\n"


def test_reads_nested_values_with_their_types() -> None:
    outer = parse_config(GOOD, Outer)
    assert outer.inner.rate == 1e-4
    assert outer.inner.size_hw == (2, 3)


def test_is_frozen() -> None:
    with pytest.raises(AttributeError):
        parse_config(GOOD, Outer).name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD + "nmae: b\n", "nmae: unknown key"),
        ("name: a\n", "inner: required, but not given"),
        ("name: a\ninner: {rate: 1e-4, size_hw: [2, 3]}\n", "inner.rate: YAML reads '1e-4' as text; write 1.0e-4"),
        ("name: a\ninner: {rate: '0.1', size_hw: [2, 3]}\n", "inner.rate"),
        ("name: a\ninner: {rate: 0.1, size_hw: [2]}\n", "inner.size_hw"),
        ("name: 3\ninner: {rate: 0.1, size_hw: [2, 3]}\n", "name: "),
        ("- a\n", "no mapping"),
        ("name: [\n", "not valid YAML"),
        ("name: 2026-02-30\n", "not valid YAML"),
        ("name: 2024-01-01\ninner: {rate: 0.1, size_hw: [2, 3]}\n", "no plain scalar"),
    ],
)
def test_names_the_key_that_is_wrong(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, Outer, where="x.yaml")
    assert expected in str(caught.value)
    assert "x.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: no such configuration file"):
        load_config(tmp_path / "none.yaml", Outer)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: Straße\n", encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"a\.yaml: not UTF-8"):
        load_config(tmp_path / "a.yaml", Outer)


def test_expands_variables_and_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_TEST_DATA", "/x")
    text = GOOD + "root: ${ISTHMUS_TEST_DATA}/gta5/${ISTHMUS_TEST_NONE:-all}\n"
    assert parse_config(text, Outer).root == Path("/x/gta5/all")


def test_an_unset_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISTHMUS_TEST_DATA", raising=False)
    with pytest.raises(ConfigurationError, match="ISTHMUS_TEST_DATA is not set"):
        parse_config(GOOD + "root: ${ISTHMUS_TEST_DATA}\n", Outer)


def test_overrides_reach_into_mappings_and_lists() -> None:
    text = GOOD + "parts: [{rate: 0.5, size_hw: [1, 1]}]\n"
    outer = parse_config(text, Outer, ["inner.rate=0.25", "parts.0.size_hw=[4, 5]", "root=/y"])
    assert outer.inner.rate == 0.25
    assert outer.parts[0].size_hw == (4, 5)
    assert outer.root == Path("/y")


@pytest.mark.parametrize("override", ["inner.rate", "parts.7.rate=1.0", "name.x=1", "inner.rtae=1.0"])
def test_a_wrong_override_is_an_error(override: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_config(GOOD, Outer, [override])


def test_an_override_that_is_no_yaml_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"override 'name=\[': not valid YAML"):
        parse_config(GOOD, Outer, ["name=["])


def test_round_trip_and_hash() -> None:
    outer = parse_config(GOOD, Outer)
    again = parse_config(to_yaml(outer), Outer)
    assert again == outer
    assert config_hash(again) == config_hash(outer)
    assert config_hash(parse_config(GOOD, Outer, ["name=b"])) != config_hash(outer)


def test_flattens_with_dots() -> None:
    outer = parse_config(GOOD + "parts: [{rate: 0.5, size_hw: [1, 1]}]\n", Outer)
    assert flatten(outer) == {
        "name": "a",
        "inner.rate": 1e-4,
        "inner.size_hw": "[2, 3]",
        "parts.0.rate": 0.5,
        "parts.0.size_hw": "[1, 1]",
        "root": ".",
    }
