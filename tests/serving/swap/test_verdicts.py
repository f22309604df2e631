"""Whose word lets a version serve: by the policy alone, and all the way from the registry or the cache."""

import logging
import shutil
from dataclasses import replace

import pytest

from isthmus.errors import ConfigurationError, ContractError, ModelRefusedError
from isthmus.gate_report import Outcome, RuleResult
from isthmus.serving.model_store import ModelStore
from isthmus.serving.swap.config import GuardConfig, SwapConfig
from isthmus.serving.swap.verdicts import Evidence, Standing, VerdictPolicy

FAILED = RuleResult(rule="mIoU floor", outcome=Outcome.FAILED, measured="1 %", required="60 %")
STREET = {"name": "street", "version": "1", "alias": "champion", "sha256": "a" * 64}


@pytest.fixture
def evidence(fakes, keys):
    """A verdict that lets version 1 of `street` be champion, or with changes to its report another one."""

    def make(*, sign=keys.ours, **changes):
        report = fakes.report(**changes)
        return Evidence(fakes.tag(report, sign), report.to_bytes().decode(), sign.sign(report.to_bytes()))

    return make


@pytest.fixture
def policy(keys):
    return VerdictPolicy(SwapConfig(public_keys=(keys.public,)))


def test_a_signed_and_accepted_verdict_lets_it_serve(policy, evidence):
    assert policy.check(evidence(), **STREET) is Standing.PASSED


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"alias": "staging"}, "given for staging"),
        ({"alias": ""}, "given for no alias"),
        ({"challenger": 2}, "about street version 2"),
        ({"name": "lane"}, "about lane version 1"),
        ({"challenger_sha256": "b" * 64}, "about another model.onnx"),
        ({"results": (FAILED,)}, "the gate refused this version"),
        ({"results": ()}, "the gate refused this version"),
    ],
)
def test_a_verdict_about_something_else_does_not_count(policy, evidence, changes, problem):
    with pytest.raises(ContractError, match=f"{problem}.*isthmus promote"):
        policy.check(evidence(**changes), **STREET)


def test_another_key_does_not_count(policy, evidence, keys):
    theirs = evidence(sign=keys.theirs)
    with pytest.raises(ContractError, match=f"key {keys.theirs.public.fingerprint} signed .*--trust"):
        policy.check(theirs, **STREET)
    posing = replace(theirs, tag=theirs.tag.replace(keys.theirs.public.fingerprint, keys.ours.public.fingerprint))
    with pytest.raises(ContractError, match="the signature is not one of key"):
        policy.check(posing, **STREET)


def test_a_changed_report_does_not_count(policy, evidence, fakes, keys):
    true = evidence()
    with pytest.raises(ContractError, match="not the one that the version's tag names"):
        policy.check(replace(true, content=true.content.replace("80 %", "99 %")), **STREET)
    lie = fakes.report(results=(replace(FAILED, outcome=Outcome.PASSED),))
    with pytest.raises(ContractError, match="the signature is not one of key"):
        policy.check(
            Evidence(fakes.tag(lie, keys.ours), lie.to_bytes().decode(), true.signature),
            **STREET,
        )
    with pytest.raises(ContractError, match="the signature is not base64"):
        policy.check(replace(true, signature="?"), **STREET)
    with pytest.raises(ContractError, match="tag of the verdict is damaged"):
        policy.check(replace(true, tag="{}"), **STREET)


def test_a_forced_version_serves_with_a_warning(policy, evidence, fakes, caplog):
    assert policy.check(evidence(results=(FAILED,), forced=fakes.forced), **STREET) is Standing.FORCED
    assert "WAS FORCED past the gate by Ada: Closed track without people (did not pass: mIoU floor)" in caplog.text


def test_without_a_verdict(policy, keys, caplog):
    with pytest.raises(ModelRefusedError, match=r"no gate has judged this version for champion.*isthmus promote"):
        policy.check(None, **STREET)
    lenient = VerdictPolicy(SwapConfig(public_keys=(keys.public,), require_verdict=False))
    assert lenient.check(None, **STREET) is Standing.NO_VERDICT
    assert "has no verdict for champion and serves all the same" in caplog.text


