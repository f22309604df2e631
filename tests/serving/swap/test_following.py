"""A real server on a real registry: promotions, refusals, ways back, challengers, outages."""

import dataclasses
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from isthmus.errors import ModelNotLoadedError, RegistryError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.config import ProviderPolicy
from isthmus.serving.events import Change, ModelChanged
from isthmus.serving.swap.comparison import ShadowCompared
from isthmus.serving.swap.config import GuardConfig, SwapConfig

NEVER_GO_BACK = GuardConfig(window_s=0)


def version_of(address, tiny):
    with SegmentationClient(address) as client:
        return client.segment(tiny.street()).model_version


def test_a_promotion_goes_live_under_load_without_an_error(versions, config, follow, tiny, wait_until):
    first = versions.add(alias="champion")
    thread, heard = follow(config(swap=SwapConfig(guard=NEVER_GO_BACK)))
    stop, answers = threading.Event(), []

    def drive():
        with SegmentationClient(thread.server.address) as client:
            while not stop.is_set():
                result = client.segment(tiny.street())
                answers.append((result.model_version, result.mask[20, 20]))

    with ThreadPoolExecutor(2) as pool:
        drivers = [pool.submit(drive) for _ in range(2)]
        try:
            for count in range(1, 4):
                versions.add(alias="champion", step=100 + count)
                heard.wait_for(ModelChanged, count, change=Change.SWAPPED)
        finally:
            stop.set()
        for driver in drivers:
            driver.result(60)  # raises what went wrong
    served = [version for version, _ in answers]
    assert set(served) >= {first, "3"}
    assert len({label for _, label in answers}) == 1
    assert version_of(thread.server.address, tiny) == "4"
    wait_until(lambda: [versions.state(version) for version in "1234"] == ["", "serving", "serving", "serving"])


def bad_digest(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": "f" * 64}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"damage": bad_digest}, "is not the manifest's ffff"),
        ({"space": "ba9876543210"}, "its label space is ba9876543210, and masks until now were of 0123456789ab"),
        ({"golden_right": False}, "of the golden frame, 99.9% are required"),
        ({"slow": True}, "and 1.5 times that is allowed"),
    ],
    ids=["digest", "labels", "golden", "slow"],
)
def test_a_bad_version_is_refused_and_the_old_one_goes_on(versions, config, follow, tiny, wait_until, changes, reason):
    versions.add(alias="champion")
    thread, heard = follow(config())
    versions.add(alias="champion", **changes)
    (told,) = heard.wait_for(ModelChanged)
    assert (told.change, told.model_version, told.refused_version) == (Change.REFUSED, "1", "2")
    assert reason in told.reason
    assert version_of(thread.server.address, tiny) == "1"
    wait_until(lambda: versions.state("2").startswith("rejected: "))
    assert versions.state("2")[10:] in told.reason
    versions.add(alias="champion", step=50)
    heard.wait_for(ModelChanged, change=Change.SWAPPED)
    assert len(heard.all(ModelChanged, change=Change.REFUSED)) == 1
    assert version_of(thread.server.address, tiny) == "3"


def test_a_version_without_a_verdict_goes_live_once_it_has_one(versions, config, follow, keys, tiny):
    versions.judge(versions.add(alias="champion"), keys.ours)
    thread, heard = follow(config(swap=SwapConfig(public_keys=(keys.public,))))
    second = versions.add(alias="champion", step=20)
    assert "no gate has judged" in heard.wait_for(ModelChanged)[0].reason
    versions.judge(second, keys.theirs)
    assert "signed its verdict" in heard.wait_for(ModelChanged, 2)[1].reason
    assert version_of(thread.server.address, tiny) == "1"
    versions.judge(second, keys.ours)
    heard.wait_for(ModelChanged, change=Change.SWAPPED, model_version=second)
    assert version_of(thread.server.address, tiny) == second


def test_a_promotion_that_would_run_on_the_cpu_is_refused_where_a_gpu_is_required(versions, config, follow, tiny):
    versions.add(alias="champion")
    thread, heard = follow(config())
    store = thread.server._models._store  # it came up on this machine without a GPU: from here on the policy is another
    store._config = dataclasses.replace(store._config, provider_policy=ProviderPolicy.REQUIRE_CUDA)
    versions.add(alias="champion", step=20)
    (told,) = heard.wait_for(ModelChanged)
    assert (told.change, told.refused_version) == (Change.REFUSED, "2")
    assert "would run on the CPU" in told.reason
    assert version_of(thread.server.address, tiny) == "1"


def test_another_label_space_goes_live_where_it_is_allowed(versions, config, follow):
    versions.add(alias="champion")
    _, heard = follow(config(swap=SwapConfig(allow_label_space_change=True)))
    versions.add(alias="champion", space="ba9876543210")
    heard.wait_for(ModelChanged, change=Change.SWAPPED, model_version="2")


