"""The command line: quick help, examples on each page, one line for errors."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus import __version__, cli
from isthmus.errors import ConfigurationError

HEAVY = (
    "torch",
    "torchvision",
    "segmentation_models_pytorch",
    "albumentations",
    "mlflow",
    "onnxruntime",
    "grpc",
    "cv2",
)


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys, isthmus.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def help_page(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    assert caught.value.code == 0
    return re.sub(r"[\s│]+", " ", capsys.readouterr().out)


@pytest.mark.parametrize("group", ["", *cli.GROUPS])
def test_help_lists_each_verb_with_its_first_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = help_page(group.split(), capsys)
    verbs = {path: verb for path, verb in cli.VERBS.items() if path.rpartition(" ")[0] == group}
    assert verbs
    for path, verb in verbs.items():
        assert f"• {path.split()[-1]} {(verb.__doc__ or '').splitlines()[0]}" in page


@pytest.mark.parametrize("path", cli.VERBS)
def test_each_verbs_page_shows_an_example(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"$ isthmus {path} " in help_page(path.split(), capsys) + " "


@pytest.mark.parametrize("path", cli.VERBS)
def test_examples_on_help_pages_parse(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.strip() for line in (cli.VERBS[path].__doc__ or "").splitlines() if line.strip().startswith("$ ")]
    assert lines
    for line in lines:
        assert_parses(line.removeprefix("$ "), monkeypatch)


def test_commands_in_the_docs_parse(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *sorted((repository / "docs").rglob("*.md"))]
    commands = [command for page in pages for command in documented_commands(page)]
    assert len(commands) >= 12
    for command in commands:
        assert_parses(command, monkeypatch)


def test_pages_hold_no_placeholder_and_no_dead_link(repository: Path) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *sorted((repository / "docs").rglob("*.md"))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"^[A-Z]+_[A-Z_]+$|\bTODO\b|\bTBD\b", text, re.MULTILINE), page
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def documented_commands(page: Path) -> list[str]:
    """Lines of ```bash blocks that run isthmus, continued lines joined."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if re.search(r"(^|\s)isthmus\s", line):
                found.append(line)
    return found


def assert_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's verb and options exist, and the configurations that it names."""
    words = shlex.split(command, comments=True)
    words = words[words.index("isthmus") + 1 :]
    words = words[: next((i for i, word in enumerate(words) if word in {"&", "|", ";", "&&", ">"}), len(words))]
    path = next(path for path in cli.VERBS if words[: len(path.split())] == path.split())
    for word in words:
        if word.startswith("configs/"):
            assert Path(__file__).parents[2].joinpath(word).is_file(), f"{command}: no {word}"
    called: list[str] = []
    original = cli.VERBS[path]

    def recorder(*args: object, **kwargs: object) -> None:
        called.append(path)

    recorder.__wrapped__ = original  # type: ignore[attr-defined]
    recorder.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    recorder.__doc__ = original.__doc__
    recorder.__annotations__ = original.__annotations__
    monkeypatch.setattr(cli, "VERBS", {**cli.VERBS, path: recorder})
    cli.run(words)
    assert called == [path], command


def test_an_error_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["data", "doctor", "no-such-file.yaml"])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no-such-file.yaml: no such configuration file")
    assert "Traceback" not in error


def test_a_missing_package_names_the_extra() -> None:
    # In a process of its own: modules that were imported without torch must not stay with the other tests.
    code = "import sys; sys.modules['torch'] = None; from isthmus import cli; cli.main(['evaluate', 'runs/x'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"error: the package 'torch' is not installed.*isthmus\[train,cpu\]", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{shlex.quote(sys.executable)} -m isthmus data list | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert "Traceback" not in done.stderr


def test_fakes_are_written_and_examined(tmp_path: Path) -> None:
    cli.run(["data", "fake", "--dataset", "synthia", "--root", str(tmp_path / "fake"), "--num-frames", "2"])
    cli.run(["data", "doctor", "--dataset", "synthia", "--root", str(tmp_path / "fake")])
    with pytest.raises(ConfigurationError, match="at least one frame"):
        cli.run(["data", "fake", "--dataset", "synthia", "--root", str(tmp_path / "none"), "--num-frames", "0"])
    with pytest.raises(ConfigurationError, match="the folder is not empty"):
        cli.run(["data", "fake", "--dataset", "synthia", "--root", str(tmp_path / "fake")])


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["--version"])
    assert capsys.readouterr().out == f"isthmus {__version__}\n"


def test_an_option_out_of_range_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "--model", "m", "--port", "99999"])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --port: ")
    assert "Traceback" not in error


def test_pictures_must_be_named() -> None:
    with pytest.raises(ConfigurationError, match="no pictures named"):
        cli.run(["segment", "--server", "127.0.0.1:1", "--out", "x"])
