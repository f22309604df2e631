"""What a policy grants to whom, and when a file is in force."""

import pytest

from isthmus.configuration import parse_config
from isthmus.errors import ConfigurationError
from isthmus.serving.security.policy import Policy, RpcGroup, Rulebook
from isthmus.serving.security.policy_file import PolicyFile

FLEET = """
rules:
  - identities: ["spiffe://fleet.example/vehicle/*", "urn:vehicle:*"]
    grant: { allow: [frames, model_info], max_frames_per_s: 30 }
  - identities: ["spiffe://fleet.example/vehicle/13"]
    grant: { allow: [] }
  - identities: ["spiffe://*/vehicle/*"]
    grant: { allow: [frames], weight: 0.5 }
others: { allow: [model_info] }
"""


def rulebook(text=FLEET):
    return Rulebook(parse_config(text, Policy))


@pytest.mark.parametrize(
    ("vehicle", "allowed", "weight"),
    [
        ("spiffe://fleet.example/vehicle/17", "frames model_info", 1.0),
        ("urn:vehicle:9", "frames model_info", 1.0),
        ("spiffe://fleet.example/vehicle/13", "", 1.0),  # exact goes before patterns
        ("spiffe://other.example/vehicle/17", "frames", 0.5),  # the second pattern
        ("spiffe://fleet.example/vehicle/17/x", "model_info", 1.0),  # a star stops at a slash
        ("spiffe://fleetxexample/vehicle", "model_info", 1.0),  # a dot is a dot
        ("https://someone.else/", "model_info", 1.0),
        ("ipv4:127.0.0.1:5000", "", 1.0),
        ("unix:", "", 1.0),
    ],
)
def test_grants(vehicle, allowed, weight):
    grant = rulebook().grant_of(vehicle)
    assert " ".join(grant.allow) == allowed
    assert grant.weight == weight


def test_nothing_is_allowed_by_default():
    empty = rulebook("{}")
    assert empty.grant_of("spiffe://fleet.example/vehicle/17").allow == ()
    assert empty.grant_of("ipv4:127.0.0.1:5000").allow == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rule: []", "rule: unknown key"),
        ("others: {allow: [frame]}", "others.allow.0"),
        ("others: {allow: [frames], weight: 0}", "others.weight"),
        ("others: {allow: [frames], service_classes: []}", "others.service_classes"),
        ("others: {allow: [frames], max_frames_per_s: .inf}", "others.max_frames_per_s"),
        ("others: {allow: [frames], burst_frames: 3}", "others: burst_frames needs max_frames_per_s"),
        ("others: {allow: [watch], max_in_flight: 3}", "others: bounds on frames"),
        ("rules: [{identities: ['*'], grant: {allow: []}}]", "rules.0: '.*' is no URI"),
        ("rules: [{identities: ['*://fleet'], grant: {allow: []}}]", "is no URI"),
        ("rules: [{identities: ['ipv4:127.0.0.1:*'], grant: {allow: []}}]", "is no URI"),
        ("rules: [{identities: ['IPv4:127.0.0.1'], grant: {allow: []}}]", "is no URI"),
        ("rules: [{identities: ['a:b', 'a:b'], grant: {allow: []}}]", "'a:b' stands in two places"),
        ("others: {allow: [frames], max_streams: 0}", "others.max_streams"),
        ("- 1", "no mapping"),
        ("{", "not valid YAML"),
    ],
)
def test_mistakes_are_named(text, said):
    with pytest.raises(ConfigurationError, match=said):
        parse_config(text, Policy, where="policy.yaml")


@pytest.mark.parametrize(("certificates_required", "anonymous"), [(True, ()), (False, tuple(RpcGroup))])
def test_without_a_file_everybody_may_do_everything_whom_the_connection_lets_in(certificates_required, anonymous):
    file = PolicyFile(None, certificates_required=certificates_required)
    assert file.rulebook.grant_of("spiffe://fleet.example/vehicle/17").allow == tuple(RpcGroup)
    assert file.rulebook.grant_of("spiffe://fleet.example/vehicle/17").max_streams == 64
    assert file.rulebook.grant_of("ipv4:127.0.0.1:5000").allow == anonymous
    file.refresh()
    assert file.rulebook.sha256 == ""


def test_a_changed_file_is_in_force_and_a_broken_one_is_not(tmp_path, caplog):
    path = tmp_path / "policy.yaml"
    path.write_text("others: {allow: [watch]}")
    file = PolicyFile(path, certificates_required=True)
    first, loaded_at = file.rulebook, file.loaded_at
    file.refresh()
    assert file.rulebook is first
    for broken in ("others: {allow: [everything]}", "{", "\0", "x" * (1 << 21)):
        path.write_text(broken)
        caplog.clear()
        file.refresh()
        file.refresh()
        assert (file.rulebook, file.loaded_at) == (first, loaded_at)
        assert file.problem.startswith(str(path))
        assert [record.levelname for record in caplog.records] == ["ERROR"]  # once
    path.write_bytes(b"\xff")
    file.refresh()
    path.unlink()
    file.refresh()
    assert "cannot be read" in file.problem
    path.write_text("others: {allow: [frames]}")
    file.refresh()
    assert file.rulebook.grant_of("a:b").allow == (RpcGroup.FRAMES,)
    assert file.rulebook.sha256 != first.sha256
    assert file.loaded_at > loaded_at
    assert file.problem == ""
    path.write_text("{")
    file.refresh()
    path.write_text("others: {allow: [frames]}")  # taken back: the file is what is in force
    file.refresh()
    assert file.problem == ""


def test_a_broken_file_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="policy cannot be read"):
        PolicyFile(tmp_path / "missing", certificates_required=True)