def test_the_guard_goes_back_and_the_version_is_not_tried_again(
    versions, config, follow, start_server, fakes, tiny, wait_until
):
    versions.add(alias="champion")
    thread, heard = follow(config(swap=SwapConfig(guard=GuardConfig(min_frames=10))))
    versions.add(alias="champion", step=20)
    heard.wait_for(ModelChanged, change=Change.SWAPPED)
    tell = thread.server._events.tell
    thread._loop.call_soon_threadsafe(tell, fakes.batch("2", prediction=None, error=RuntimeError("no kernel")))
    (told,) = heard.wait_for(ModelChanged, change=Change.ROLLED_BACK)
    assert (told.model_version, told.reason) == ("1", "the engine failed 1 times in 1, 2.0% may")
    assert version_of(thread.server.address, tiny) == "1"
    wait_until(lambda: versions.state("2").startswith("rejected: rolled back, the engine failed 1"))
    # A restart knows it too, although the alias still points there.
    thread.call(thread.server.stop())
    again, heard_again = follow(config())
    assert version_of(again.server.address, tiny) == "1"
    third = versions.add(alias="champion", step=30)
    heard_again.wait_for(ModelChanged, change=Change.SWAPPED, model_version=third)
    versions.point("champion", "2")  # promoted anew: it gets another chance
    heard_again.wait_for(ModelChanged, change=Change.SWAPPED, model_version="2")
    assert len(heard_again.all(ModelChanged)) == 2


@pytest.mark.parametrize("error", [RegistryError("no answer"), OSError(28, "No space left on device")])
def test_trouble_changes_nothing(versions, config, follow, tiny, monkeypatch, caplog, wait_until, error):
    versions.add(alias="champion")
    thread, heard = follow(config())
    with monkeypatch.context() as patch:
        patch.setattr("isthmus.serving.registry.Registry.aliases", _raising(error))
        wait_until(lambda: "version 1 goes on: " in caplog.text)
        assert version_of(thread.server.address, tiny) == "1"
        versions.add(alias="champion", step=20)
    heard.wait_for(ModelChanged, change=Change.SWAPPED, model_version="2")


def test_a_start_without_the_registry_serves_the_last_good_model_and_catches_up(
    versions, config, follow, tiny, monkeypatch, wait_until
):
    versions.add(alias="champion")
    first, _ = follow(config())
    first.call(first.server.stop())
    with monkeypatch.context() as patch:
        patch.setattr("isthmus.serving.registry.Registry.aliases", _no_answer)
        thread, heard = follow(config())
        with SegmentationClient(thread.server.address) as client:
            assert client.model_info().from_cache
    with SegmentationClient(thread.server.address) as client:
        wait_until(lambda: not client.model_info().from_cache)
    assert heard.all(ModelChanged) == []  # the same model
    versions.add(alias="champion", step=20)
    heard.wait_for(ModelChanged, change=Change.SWAPPED, model_version="2")


def test_the_previous_model_answers_to_its_number(versions, config, follow):
    versions.add(alias="champion")
    thread, heard = follow(config())
    versions.add(alias="champion", step=20)
    heard.wait_for(ModelChanged, change=Change.SWAPPED)
    pipeline = thread.server._pipeline
    assert (pipeline.model(version="1").version, pipeline.model(version="2").version) == ("1", "2")
    with pytest.raises(ModelNotLoadedError):
        pipeline.model(version="3")


def test_a_challenger_is_compared_and_never_answers(versions, config, follow, tiny, wait_until):
    versions.add(alias="champion")
    challenger = versions.add(alias="challenger", threshold=200)
    thread, heard = follow(config(swap=SwapConfig(shadow_percent=100)))
    watcher, image = thread.server._models, tiny.street()
    red = image[..., 0]
    expected = ((red > 200) | (red <= 127)).mean()
    wait_until(lambda: watcher.challenger is not None)
    with SegmentationClient(thread.server.address) as client:
        while not heard.all(ShadowCompared):
            assert client.segment(image).model_version == "1"
            wait_until(lambda: watcher._shadow._task is None)
    compared = heard.wait_for(ShadowCompared)[0]
    assert (compared.champion_version, compared.challenger_version) == ("1", challenger)
    assert compared.agreement == pytest.approx(expected)
    (worker,) = watcher.challenger.engine._executor._threads
    assert os.getpriority(os.PRIO_PROCESS, worker.native_id) == 19
    with pytest.raises(ModelNotLoadedError):
        thread.server._pipeline.model(version=challenger)
    versions.point("champion", challenger)  # promoted: it is nobody's shadow any more
    heard.wait_for(ModelChanged, change=Change.SWAPPED, model_version=challenger)


def test_a_challenger_of_another_label_space_is_not_compared(versions, config, follow, caplog, wait_until):
    versions.add(alias="champion")
    versions.add(alias="challenger", space="ba9876543210")
    thread, _ = follow(config(swap=SwapConfig(shadow_percent=100)))
    wait_until(lambda: "challenger 2 is not shadowed" in caplog.text)
    assert thread.server._models.challenger is None


def _raising(error):
    def fail(*_):
        raise error

    return fail


_no_answer = _raising(RegistryError("the registry does not answer"))