def test_a_wrong_verdict_is_refused_even_where_none_is_required(evidence, keys):
    lenient = VerdictPolicy(SwapConfig(public_keys=(keys.public,), require_verdict=False))
    with pytest.raises(ContractError, match="the gate refused"):
        lenient.check(evidence(results=(FAILED,)), **STREET)


def test_what_is_checked_is_said_when_the_server_starts(keys, caplog):
    caplog.set_level(logging.INFO)
    nobody = VerdictPolicy(SwapConfig())
    nobody.announce()
    assert "VERDICTS ARE NOT CHECKED" in caplog.text
    assert nobody.check(None, **STREET) is Standing.UNCHECKED
    VerdictPolicy(SwapConfig(public_keys=(keys.public,))).announce()
    assert f"verdicts count that were signed with {keys.ours.public.fingerprint}" in caplog.text
    assert "VERSIONS WITHOUT A VERDICT SERVE TOO" not in caplog.text
    VerdictPolicy(SwapConfig(public_keys=(keys.public,), require_verdict=False)).announce()
    assert "VERSIONS WITHOUT A VERDICT SERVE TOO" in caplog.text


def test_options_that_contradict_each_other(tmp_path):
    with pytest.raises(ConfigurationError, match="nobody is trusted to sign"):
        SwapConfig(require_verdict=True)
    with pytest.raises(ConfigurationError, match="kept for 10 s"):
        SwapConfig(keep_previous_s=10, guard=GuardConfig(window_s=11))
    with pytest.raises(ConfigurationError, match="no public key here"):
        VerdictPolicy(SwapConfig(public_keys=(tmp_path / "none.pub",)))


# All the way.


def load(config):
    store = ModelStore(config)
    store.prepare()
    model = store.load()
    model.engine.close()
    return model


@pytest.fixture
def trusting(config, keys):
    return config(swap=SwapConfig(public_keys=(keys.public,)))


def test_the_verdict_is_fetched_from_the_registry(versions, trusting, keys):
    version = versions.add(alias="champion")
    with pytest.raises(ModelRefusedError, match="no gate has judged"):
        load(trusting)
    versions.judge(version, keys.theirs)
    with pytest.raises(ContractError, match="signed its verdict"):
        load(trusting)
    versions.judge(version, keys.ours, sign=keys.theirs)
    with pytest.raises(ContractError, match="the signature is not one of key"):
        load(trusting)
    versions.judge(version, keys.ours, created_at="2026-01-02T03:04:06+00:00")
    assert load(trusting).standing is Standing.PASSED


def test_a_verdict_whose_files_are_gone(versions, trusting, keys, tmp_path):
    version = versions.add(alias="champion")
    versions.judge(version, keys.ours)
    location = versions.client.get_model_version_download_uri(versions.name, version)
    shutil.rmtree(location.removeprefix("file://") + "/gate")
    with pytest.raises(ContractError, match=r"has no gate/\w{16}/gate_report.json"):
        load(trusting)


def test_a_restart_without_the_registry_checks_the_kept_verdict_again(
    versions, trusting, config, keys, monkeypatch, tmp_path
):
    version = versions.add(alias="champion")
    versions.judge(version, keys.ours)
    load(trusting)
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
    model = load(trusting)
    assert (model.version, model.from_cache, model.standing) == (version, True, Standing.PASSED)
    (tmp_path / "theirs.pub").write_bytes(keys.theirs.public.to_pem())
    with pytest.raises(ContractError, match="signed its verdict"):
        load(config(swap=SwapConfig(public_keys=(tmp_path / "theirs.pub",))))


def test_a_model_cached_without_a_verdict_does_not_serve_once_one_is_required(
    versions, trusting, config, keys, monkeypatch
):
    versions.add(alias="champion")
    load(config())
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", _no_answer)
    assert load(config()).from_cache
    with pytest.raises(ModelRefusedError, match="no gate has judged"):
        load(trusting)


def _no_answer(*_):
    from mlflow.exceptions import MlflowException

    raise MlflowException("connection refused")
