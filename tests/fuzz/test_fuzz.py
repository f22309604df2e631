"""A few seconds of each fuzzer, always the same inputs; longer runs are for `tools/fuzz.sh`."""

import importlib.util
import subprocess
import sys

import pytest

TIMEOUT_S = 100


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed here")
@pytest.mark.parametrize("harness", ["fuzz_images", "fuzz_open_inference"])
def test_decoders_answer_or_refuse_whatever_comes(repository, tmp_path, harness):
    # In a process of its own: a crash of a native decoder ends it.
    command = [sys.executable, str(repository / "tests" / "fuzz" / f"{harness}.py"), "-seed=1", "-runs=4000"]
    limits = ["-rss_limit_mb=1024", "-timeout=20", "-max_len=4096"]
    run = subprocess.run(
        [*command, *limits], cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done 4000 runs" in run.stderr
    assert list(tmp_path.iterdir()) == []  # no crash-… file


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed here")
def test_a_wrong_exception_is_found(repository, tmp_path):
    code = (
        "import sys, runpy\n"
        "from isthmus.serving import codec\n"
        "sys.argv = ['fuzz', '-runs=2000', '-seed=1']\n"
        "real = codec.image_size_of\n"
        "def broken(data, kind, *, field):\n"
        "    size = real(data, kind, field=field)\n"
        "    assert size[0] != 65500\n"
        "    return size\n"
        "codec.image_size_of = broken\n"
        f"runpy.run_path({str(repository / 'tests' / 'fuzz' / 'fuzz_images.py')!r}, run_name='__main__')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
    )
    assert run.returncode != 0
    assert "AssertionError" in run.stdout + run.stderr
