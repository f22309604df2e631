"""What is kept on disk across swaps, ways back and deaths of the process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from isthmus.artifact import Manifest
from isthmus.errors import ContractError
from isthmus.serving.client import SegmentationClient
from isthmus.serving.model_cache import Avoided, Champion, Known, ModelCache
from isthmus.serving.model_store import ModelStore
from isthmus.serving.swap.config import SwapConfig
from isthmus.serving.swap.verdicts import Evidence

TIMEOUT_S = 60.0


@pytest.fixture
def cache(tmp_path):
    cache = ModelCache(tmp_path / "cache")
    cache.prepare()
    return cache


def manifest(digit):
    return Manifest(sha256=digit * 64, size_bytes=1, label_space_hash="0123456789ab")


def stored(cache, tmp_path, digit, *, age_s):
    folder = tmp_path / "cache" / "objects" / (digit * 64)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"x")
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def test_a_record_comes_back_as_it_was(cache):
    known = Known(Champion("3", manifest("a"), Evidence("tag", "ü", "sig")), Avoided("4", "too slow"))
    cache.remember("street", "sqlite:///a", known.champion, known.avoided)
    assert cache.recall("street", "sqlite:///a") == known
    assert cache.recall("street", "sqlite:///b") is None
    cache.remember("street", "sqlite:///a", Champion("5", manifest("b")))
    assert cache.recall("street", "sqlite:///a") == Known(Champion("5", manifest("b")))


def test_a_record_of_an_older_server_is_read(cache, tmp_path):
    cache.remember("street", "sqlite:///a", Champion("3", manifest("a")))
    record = tmp_path / "cache" / "champions" / "street.json"
    record.write_text(record.read_text().replace(', "verdict": null, "avoided": null', ""))
    assert cache.recall("street", "sqlite:///a") == Known(Champion("3", manifest("a")))
    record.write_text("{}")
    with pytest.raises(ContractError, match="record is broken"):
        cache.recall("street", "sqlite:///a")


def test_what_nobody_needs_is_deleted(cache, tmp_path):
    cache.remember("street", "sqlite:///a", Champion("3", manifest("a")))
    cache.remember("lane", "sqlite:///a", Champion("1", manifest("b")))  # another server's
    folders = {digit: stored(cache, tmp_path, digit, age_s=3600) for digit in "abcd"}
    folders["e"] = stored(cache, tmp_path, "e", age_s=10)  # another server may just be checking it
    cache.prune({"c" * 64})
    assert {digit for digit, folder in folders.items() if folder.exists()} == {"a", "b", "c", "e"}


def test_a_folder_that_cannot_be_deleted_stops_nobody(cache, tmp_path, monkeypatch, caplog):
    folder = stored(cache, tmp_path, "d", age_s=3600)

    def fail(_):
        raise PermissionError(13, "not yours")

    monkeypatch.setattr("shutil.rmtree", fail)
    cache.prune(())
    assert f"could not delete {folder}: not yours" in caplog.text


SERVE = """
import sys
from pathlib import Path
from isthmus.serving.config import ServerConfig
from isthmus.serving.server import serve
from isthmus.serving.swap.config import SwapConfig
name, uri, cache, key = sys.argv[1:]
serve(ServerConfig(model_name=name, tracking_uri=uri, cache_dir=Path(cache), port=0, num_threads=1,
                   swap=SwapConfig(public_keys=(Path(key),))))
"""


def test_after_kill_minus_9_the_last_good_model_serves_without_the_registry(versions, keys, tmp_path, tiny):
    """The registry is a copy of its database's address: a link that is taken away."""
    version = versions.add(alias="champion")
    versions.judge(version, keys.ours)
    database = tmp_path / "link.db"
    database.symlink_to(versions.uri.removeprefix("sqlite:///"))
    command = [sys.executable, "-c", SERVE, versions.name, f"sqlite:///{database}", str(tmp_path / "cache")]
    command.append(str(keys.public))
    for registry_is_there in (True, False):
        if not registry_is_there:
            database.unlink()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                with SegmentationClient(line.split()[-1]) as client:
                    assert client.segment(tiny.street()).model_version == version
                    assert client.model_info().from_cache is not registry_is_there
            finally:
                process.send_signal(signal.SIGKILL)


def test_a_server_deletes_the_versions_before_the_last_two(versions, config, follow, tmp_path, monkeypatch):
    from isthmus.serving.events import Change, ModelChanged

    monkeypatch.setattr("isthmus.serving.model_cache._IN_USE_S", -1.0)
    versions.add(alias="champion")
    thread, heard = follow(config(swap=SwapConfig()))
    for count in range(1, 4):
        versions.add(alias="champion", step=100 + count)
        heard.wait_for(ModelChanged, count, change=Change.SWAPPED)
    thread.call(thread.server.stop())
    kept = {path.name for path in (tmp_path / "cache" / "objects").iterdir()}
    assert kept <= {versions.sha256(version) for version in "234"}
    assert versions.sha256("4") in kept


def test_a_look_as_challenger_does_not_lose_the_verdict(versions, config, keys):
    version = versions.add(alias="champion")
    versions.judge(version, keys.ours)
    store = ModelStore(config(swap=SwapConfig(public_keys=(keys.public,))))
    store.prepare()
    store.fetch(version).engine.close()
    store.fetch(version, "challenger").engine.close()
    assert store._fetched[version].verdict is not None
